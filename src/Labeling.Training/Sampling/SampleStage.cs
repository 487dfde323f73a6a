// Stage "sample": answers to prompts from one or more policies, for people to rank: the K-way sampling of InstructGPT (arXiv 2203.02155,
// section 3.2: K = 4 to 9 answers per prompt).
//
// Models take turns, prompts of similar length share a batch, and every answer has a seed of its own, derived from the run's seed, the model,
// the prompt and the answer's number. What is sampled for a prompt therefore depends neither on its neighbours nor on where a
// killed run went on: batches already complete in samples.jsonl are kept and the rest is made.

using System.Text.Json;
using Labeling.Training.Data;
using Labeling.Training.Generation;
using Labeling.Training.Runs;

namespace Labeling.Training.Sampling;

/// <summary>Hyperparameters of the stage "sample".</summary>
public sealed record SampleHyperparameters
{
    [Hyperparameter("Answers per prompt from each model.", Unit = "answers", Source = "InstructGPT ranks 4 to 9", Min = 1, Max = 64)]
    public int AnswersPerPrompt { get; init; } = 4;

    [Hyperparameter("Randomness: 1 samples from the model as it is, lower values prefer its likeliest words, 0 always takes the likeliest.", Source = "InstructGPT samples at 1", Min = 0, Max = 10)]
    public double Temperature { get; init; } = 1;

    [Hyperparameter("Sample only from the likeliest words that together have this probability; 1 = from all.", Min = 1e-6, Max = 1)]
    public double TopP { get; init; } = 1;

    [Hyperparameter("Sample only from this many likeliest words; 0 = from all.", Unit = "tokens", Min = 0, Max = 1_000_000)]
    public int TopK { get; init; }

    [Hyperparameter("Makes words that already stand in the prompt or the answer less likely; 1 = off.", Source = "CTRL, arXiv 1909.05858: 1.2", Min = 1, Max = 10)]
    public double RepetitionPenalty { get; init; } = 1;

    [Hyperparameter("Longest answer. The model's context is a limit too.", Unit = "tokens", Min = 1, Max = 1_000_000)]
    public int MaxNewTokens { get; init; } = 64;

    [Hyperparameter("Answers generated together.", Unit = "answers", Min = 1, Max = 4096)]
    public int BatchSize { get; init; } = 64;

    [Hyperparameter(Examples.OverlongHelp, Choices = ["error", "skip"])]
    public string Overlong { get; init; } = "error";
}

/// <summary>A line of samples.jsonl.</summary>
/// <param name="PromptId">Id of the prompt row.</param>
/// <param name="ModelId">Id of the model in run.json.</param>
/// <param name="Index">Number of the answer, from 0.</param>
/// <param name="Completion">Its text, without the end token.</param>
/// <param name="FinishReason">stop (the model ended it) or length (it was cut off).</param>
/// <param name="Tokens">Tokens generated, end token included.</param>
/// <param name="Seed">Seed of this answer.</param>
public sealed record SampledAnswer(string PromptId, string ModelId, int Index, string Completion, string FinishReason, int Tokens, long Seed);

/// <summary>Samples answers.</summary>
public static class SampleStage
{
    private const string File = "samples.jsonl";

    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">The run, its prompts or a model cannot be used.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; what is complete stays.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<SampleHyperparameters>();
        if (run.Spec.Models.Count == 0)
        {
            throw new BadInputException($"{run.Spec.File}: 'sample' needs 'models', a list of {{\"id\", \"path\"}}.");
        }
        var prompts = Rows.Prompts([.. run.Spec.Data.Select(d => d.Path)], run.Spec.File);
        var k = settings.AnswersPerPrompt;
        var perBatch = Math.Max(1, settings.BatchSize / k);
        var sampling = new SamplingOptions(settings.Temperature, settings.TopK, settings.TopP, settings.RepetitionPenalty);

