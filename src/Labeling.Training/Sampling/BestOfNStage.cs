// Stage "best-of-n": rejection sampling against a reward model (Stiennon et al. 2020, arXiv 2009.01325; Nakano et al. 2021, arXiv 2112.09332; Touvron et al. 2023,
// arXiv 2307.09288, 3.2.3): n answers to each prompt are sampled from the policy, and the one the reward model scores highest is kept.
//
// All answers and scores go to samples.jsonl, the best ones to demonstrations.jsonl in the shape the stage "sft" learns from, so that fine-tuning on them is
// one more run. The best of n diverges from the policy by at most log n - (n-1)/n nats (Hilton 2023; Beirami et al. 2024, arXiv 2401.01879), which is reported as
// objective/kl: the price to compare with that of PPO for the same reward.
//
// Every answer has a seed derived from the run's seed, the prompt's place and the answer's number.

using Labeling.Training.Data;
using Labeling.Training.Generation;
using Labeling.Training.Ppo;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Sampling;

/// <summary>Hyperparameters of the stage "best-of-n".</summary>
public sealed record BestOfNHyperparameters
{
    [Hyperparameter("Answers sampled to each prompt, of which the best is kept (n).", Unit = "answers", Source = "Nakano et al. 2021: 4, 16 and 64", Min = 1, Max = 4096)]
    public int AnswersPerPrompt { get; init; } = 16;

    [Hyperparameter("Randomness: 1 samples from the policy as it is; with 0 all answers to a prompt would be the same.", Source = "Touvron et al. 2023: 0.8 to 1.3", Min = 0.01, Max = 10)]
    public double Temperature { get; init; } = 1;

    [Hyperparameter("Longest answer. The model's context is a limit too.", Unit = "tokens", Min = 1, Max = 1_000_000)]
    public int MaxNewTokens { get; init; } = 64;

    [Hyperparameter("Subtracted from the score of an answer that does not end by itself.", Unit = "reward", Source = "as ppo", Min = 0, Max = 1e6)]
    public double MissingEosPenalty { get; init; } = 1;

    [Hyperparameter("Answers generated together, in whole prompts.", Unit = "answers", Min = 1, Max = 65_536)]
    public int BatchSize { get; init; } = 64;

    [Hyperparameter("Batches between checkpoints.", Unit = "batches", Min = 1, Max = 1_000_000)]
    public int CheckpointEvery { get; init; } = 10;

    [Hyperparameter(Examples.OverlongHelp, Choices = ["error", "skip"])]
    public string Overlong { get; init; } = "error";
}

/// <summary>A line of samples.jsonl of this stage.</summary>
/// <param name="Step">Batch, from 1.</param>
/// <param name="PromptId">Id of the prompt row.</param>
/// <param name="Index">Number of the answer, from 0.</param>
/// <param name="Completion">Its text, without the end token.</param>
/// <param name="FinishReason">stop (the model ended it) or length (it was cut off).</param>
/// <param name="Tokens">Tokens generated, end token included.</param>
/// <param name="Score">Score of the reward model, penalty included.</param>
/// <param name="Best">It is the one that was kept.</param>
public sealed record ScoredAnswer(int Step, string PromptId, int Index, string Completion, string FinishReason, int Tokens, float Score, bool Best) : IRowOfStep;

/// <summary>A line of demonstrations.jsonl: what "sft" reads, and where it comes from.</summary>
/// <param name="Id">Id of the prompt row.</param>
/// <param name="Prompt">Messages up to the answer.</param>
/// <param name="Completion">The best answer, one assistant message.</param>
/// <param name="Score">Its score.</param>
public sealed record BestAnswer(string Id, IReadOnlyList<ChatMessage> Prompt, ChatMessage[] Completion, float Score);

