// Stage "tokenizer": learns a byte-level BPE vocabulary from the run's text rows (BpeTrainer has the algorithm) and writes
// tokenizer.json and tokenizer_config.json to output/. One pass, no checkpoint: it takes seconds, a killed run starts over.

using Labeling.Training.Data;
using Labeling.Training.Runs;

namespace Labeling.Training.Tokenizers;

/// <summary>Hyperparameters of the stage "tokenizer".</summary>
public sealed record TokenizerHyperparameters
{
    [Hyperparameter("How many different tokens there are, control tokens included. More tokens make texts shorter and the embedding larger.",
        Unit = "tokens", Source = "GPT-2 uses 50,257 for the web; small corpora want less", Min = 262, Max = 1_000_000)]
    public int VocabSize { get; init; } = 4096;
}

/// <summary>Trains a tokenizer.</summary>
public static class TokenizerStage
{
    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">No text, or a bad row.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<TokenizerHyperparameters>();
        run.Progress(0, 1, "reading");
        var texts = Rows.Texts(run.Spec.DataOf("train"), run.Spec.File);
        run.Progress(0, 1, "training");
        var tokenizer = BpeTrainer.Train(texts, settings.VocabSize);
        var bytes = texts.Sum(t => (long)System.Text.Encoding.UTF8.GetByteCount(t));
        var tokens = texts.AsParallel().Sum(t => (long)tokenizer.Encode(t).Length);
        var metrics = new Dictionary<string, double>
        {
            ["vocab_size"] = tokenizer.VocabSize,
            ["num_tokens"] = tokens,
            ["bytes_per_token"] = (double)bytes / Math.Max(1, tokens),
        };
        run.WriteOutput(tokenizer.Save);
        run.TruncateAfter("metrics.jsonl", 0);
        run.Metrics(1, metrics);
        run.Log($"Learned {tokenizer.VocabSize} tokens from {texts.Count} texts; {metrics["bytes_per_token"]:F2} bytes per token.");
        run.Progress(1, 1, "done");
        run.Finish(1, metrics);
    }
}
