using Labeling.Training.Data;
using Labeling.Training.Generation;
using Labeling.Training.Models;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;
using static TorchSharp.torch;

namespace Labeling.Training.Evaluation;

/// <summary>A prompt answered by both models.</summary>
/// <param name="Step">Batch, from 1.</param>
/// <param name="PromptId">Id of the prompt row.</param>
/// <param name="First">Answer of the first model.</param>
/// <param name="Second">Answer of the second.</param>
/// <param name="FirstScore">Score of the first answer; 1 or 0 where a reference decides.</param>
/// <param name="SecondScore">Score of the second.</param>
/// <param name="Outcome">1 the first wins, 0 the second, 0.5 tie.</param>
public sealed record WinRateItem(int Step, string PromptId, string First, string Second, double FirstScore, double SecondScore, double Outcome) : IRowOfStep;

/// <summary>
/// How often the first of two models beats the second on the same prompts, in the eyes of a reward model or, without one, by matching a reference answer. Ties, equal
/// texts among them, count half; the interval is Wilson's, at 95%, over prompts. Both models sample with the same seed, so a model ties with itself. The reward model reads
/// the answers as text, so that it need not share a tokenizer with either.
/// </summary>
internal static class WinRate
{
    public static void Run(RunFolder run, EvaluateHyperparameters settings)
    {
        if (run.Spec.Models.Count != 2)
        {
            throw new BadInputException($"{run.Spec.File}: a win rate compares two models; 'models' must list two of {{\"id\", \"path\"}}, and there are {run.Spec.Models.Count}.");
        }
        List<string> files = [.. run.Spec.Data.Select(d => d.Path)];
        List<Asked> rows = run.Spec.RewardModel is not null ? [.. Rows.Prompts(files, run.Spec.File).Select(p => new Asked(p, null))] : References(files, run.Spec.File);
        using var first = new Contestant(run.Spec.Models[0].Path);
        using var second = new Contestant(run.Spec.Models[1].Path);
        using var judge = run.Spec.RewardModel is { } folder ? new Judge(folder) : null;
        var contestants = new[] { first, second };
        foreach (var c in contestants)
        {
            rows = Examples.Fitting(rows, r => r.Prompt.Where, r => r, r => c.Chat.Prompt(r.Prompt.Prompt, r.Prompt.Where).Length + 1, c.Model.Config.MaxPositions, settings.Overlong, run);
        }

        var batches = rows.Chunk(settings.BatchSize).ToList();
        run.Log($"{run.Spec.Models[0].Id} against {run.Spec.Models[1].Id} on {rows.Count} prompts, judged by {(judge is null ? "a match with the reference" : "the reward model")}: {batches.Count} batches.");
        RowRun.Run<WinRateItem>(run, "items.jsonl", batches.Count, settings.CheckpointEvery, "comparing", step =>
        {
            var prompts = batches[step];
            ulong[] seeds = [.. prompts.Select((_, i) => (ulong)Seeds.Derive(run.Spec.Seed, step, i))];
            var answers = contestants.Select(c => c.Answer(prompts, seeds, settings)).ToArray();
            var scores = answers.Select(a => judge is null ? Match(prompts, a) : judge.Score(prompts, a, settings.MissingEosPenalty)).ToArray();
            return [.. prompts.Select((one, i) => new WinRateItem(step + 1, one.Prompt.Id, answers[0][i].Text, answers[1][i].Text, scores[0][i], scores[1][i],
                answers[0][i] == answers[1][i] || scores[0][i] == scores[1][i] ? 0.5 : scores[0][i] > scores[1][i] ? 1 : 0))];
        }, Describe);
    }

    private sealed record Asked(PromptRow Prompt, string? Reference);

    private readonly record struct Written(string Text, bool Ended);

    private static List<Asked> References(List<string> files, string specFile) =>
        [.. Rows.Demonstrations(files, specFile).Select(d => new Asked(new PromptRow(d.Id, d.Prompt, d.Where), AnswerText.Normalise(d.Completion.Content).Length > 0
            ? d.Completion.Content
            : throw new BadInputException($"{d.Where}: without a reward model the answer is the reference, and this one is empty.")))];

    private static double[] Match(Asked[] asked, Written[] answers) => [.. asked.Zip(answers, (one, a) => AnswerText.Matches(a.Text, [one.Reference!]) ? 1.0 : 0)];

    private static Dictionary<string, double> Describe(IReadOnlyList<WinRateItem> items)
    {
        var wins = items.Sum(i => i.Outcome);
        var (low, high) = Intervals.Wilson(wins, items.Count);
        return new Dictionary<string, double>
        {
            ["win_rate"] = wins / items.Count,
            ["win_rate/low"] = low,
            ["win_rate/high"] = high,
            ["wins"] = items.Count(i => i.Outcome == 1),
            ["ties"] = items.Count(i => i.Outcome == 0.5),
            ["losses"] = items.Count(i => i.Outcome == 0),
            ["score/first"] = items.Average(i => i.FirstScore),
            ["score/second"] = items.Average(i => i.SecondScore),
            ["num_prompts"] = items.Count,
        };
    }

    private sealed class Contestant : IDisposable
    {
        public Contestant(string folder)
        {
            Chat = new ChatEncoder(folder);
            Model = ModelFolder.Policy(folder, Chat.Tokenizer);
        }

        public ChatEncoder Chat { get; }

        public CausalLm Model { get; }

        public Written[] Answer(Asked[] asked, ulong[] seeds, EvaluateHyperparameters settings) =>
            [.. BatchGenerator.Generate(Model, [.. asked.Select(q => Chat.Prompt(q.Prompt.Prompt, q.Prompt.Where))], seeds, settings.MaxNewTokens,
                new SamplingOptions(settings.Temperature), [Chat.EosId, .. Model.Config.EosTokenIds])
                .Select(g => g.FinishReason == FinishReason.Stop ? new Written(Chat.Text(g.Tokens.AsSpan()[..^1]), true) : new Written(Chat.Text(g.Tokens), false))];

        public void Dispose() => Model.Dispose();
    }

    private sealed class Judge : IDisposable
    {
        private readonly ChatEncoder chat;
        private readonly RewardModel model;

        public Judge(string folder)
        {
            chat = new ChatEncoder(folder);
            model = ModelFolder.Reward(folder, chat.Tokenizer);
        }

        public double[] Score(Asked[] asked, Written[] answers, double missingEosPenalty)
        {
            using var scope = NewDisposeScope();
            var rows = asked.Zip(answers, (q, a) => Fitting(chat.Supervised(q.Prompt.Prompt, new ChatMessage("assistant", a.Text), q.Prompt.Where).Ids, q)).ToList();
            var scores = model.Rewards(TokenBatch.Ids(rows, chat.PadId), TokenBatch.Mask(rows)).cpu().data<float>();
            return [.. answers.Select((a, i) => scores[i] - (a.Ended ? 0 : missingEosPenalty))];
        }

        public void Dispose() => model.Dispose();

        private int[] Fitting(int[] ids, Asked one) => ids.Length <= model.Config.MaxPositions ? ids
            : throw new BadInputException($"{one.Prompt.Where}: prompt and answer have {ids.Length} tokens and the reward model reads {model.Config.MaxPositions}. Ask for shorter answers with max_new_tokens.");
    }
}