        // Prompts may be left out by one model and not by another, so the plan is made model by model; rows written so far tell what is done.
        var done = KeepWholeRows(run);
        var written = 0;
        var step = 0;
        long tokens = 0;
        double answers = 0, finished = 0;
        var total = run.Spec.Models.Count * ((prompts.Count + perBatch - 1) / perBatch);
        var firstNew = true;
        for (var m = 0; m < run.Spec.Models.Count; m++)
        {
            var (modelId, folder) = run.Spec.Models[m];
            run.Progress(step, total, "loading");
            var chat = new ChatEncoder(folder);
            using var model = ModelFolder.Policy(folder, chat.Tokenizer);
            var encoded = Examples.Prompts(prompts, chat, model.Config.MaxPositions, settings.Overlong, run);
            foreach (var batch in BatchPlan.InOrderOfLength([.. encoded.Select(p => p.Ids.Length)], perBatch))
            {
                step++;
                var rows = batch.Length * k;
                if (done.Count >= written + rows)
                {
                    Count(done.Skip(written).Take(rows));
                    written += rows;
                    continue;
                }
                if (firstNew)
                {
                    // A kill may have left part of a batch.
                    Rewrite(run, done.Take(written));
                    run.TruncateAfter("metrics.jsonl", step - 1);
                    firstNew = false;
                }
                run.Progress(step - 1, total, "sampling");
                StopIfAsked(run, step - 1, total);
                var made = Answer(run, chat, model, encoded, batch, settings, sampling, (m, modelId));
                run.AppendRows(File, made);
                Count(made);
                run.Metrics(step, Metrics());
            }
        }
        run.Finish(step, Metrics());
        run.Progress(step, step, "done");

        void Count(IEnumerable<SampledAnswer> made)
        {
            foreach (var answer in made)
            {
                tokens += answer.Tokens;
                answers++;
                finished += answer.FinishReason == "stop" ? 1 : 0;
            }
        }

        Dictionary<string, double> Metrics() => new()
        {
            ["num_answers"] = answers,
            ["num_tokens"] = tokens,
            ["completions/mean_length"] = tokens / answers,
            ["completions/clipped_ratio"] = 1 - (finished / answers),
        };
    }

    private static List<SampledAnswer> Answer(RunFolder run, ChatEncoder chat, Models.CausalLm model, List<(PromptRow Row, int[] Ids)> prompts,
        int[] batch, SampleHyperparameters settings, SamplingOptions sampling, (int Number, string Id) from)
    {
        var k = settings.AnswersPerPrompt;
        var requests = batch.SelectMany(p => Enumerable.Range(0, k).Select(i => (Prompt: p, Index: i, Seed: SeedOf(run.Spec.Seed, from.Number, prompts[p].Row.Id, i)))).ToList();
        try
        {
            var generated = BatchGenerator.Generate(model, [.. requests.Select(r => prompts[r.Prompt].Ids)], [.. requests.Select(r => (ulong)r.Seed)],
                settings.MaxNewTokens, sampling, [chat.EosId, .. model.Config.EosTokenIds], settings.BatchSize, run.Stop);
            return [.. requests.Zip(generated, (r, g) => new SampledAnswer(prompts[r.Prompt].Row.Id, from.Id, r.Index, Text(chat, g),
                g.FinishReason == FinishReason.Stop ? "stop" : "length", g.Tokens.Length, r.Seed))];
        }
        catch (OperationCanceledException)
        {
            throw new RunStoppedException("Stopped; the batches in samples.jsonl stay and the same command goes on after them.");
        }
    }

    /// <summary>The prompt's id and not its place in the file, so that adding prompts changes nothing for the others. FNV-1a, as string hashes differ by process.</summary>
    private static long SeedOf(long seed, int model, string promptId, int index)
    {
        var hash = 14695981039346656037UL;
        foreach (var c in promptId)
        {
            hash = (hash ^ c) * 1099511628211UL;
        }
        return Seeds.Derive(seed, model, (long)hash, index);
    }

    private static string Text(ChatEncoder chat, Generated g) =>
        chat.Text(g.FinishReason == FinishReason.Stop ? g.Tokens.AsSpan()[..^1] : g.Tokens);

    private static void StopIfAsked(RunFolder run, int step, int total)
    {
        if (run.Stop.IsCancellationRequested)
        {
            throw new RunStoppedException($"Stopped after batch {step} of {total}; the batches in samples.jsonl stay and the same command goes on after them.");
        }
    }

    private static List<SampledAnswer> KeepWholeRows(RunFolder run)
    {
        var rows = new List<SampledAnswer>();
        foreach (var line in System.IO.File.Exists(run.In(File)) ? System.IO.File.ReadLines(run.In(File)) : [])
        {
            try
            {
                rows.Add(JsonSerializer.Deserialize<SampledAnswer>(line, RunFolder.Compact)!);
            }
            catch (JsonException)
            {
                break;
            }
        }
        return rows;
    }

    private static void Rewrite(RunFolder run, IEnumerable<SampledAnswer> rows)
    {
        System.IO.File.Delete(run.In(File + ".new"));
        run.AppendRows(File + ".new", rows);
        System.IO.File.Move(run.In(File + ".new"), run.In(File), overwrite: true);
    }
}
