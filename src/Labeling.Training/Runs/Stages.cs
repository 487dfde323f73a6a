using Labeling.Training.Tokenizers;

namespace Labeling.Training.Runs;

/// <summary>A stage as `labeling-train describe --json` prints it.</summary>
/// <param name="Stage">Name on the command line and in run.json.</param>
/// <param name="Summary">One sentence.</param>
/// <param name="Hyperparameters">What can be set.</param>
public sealed record StageDescription(string Stage, string Summary, IReadOnlyList<HyperparameterDescription> Hyperparameters);

/// <summary>The stages a run can have.</summary>
public static class Stages
{
    /// <summary>Names in the order they are used.</summary>
    public static IReadOnlyList<string> Names { get; } = ["tokenizer"];

    /// <summary>All stages with their hyperparameters.</summary>
    public static IReadOnlyList<StageDescription> Describe() =>
    [
        new("tokenizer", "Learns a byte-level BPE vocabulary from raw text.", Hyperparameters.Describe(typeof(TokenizerHyperparameters))),
    ];

    /// <summary>Runs the stage that run.json names to its end, going on from the newest valid checkpoint.</summary>
    /// <exception cref="BadInputException">The run cannot be done as described.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run)
    {
        if (run.IsFinished)
        {
            run.Log("This run is already complete; nothing to do.");
            return;
        }
        Directory.CreateDirectory(run.Path);
        switch (run.Spec.Stage)
        {
            case "tokenizer":
                TokenizerStage.Run(run);
                break;
            default:
                throw new BadInputException($"Unknown stage '{run.Spec.Stage}'; {Nearest.Hint(run.Spec.Stage, Names)}.");
        }
    }
}
