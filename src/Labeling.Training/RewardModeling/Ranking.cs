using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.RewardModeling;

/// <summary>One ranking as token ids, with its comparisons.</summary>
internal sealed record Ranking(RankingRow Row, int[][] Answers, IReadOnlyList<RankedPair> Pairs)
{
    public int Longest { get; } = Answers.Max(a => a.Length);

    /// <summary>Number of comparisons without a tie.</summary>
    public int Strict { get; } = Pairs.Count(p => !p.Tie);
}

/// <summary>What a reward model says about the answers of a ranking.</summary>
/// <param name="Scores">Score of each answer.</param>
/// <param name="Spread">Standard deviation over heads of each; null with one head.</param>
internal sealed record RankingScores(float[] Scores, float[]? Spread);

/// <summary>Rankings into a reward model and back.</summary>
internal static class Rankings
{
    /// <summary>The rankings of a split that fit the context; none is an error for "train" only.</summary>
    public static List<Ranking> Read(RunFolder run, ChatEncoder chat, int context, string split, RewardHyperparameters settings) =>
        Examples.Fitting(Rows.Rankings(run.Spec.DataOf(split), run.Spec.File, required: split == "train"), r => r.Where, row => new Ranking(row, [.. row.Completions.Select(c =>
        {
            var (prompt, answer) = chat.Demonstration(row.Prompt, c.Message, row.Where);
            return (int[])[.. prompt, .. answer];
        })], RankingLoss.Pairs([.. row.Completions.Select(c => c.Rank)], settings.Rules, row.Strength)), r => r.Longest, context, settings.Overlong, run);

    /// <summary>Each head's score of all answers of a batch, ranking by ranking. [answers, heads].</summary>
    public static Tensor HeadScores(RewardModel model, IReadOnlyList<Ranking> batch, int padId, Dropout? dropout = null)
    {
        var rows = batch.SelectMany(r => r.Answers).ToList();
        return model.HeadRewards(TokenBatch.Ids(rows, padId), TokenBatch.Mask(rows), dropout);
    }

    /// <summary>Comparisons of a batch, as indices into its scores.</summary>
    public static List<RankedPair> PairsOf(IReadOnlyList<Ranking> batch)
    {
        var pairs = new List<RankedPair>();
        var offset = 0;
        foreach (var ranking in batch)
        {
            pairs.AddRange(ranking.Pairs.Select(p => p with { Better = p.Better + offset, Worse = p.Worse + offset }));
            offset += ranking.Answers.Length;
        }
        return pairs;
    }

    /// <summary>Scores of all rankings, in their order, without dropout.</summary>
    public static List<RankingScores> ScoreAll(RewardModel model, List<Ranking> rankings, int batchSize, int padId)
    {
        using var frozen = no_grad();
        var scores = new RankingScores[rankings.Count];
        foreach (var indices in BatchPlan.InOrderOfLength([.. rankings.Select(r => r.Longest)], batchSize))
        {
            using var scope = NewDisposeScope();
            var heads = HeadScores(model, [.. indices.Select(i => rankings[i])], padId);
            var means = RewardModel.Mean(heads).cpu().data<float>().ToArray();
            var spreads = model.Heads == 1 ? null : heads.std(1).cpu().data<float>().ToArray();
            var at = 0;
            foreach (var i in indices)
            {
                var own = at..(at += rankings[i].Answers.Length);
                scores[i] = new RankingScores(means[own], spreads?[own]);
            }
        }
        return [.. scores];
    }

    /// <summary>
    /// Loss as in training, and of the comparisons without a tie the share in the person's order and the mean difference. Null when there are no
    /// such comparisons.
    /// </summary>
    public static (double Loss, double Accuracy, double Margin)? Evaluate(List<Ranking> rankings, List<RankingScores> scores)
    {
        double loss = 0, right = 0, margin = 0, pairs = 0, counted = 0;
        foreach (var (ranking, (values, _)) in rankings.Zip(scores).Where(x => x.First.Pairs.Count > 0))
        {
            counted++;
            foreach (var pair in ranking.Pairs)
            {
                double difference = values[pair.Better] - values[pair.Worse];
                loss += pair.Weight * Math.Log(1 + Math.Exp(pair.Margin - difference));
                if (!pair.Tie)
                {
                    right += difference > 0 ? 1 : 0;
                    margin += difference;
                    pairs++;
                }
            }
        }
        return pairs == 0 ? null : (loss / counted, right / pairs, margin / pairs);
    }
}
