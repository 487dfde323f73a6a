// Stage "reward": the reward model, step 2 of InstructGPT (Ouyang et al. 2022, arXiv 2203.02155, sections 3.5, C.2, eq. 1).
//
// The model starts as the SFT model with its unembedding replaced by one number at the last token of (prompt, answer). A ranking of K answers is ONE
// batch element: K forward passes give all C(K,2) comparisons, which are averaged, so that no answer is learned from many times in separate
// steps; that is what let the paper train without over-fitting. Ties are dropped. One epoch, cosine learning rate down to a tenth.
// After training, a constant is added so that the best-ranked training answers score 0 on average (the paper: so that labeler
// demonstrations do).
//
// Deliberate deviations: batches are smaller than 64 rankings when the data are few; rankings of similar length share a batch.

using System.Text.Json.Nodes;
using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Optim;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.RewardModeling;

/// <summary>Hyperparameters of the stage "reward".</summary>
public sealed record RewardHyperparameters
{
    [Hyperparameter("Step size of learning. Absent: from the model's size, 5e-4 at 1M parameters falling to 9e-6 at 6B.",
        Source = "InstructGPT C.2 at 6B; tuned on the starter world at 1M", Min = 0, Max = 1)]
    public double? LearningRate { get; init; }

    [Hyperparameter("Passes over the rankings. More than one over-fits quickly.", Unit = "epochs", Source = "InstructGPT C.2", Min = 1, Max = 1000)]
    public int Epochs { get; init; } = 1;

    [Hyperparameter("Rankings per step. Absent: 64, or fewer when that would leave less than 100 steps.", Unit = "rankings", Source = "InstructGPT C.2", Min = 1, Max = 65_536)]
    public int? BatchSize { get; init; }

    [Hyperparameter("Share of the learning rate that is left at the end of the cosine.", Source = "InstructGPT C.2", Min = 0, Max = 1)]
    public double MinLearningRateRatio { get; init; } = 0.1;

    [Hyperparameter("Pull of the weights towards zero.", Min = 0, Max = 10)]
    public double WeightDecay { get; init; }

    [Hyperparameter("Longest allowed gradient; longer ones are scaled down.", Min = 1e-6, Max = 1e6)]
    public double MaxGradNorm { get; init; } = 1;

    [Hyperparameter("Steps between evaluations on the validation rankings; 0 = once per epoch.", Unit = "steps", Min = 0, Max = 1_000_000)]
    public int EvalEvery { get; init; }

    [Hyperparameter("Steps between checkpoints.", Unit = "steps", Min = 1, Max = 1_000_000)]
    public int CheckpointEvery { get; init; } = 100;

    [Hyperparameter(Examples.OverlongHelp, Choices = ["error", "skip"])]
    public string Overlong { get; init; } = "error";
}

/// <summary>A line of scores.jsonl.</summary>
/// <param name="RankingId">Id of the ranking row.</param>
/// <param name="CompletionId">Id of the answer.</param>
/// <param name="Split">train or valid.</param>
/// <param name="Score">Shifted score after training.</param>
/// <param name="Rank">The person's rank.</param>
public sealed record ScoredCompletion(string RankingId, string CompletionId, string Split, double Score, int Rank);

/// <summary>Trains a reward model on rankings.</summary>
public static class RewardStage
{
    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">The run, its rankings or its base model cannot be used.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<RewardHyperparameters>();
        var folder = run.Spec.RequireBase();
        run.Progress(0, 0, "loading");
        var chat = new ChatEncoder(folder);
        using var model = FromPolicy(folder, chat, run.Spec.Seed);
        var train = Read(run, chat, model.Config.MaxPositions, "train", settings.Overlong);
        var valid = Read(run, chat, model.Config.MaxPositions, "valid", settings.Overlong);
        var usable = train.Where(r => r.Pairs > 0).ToList();
        if (usable.Count == 0)
        {
            throw new BadInputException($"{train[0].Row.Where}: all {train.Count} training rankings are nothing but ties; there is no preference to learn. At least one must prefer an answer over another.");
        }
        if (usable.Count < train.Count)
        {
            run.Log($"{train.Count - usable.Count} of {train.Count} training rankings are nothing but ties and teach nothing.");
        }
        SelfChecks.Padding(model, usable[0].Answers[0], chat.EosId, chat.PadId);

