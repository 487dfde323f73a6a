using System.Globalization;
using Labeling.AppHost.Supervision;

namespace Labeling.AppHost.Starter;

/// <summary>
/// Makes the base model of the starter project: a tokenizer learned from raw text of the world, and a small language model
/// that the same trainer that everything else uses pre-trains on a primer and then on the raw text.
/// </summary>
public sealed class StarterModel
{
    /// <summary>Where the model that comes with the program lies.</summary>
    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "Starter", "BaseModel");

    /// <summary>The seed the committed model was made with.</summary>
    public const int Seed = 1;

    private const int PrimerPages = 60_000;
    private const int Documents = 200_000;
    private const int ValidationDocuments = 1_000;

    private static readonly Dictionary<string, object> TokenizerSettings = new() { ["vocab_size"] = 640 };

    /// <summary>A learning rate that stays high: the primer is there to make a model find copying and looking up, the raw text cools it down.</summary>
    internal static IReadOnlyDictionary<string, object> PrimerSettings { get; } = new Dictionary<string, object>
    {
        ["architecture"] = "gpt_neox",
        ["hidden_size"] = 160,
        ["layers"] = 4,
        ["heads"] = 5,
        ["context_length"] = 512,
        ["pack_length"] = 128,
        ["batch_size"] = 16,
        ["learning_rate"] = 3e-3,
        ["min_learning_rate_ratio"] = 1.0,
        ["max_steps"] = 1500,
        ["checkpoint_every"] = 200,
    };

    internal static IReadOnlyDictionary<string, object> RawTextSettings { get; } = new Dictionary<string, object>
    {
        ["context_length"] = 512,
        ["pack_length"] = 128,
        ["batch_size"] = 16,
        ["learning_rate"] = 3e-3,
        ["special_tokens_in_text"] = true,
        ["store_as"] = "bfloat16",
        ["checkpoint_every"] = 200,
    };

    /// <summary>Makes the model.</summary>
    /// <param name="output">The Hugging Face folder to write; must not exist or be empty.</param>
    /// <param name="work">A folder for the runs; an interrupted one goes on from its last checkpoint.</param>
    /// <param name="say">Receives what happens, line by line.</param>
    /// <exception cref="HostException">The output exists, or the trainer failed.</exception>
    public static async Task MakeAsync(string output, string work, int seed, int threads, Action<string> say, CancellationToken cancellation)
    {
        if (Directory.Exists(output) && Directory.EnumerateFileSystemEntries(output).Any())
            throw new HostException($"{output} is not empty. Name a new folder, or remove what is in it.");
        using Guard guard = new();
        List<string> texts = [.. WorldText.Documents(seed).Take(Documents + ValidationDocuments)];
        string tokenizer = Subfolder(work, "tokenizer");
        await TrainAsync(tokenizer, "tokenizer", TokenizerSettings, texts.Take(20_000), []);
        string primer = Subfolder(work, "primer");
        Copy(Path.Combine(tokenizer, "output"), Path.Combine(primer, "tokenizer"));
        await TrainAsync(primer, "pretrain", PrimerSettings, WorldText.Primer(seed).Take(PrimerPages), new() { ["tokenizer"] = "tokenizer" });
        string rawText = Subfolder(work, "raw-text");
        Copy(Path.Combine(primer, "output"), Path.Combine(rawText, "base"));
        IReadOnlyDictionary<string, double> metrics = await TrainAsync(
            rawText, "pretrain", RawTextSettings, texts.Take(Documents), new() { ["base"] = "base" }, texts.Skip(Documents));
        Copy(Path.Combine(rawText, "output"), output);
        say(string.Create(CultureInfo.InvariantCulture, $"The starter model is in {output}; validation loss {metrics["eval/loss"]:F4} per token."));

        Task<IReadOnlyDictionary<string, double>> TrainAsync(
            string folder, string stage, IReadOnlyDictionary<string, object> settings, IEnumerable<string> train, Dictionary<string, object> spec, IEnumerable<string>? valid = null)
        {
            List<object> data = [TrainerRun.WriteRows(folder, "train", train.Select(text => new { text }))];
            if (valid is not null)
                data.Add(TrainerRun.WriteRows(folder, "valid", valid.Select(text => new { text })));
            spec = new(spec) { ["seed"] = seed, ["threads"] = threads, ["hyperparameters"] = settings, ["data"] = data };
            return TrainerRun.RunAsync(folder, stage, spec, guard, say, cancellation);
        }
    }

    private static string Subfolder(string work, string name) => Directory.CreateDirectory(Path.Combine(work, name)).FullName;

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.EnumerateFiles(from))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)), overwrite: true);
    }
}
