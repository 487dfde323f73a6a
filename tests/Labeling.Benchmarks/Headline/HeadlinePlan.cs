using System.Text.Json;
using Labeling.AppHost;
using Labeling.AppHost.Starter;
using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Benchmarks.Headline;

/// <summary>The shape of a model: transformer blocks, width, attention heads.</summary>
internal sealed record ModelShape(int Layers, int Hidden, int Heads)
{
    /// <summary>Parameters of such a model with the starter's vocabulary.</summary>
    public long Parameters()
    {
        using CausalLm model = CausalLm.New(ModelConfig.GptNeoX(ModelConfig.Load(StarterModel.Folder).VocabularySize, Hidden, Layers, Heads, maxPositions: 512), seed: 1);
        return model.ParameterCount;
    }
}

/// <summary>
/// How much is trained and compared. The first start writes it to plan.json, and every later start in the folder keeps to that, the number type of this
/// machine included: a run in two number types would be neither.
/// </summary>
internal sealed record HeadlinePlan
{
    /// <summary>The claim is about a model of a hundredth of the size: 1.3 B against 175 B in the paper.</summary>
    public const double LeastRatio = 100;

    /// <summary>bfloat16 has to be this much faster in plain products: of that, a step of this size gets about half.</summary>
    private const double WorthIt = 2;

    private const string File = "plan.json";

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower, WriteIndented = true };

    public static HeadlinePlan Full { get; } = new();

    /// <summary>Everything once in a minute, to see that it works together. It is too little to learn from.</summary>
    public static HeadlinePlan Quick { get; } = new()
    {
        Name = "quick",
        Small = new(1, 16, 1),
        Large = new(5, 160, 5),
        PrimerPages = 400,
        PrimerSteps = 10,
        Documents = 1200,
        ValidationDocuments = 40,
        CheckpointEvery = 5,
        Demonstrations = 100,
        SftEpochs = 1,
        RankedPrompts = 60,
        RankedForValidation = 20,
        PracticePrompts = 60,
        Episodes = 128,
        ComparedPrompts = 60,
    };

    public string Name { get; init; } = "full";

    /// <summary>Seed of text, people, prompts and training.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Number type that the large model calculates with.</summary>
    public string Precision { get; init; } = "float32";

    public ModelShape Small { get; init; } = new(2, 48, 3);

    public ModelShape Large { get; init; } = new(7, 320, 10);

    /// <summary>Pages of the primer, which both models read first.</summary>
    public int PrimerPages { get; init; } = 60_000;

    /// <summary>Steps of 16 x 128 tokens on the primer: about one pass.</summary>
    public int PrimerSteps { get; init; } = 1200;

    /// <summary>Documents of raw text, which both models read once.</summary>
    public int Documents { get; init; } = 200_000;

    public int ValidationDocuments { get; init; } = 1000;

    /// <summary>Steps between checkpoints of the large model, about a minute: what a killed run loses at most.</summary>
    public int CheckpointEvery { get; init; } = 50;

    public int Demonstrations { get; init; } = 2000;

    public int SftEpochs { get; init; } = 8;

    /// <summary>Prompts whose answers people rank.</summary>
    public int RankedPrompts { get; init; } = 3600;

    /// <summary>Of those, held out to measure the reward model on.</summary>
    public int RankedForValidation { get; init; } = 600;

    public int AnswersPerPrompt { get; init; } = 6;

    /// <summary>Prompts nobody labels, for PPO.</summary>
    public int PracticePrompts { get; init; } = 3000;

    public int Episodes { get; init; } = 12_800;

    /// <summary>Held-out prompts of the comparison.</summary>
    public int ComparedPrompts { get; init; } = 2000;

    /// <summary>Demonstrations before the question where the large model is prompted: as many as fit into the length it was trained on.</summary>
    public int Shots { get; init; } = 3;

    /// <summary>The folder's plan, or, in a new folder, the one asked for with this machine's number type.</summary>
    /// <exception cref="HostException">The folder has another plan, or the models are too near in size.</exception>
    public static HeadlinePlan Open(string folder, HeadlinePlan asked, Action<string> say)
    {
        string path = Path.Combine(folder, File);
        HeadlinePlan plan = System.IO.File.Exists(path) ? JsonSerializer.Deserialize<HeadlinePlan>(System.IO.File.ReadAllText(path), Json)! : asked with { Precision = FasterPrecision(say) };
        if (plan.Name != asked.Name)
            throw new HostException($"{folder} holds a {plan.Name} run, and a {asked.Name} one was asked for. Name another folder.");
        double ratio = (double)plan.Large.Parameters() / plan.Small.Parameters();
        if (ratio < LeastRatio)
            throw new HostException(FormattableString.Invariant($"The large model has only {ratio:0.0} times the parameters of the small one."));
        System.IO.File.WriteAllText(path + ".new", JsonSerializer.Serialize(plan, Json));
        System.IO.File.Move(path + ".new", path, overwrite: true);
        return plan;
    }

    private static string FasterPrecision(Action<string> say)
    {
        double single = Machine.MatmulGflops(), half = Machine.MatmulGflops(ScalarType.BFloat16);
        string faster = half >= WorthIt * single ? "bfloat16" : "float32";
        say(FormattableString.Invariant($"Products: {single:0} GFLOP/s in float32, {half:0} in bfloat16; the large model calculates in {faster}."));
        return faster;
    }
}
