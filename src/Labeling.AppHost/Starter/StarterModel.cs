using System.Globalization;
using Labeling.AppHost.Supervision;

namespace Labeling.AppHost.Starter;

/// <summary>
/// Makes the base model of the starter project: raw text of the world, a tokenizer learned from it, and a small language model
/// pre-trained on it by the same trainer that everything else uses.
/// </summary>
public sealed class StarterModel
{
    /// <summary>Where the model that comes with the program lies.</summary>
    public static string Folder { get; } = Path.Combine(AppContext.BaseDirectory, "Starter", "BaseModel");

    /// <summary>The seed the committed model was made with.</summary>
    public const int Seed = 1;

    private const int Documents = 130_000;
    private const int ValidationDocuments = 1_000;

    private static readonly Dictionary<string, object> TokenizerSettings = new() { ["vocab_size"] = 768 };

    private static readonly Dictionary<string, object> PretrainSettings = new()
    {
        ["hidden_size"] = 128,
        ["layers"] = 4,
        ["heads"] = 4,
        ["context_length"] = 128,
        ["batch_size"] = 16,
        ["learning_rate"] = 3e-3,
        ["special_tokens_in_text"] = true,
        ["store_as"] = "bfloat16",
        ["checkpoint_every"] = 500,
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
        await TrainerRun.RunAsync(
            tokenizer, "tokenizer", Spec(seed, threads, TokenizerSettings, [TrainerRun.WriteRows(tokenizer, "train", Rows(texts.Take(20_000)))]), guard, say, cancellation);

        string pretrain = Subfolder(work, "pretrain");
        Copy(Path.Combine(tokenizer, "output"), Path.Combine(pretrain, "tokenizer"));
        Dictionary<string, object> spec = Spec(seed, threads, PretrainSettings,
        [
            TrainerRun.WriteRows(pretrain, "train", Rows(texts.Take(Documents))),
            TrainerRun.WriteRows(pretrain, "valid", Rows(texts.Skip(Documents))),
        ]);
        spec["tokenizer"] = "tokenizer";
        IReadOnlyDictionary<string, double> metrics = await TrainerRun.RunAsync(pretrain, "pretrain", spec, guard, say, cancellation);
        Copy(Path.Combine(pretrain, "output"), output);
        say(string.Create(CultureInfo.InvariantCulture, $"The starter model is in {output}; validation loss {metrics["eval/loss"]:F4} per token."));
    }

    private static IEnumerable<object> Rows(IEnumerable<string> texts) => texts.Select(text => new { text });

    private static Dictionary<string, object> Spec(int seed, int threads, Dictionary<string, object> settings, object[] data) =>
        new() { ["seed"] = seed, ["threads"] = threads, ["hyperparameters"] = settings, ["data"] = data };

    private static string Subfolder(string work, string name) => Directory.CreateDirectory(Path.Combine(work, name)).FullName;

    private static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string file in Directory.EnumerateFiles(from))
            File.Copy(file, Path.Combine(to, Path.GetFileName(file)), overwrite: true);
    }
}