        var batchSize = BatchPlan.SizeFor(settings.BatchSize, usable.Count, settings.Epochs, paper: 64);
        var plan = new BatchPlan([.. usable.Select(r => r.Longest)], batchSize, run.Spec.Seed);
        var total = plan.StepsPerEpoch * settings.Epochs;
        var parameters = model.Parameters.Values.Sum(p => p.NumberOfElements);
        var peak = settings.LearningRate ?? LearningRates.Reward(parameters);
        var schedule = new LearningRate(ScheduleKind.Cosine, peak, total, FloorFraction: settings.MinLearningRateRatio);
        using var optimizer = new AdamW(model.Parameters, new AdamWOptions(0.9, 0.95, 1e-8, settings.WeightDecay, settings.MaxGradNorm));
        var evalEvery = settings.EvalEvery > 0 ? settings.EvalEvery : plan.StepsPerEpoch;

        var checkpoints = new RunCheckpoints(run, settings.CheckpointEvery, new Dictionary<string, IEnumerable<KeyValuePair<string, Tensor>>> { ["model"] = model.Parameters },
            new Dictionary<string, AdamW> { ["optimizer"] = optimizer });
        var (step, state) = checkpoints.Resume();
        var tokens = state["num_tokens"]?.GetValue<long>() ?? 0;
        run.Log($"Reward model of {parameters:N0} parameters on {usable.Count} rankings with {usable.Sum(r => r.Pairs)} comparisons ({valid.Count} rankings for validation): {total} steps of {batchSize}, learning rate {peak:G3}.");

