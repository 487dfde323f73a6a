using System.Text;
using Labeling.Training.Data;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Evaluation;

/// <summary>A measured text or demonstration.</summary>
/// <param name="Step">Batch, from 1.</param>
/// <param name="Id">Id of the row, or file:line.</param>
/// <param name="Kind">text or demonstrations.</param>
/// <param name="Tokens">Predicted tokens, the end token included.</param>
/// <param name="Nats">−log p of all of them.</param>
/// <param name="TextNats">−log p without the end token.</param>
/// <param name="Bytes">UTF-8 bytes of the text.</param>
public sealed record LikelihoodItem(int Step, string Id, string Kind, int Tokens, double Nats, double TextNats, long Bytes) : IRowOfStep;

/// <summary>
/// Loss per token, perplexity (its exponential) and bits per byte. The last does not depend on the vocabulary: nats of the text's own tokens / (ln 2 · UTF-8
/// bytes); the end token is no text and counts in the loss only.
/// </summary>
internal static class Likelihood
{
    public static void Run(RunFolder run, EvaluateHyperparameters settings)
    {
        var folder = run.Spec.RequireBase();
        var tokenizer = ModelFolder.Open(folder, Tokenizer.FromFolder);
        using var model = ModelFolder.Policy(folder, tokenizer);
        var rows = Rows.TextsAndDemonstrations([.. run.Spec.Data.Select(d => d.Path)], run.Spec.File);
        // A model of raw text may come without a chat template.
        var chat = rows.Any(r => r.Demonstration is not null) ? new ChatEncoder(folder) : null;
        var eos = tokenizer.EosId ?? throw new BadInputException($"The tokenizer of '{folder}' names no eos_token; the end of a text could not be predicted.");
        var context = model.Config.MaxPositions;
        var documents = Examples.Fitting(rows, r => r.Where, row => row.Demonstration is { } d
            ? new Document(d.Id, "demonstrations", [chat!.Supervised(d.Prompt, d.Completion, d.Where)], Encoding.UTF8.GetByteCount(d.Completion.Content))
            : new Document(row.Where, "text", Windows([tokenizer.BosId ?? eos, .. tokenizer.Encode(row.Text!), eos], context), Encoding.UTF8.GetByteCount(row.Text!)),
            d => d.Kind == "text" ? 0 : d.Parts[0].Ids.Length, context, settings.Overlong, run);

        var batches = documents.Chunk(settings.BatchSize).ToList();
        run.Log($"Likelihood of {documents.Count} texts and demonstrations under {model.ParameterCount:N0} parameters: {batches.Count} batches.");
        RowRun.Run<LikelihoodItem>(run, "items.jsonl", batches.Count, settings.CheckpointEvery, "evaluating", step =>
        {
            var parts = batches[step].SelectMany(d => d.Parts).ToList();
            var logProbs = AnswerLogProbs.PerToken(model, parts, settings.BatchSize, tokenizer.PadId ?? eos);
            var at = 0;
            return [.. batches[step].Select(d =>
            {
                var own = logProbs[at..(at += d.Parts.Count)].SelectMany(p => p).ToList();
                return new LikelihoodItem(step + 1, d.Id, d.Kind, own.Count, -own.Sum(p => (double)p), -own.SkipLast(1).Sum(p => (double)p), d.Bytes);
            })];
        }, Describe);
    }

    private sealed record Document(string Id, string Kind, List<Sequence> Parts, long Bytes);

    /// <summary>A text cut to the context so that every token but the first is predicted exactly once, from what its own window shows.</summary>
    internal static List<Sequence> Windows(int[] ids, int context) =>
        [.. Enumerable.Range(0, (ids.Length - 2 + context) / context).Select(w => new Sequence(ids[(w * context)..Math.Min(ids.Length, ((w + 1) * context) + 1)], 1))];

    private static Dictionary<string, double> Describe(IReadOnlyList<LikelihoodItem> items)
    {
        var metrics = new Dictionary<string, double>();
        foreach (var kind in items.GroupBy(i => i.Kind).OrderBy(g => g.Key, StringComparer.Ordinal))
        {
            var loss = kind.Sum(i => i.Nats) / kind.Sum(i => (long)i.Tokens);
            metrics[kind.Key + "/loss"] = loss;
            metrics[kind.Key + "/perplexity"] = Math.Exp(loss);
            metrics[kind.Key + "/bits_per_byte"] = kind.Sum(i => i.TextNats) / Math.Log(2) / kind.Sum(i => i.Bytes);
            metrics[kind.Key + "/num_rows"] = kind.Count();
            metrics[kind.Key + "/num_tokens"] = kind.Sum(i => (long)i.Tokens);
            metrics[kind.Key + "/num_bytes"] = kind.Sum(i => i.Bytes);
        }
        return metrics;
    }
}