/// <summary>Keeps the best of n sampled answers.</summary>
public static class BestOfNStage
{
    /// <summary>Upper bound of KL(best of n ‖ policy) in nats: log n − (n − 1)/n.</summary>
    public static double KlOfBestOf(int n) => Math.Log(n) - ((n - 1.0) / n);

    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">The run, its prompts or a model cannot be used.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<BestOfNHyperparameters>();
        var folder = run.Spec.RequireBase();
        run.Progress(0, 0, "loading");
        var chat = new ChatEncoder(folder);
        using var policy = ModelFolder.Policy(folder, chat.Tokenizer);
        using var reward = ModelFolder.Reward(run.Spec, folder, policy, chat.Tokenizer);
        var prompts = Examples.Prompts(Rows.Prompts([.. run.Spec.Data.Select(d => d.Path)], run.Spec.File), chat, policy.Config.MaxPositions, settings.Overlong, run);

        var n = settings.AnswersPerPrompt;
        var batches = BatchPlan.InOrderOfLength([.. prompts.Select(p => p.Ids.Length)], Math.Max(1, settings.BatchSize / n)).ToList();
        run.Log($"Best of {n} answers to each of {prompts.Count} prompts: {batches.Count} batches.");
        RowRun.Run(run, "samples.jsonl", batches.Count, settings.CheckpointEvery, "sampling", Sample, rows => Describe(rows, n), WriteBest);

        List<ScoredAnswer> Sample(int step)
        {
            var asked = batches[step].SelectMany(p => Enumerable.Range(0, n).Select(i => (Prompt: p, Index: i))).ToList();
            var generated = BatchGenerator.Generate(policy, [.. asked.Select(a => prompts[a.Prompt].Ids)], [.. asked.Select(a => (ulong)Seeds.Derive(run.Spec.Seed, a.Prompt, a.Index))],
                settings.MaxNewTokens, new SamplingOptions(settings.Temperature), [chat.EosId, .. policy.Config.EosTokenIds]);
            var rollouts = asked.Zip(generated, (a, g) => new Rollout(prompts[a.Prompt].Row, prompts[a.Prompt].Ids, g)).ToList();
            Rollouts.Judge(rollouts, reward, chat.PadId);
            Rollouts.Score(rollouts, settings.MissingEosPenalty, scoreClip: 0);
            return [.. rollouts.Chunk(n).SelectMany(group =>
            {
                var best = Array.IndexOf(group, group.MaxBy(r => r.Score));
                return group.Select((r, i) => new ScoredAnswer(step + 1, r.Row.Id, i, Text(chat, r), r.Ended ? "stop" : "length", r.Response.Length,
                    float.IsFinite(r.Score) ? r.Score : throw new NonFiniteException($"The reward model's score of an answer to prompt {r.Row.Id} is not finite."), i == best));
            })];
        }

        void WriteBest(IReadOnlyList<ScoredAnswer> rows)
        {
            File.Delete(run.In("demonstrations.jsonl"));
            run.AppendRows("demonstrations.jsonl", batches.SelectMany(b => b).Zip(rows.Where(r => r.Best), (p, best) => (Place: p, Answer: best)).OrderBy(x => x.Place)
                .Select(x => new BestAnswer(x.Answer.PromptId, prompts[x.Place].Row.Prompt, [new ChatMessage("assistant", x.Answer.Completion)], x.Answer.Score)));
        }
    }

    private static Dictionary<string, double> Describe(IReadOnlyList<ScoredAnswer> rows, int n) => new()
    {
        ["reward"] = rows.Average(r => (double)r.Score),
        ["reward_best"] = rows.Where(r => r.Best).Average(r => (double)r.Score),
        ["objective/kl"] = KlOfBestOf(n),
        ["num_answers"] = rows.Count,
        ["num_tokens"] = rows.Sum(r => (long)r.Tokens),
        ["completions/mean_length"] = rows.Average(r => (double)r.Tokens),
        ["completions/clipped_ratio"] = rows.Average(r => r.FinishReason == "length" ? 1.0 : 0),
    };

    /// <summary>Without the end token, whichever of the model's end tokens it was.</summary>
    private static string Text(ChatEncoder chat, Rollout r) => chat.Text(r.Ended ? r.Response.AsSpan()[..^1] : r.Response);
}