        while (step < total)
        {
            run.Progress(step, total, "training");
            Dictionary<string, double> metrics;
            using (NewDisposeScope())
            {
                var batch = plan.Rows(step).Select(i => usable[i]).ToList();
                var scores = Scores(model, batch, chat.PadId);
                var (loss, margins) = RankingLoss.Compute(scores, PairsOf(batch), batch.Count);
                var learningRate = schedule.At(step);
                loss.backward();
                var values = scores.detach();
                metrics = new Dictionary<string, double>
                {
                    ["loss"] = Finite.Loss(loss, step + 1),
                    ["accuracy"] = margins.gt(0).to(ScalarType.Float32).mean().item<float>(),
                    ["margin"] = margins.mean().item<float>(),
                    ["min_reward"] = values.min().item<float>(),
                    ["mean_reward"] = values.mean().item<float>(),
                    ["max_reward"] = values.max().item<float>(),
                    ["grad_norm"] = optimizer.Step(learningRate),
                    ["lr"] = learningRate,
                    ["epoch"] = (step + 1.0) / plan.StepsPerEpoch,
                    ["num_tokens"] = tokens += batch.Sum(r => r.Answers.Sum(a => (long)a.Length)),
                };
            }
            step++;
            if (valid.Any(r => r.Pairs > 0) && (step % evalEvery == 0 || step == total))
            {
                run.Progress(step, total, "evaluating");
                (metrics["eval/loss"], metrics["eval/accuracy"], metrics["eval/margin"]) = Evaluate(ScoreAll(model, valid, batchSize, chat.PadId), valid);
            }
            run.Metrics(step, metrics);
            checkpoints.AfterStep(step, total, () => new JsonObject { ["num_tokens"] = tokens });
        }
        run.Progress(total, total, "scoring");
        var trainScores = ScoreAll(model, train, batchSize, chat.PadId);
        var shift = -train.Zip(trainScores).SelectMany(x => x.First.Row.Completions.Zip(x.Second, (c, s) => (c.Rank, Score: s, Best: x.First.Row.Completions.Min(o => o.Rank))))
            .Where(x => x.Rank == x.Best).Average(x => x.Score);
        model.SetShift(shift);
        WriteScores(run, train, trainScores, "train", shift, append: false);
        WriteScores(run, valid, ScoreAll(model, valid, batchSize, chat.PadId), "valid", 0, append: true);
        run.WriteOutput(output => model.Save(output, folder));
        var final = run.LastMetrics();
        final["reward_shift"] = shift;
        run.Finish(total, final);
        run.Progress(total, total, "done");
    }

    private sealed record Ranking(RankingRow Row, int[][] Answers)
    {
        public int Longest { get; } = Answers.Max(a => a.Length);

        public int Pairs { get; } = RankingLoss.Pairs([.. Row.Completions.Select(c => c.Rank)]).Count;
    }

    private static RewardModel FromPolicy(string folder, ChatEncoder chat, long seed)
    {
        using var policy = ModelFolder.Policy(folder, chat.Tokenizer);
        return RewardModel.From(policy, Seeds.Derive(seed, -1));
    }

    private static List<Ranking> Read(RunFolder run, ChatEncoder chat, int context, string split, string overlong) =>
        Examples.Fitting(Rows.Rankings(run.Spec.DataOf(split), run.Spec.File, required: split == "train"), r => r.Where, row => new Ranking(row, [.. row.Completions.Select(c =>
        {
            var (prompt, answer) = chat.Demonstration(row.Prompt, c.Message, row.Where);
            return (int[])[.. prompt, .. answer];
        })]), r => r.Longest, context, overlong, run);

    /// <summary>Scores of all answers of a batch, ranking by ranking. [answers].</summary>
    private static Tensor Scores(RewardModel model, IReadOnlyList<Ranking> batch, int padId)
    {
        var rows = batch.SelectMany(r => r.Answers).ToList();
        return model.Rewards(TokenBatch.Ids(rows, padId), TokenBatch.Mask(rows));
    }

    private static List<RankedPair> PairsOf(IReadOnlyList<Ranking> batch)
    {
        var pairs = new List<RankedPair>();
        var offset = 0;
        foreach (var ranking in batch)
        {
            pairs.AddRange(RankingLoss.Pairs([.. ranking.Row.Completions.Select(c => c.Rank)], offset));
            offset += ranking.Answers.Length;
        }
        return pairs;
    }

    private static List<float[]> ScoreAll(RewardModel model, List<Ranking> rankings, int batchSize, int padId)
    {
        using var frozen = no_grad();
        var scores = new float[rankings.Count][];
        foreach (var indices in BatchPlan.InOrderOfLength([.. rankings.Select(r => r.Longest)], batchSize))
        {
            using var scope = NewDisposeScope();
            var flat = Scores(model, [.. indices.Select(i => rankings[i])], padId).data<float>().ToArray();
            var at = 0;
            foreach (var i in indices)
            {
                scores[i] = flat[at..(at += rankings[i].Answers.Length)];
            }
        }
        return [.. scores];
    }

    /// <summary>Loss as in training, share of comparisons in the person's order, and mean difference, over all comparisons.</summary>
    private static (double Loss, double Accuracy, double Margin) Evaluate(List<float[]> scores, List<Ranking> rankings)
    {
        double loss = 0, right = 0, margin = 0, pairs = 0, counted = 0;
        foreach (var (ranking, values) in rankings.Zip(scores).Where(x => x.First.Pairs > 0))
        {
            counted++;
            foreach (var pair in RankingLoss.Pairs([.. ranking.Row.Completions.Select(c => c.Rank)]))
            {
                double difference = values[pair.Better] - values[pair.Worse];
                loss += pair.Weight * Math.Log(1 + Math.Exp(-difference));
                right += difference > 0 ? 1 : 0;
                margin += difference;
                pairs++;
            }
        }
        return (loss / counted, right / pairs, margin / pairs);
    }

    private static void WriteScores(RunFolder run, List<Ranking> rankings, List<float[]> scores, string split, double shift, bool append)
    {
        if (!append)
        {
            File.Delete(run.In("scores.jsonl"));
        }
        run.AppendRows("scores.jsonl", rankings.Zip(scores).SelectMany(x => x.First.Row.Completions.Zip(x.Second, (c, s) => new ScoredCompletion(x.First.Row.Id, c.Id, split, s + shift, c.Rank))));
    }
}
