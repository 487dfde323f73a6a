using Labeling.Training.Data;
using Labeling.Training.Runs;

namespace Labeling.Training.RewardModeling;

/// <summary>Hyperparameters of the stage "reward".</summary>
public sealed record RewardHyperparameters : LoraDropoutHyperparameters
{
    internal const string MicroBatchHelp = "Rankings, each with all its answers," + BatchPlan.MicroBatchHelp;

    [Hyperparameter("Step size of learning. Absent: from the model's size, 5e-4 at 1M parameters falling to 9e-6 at 6B.",
        Source = "InstructGPT C.2 at 6B; what the demo learns with at 1M", Min = 0, Max = 1)]
    public double? LearningRate { get; init; }

    [Hyperparameter("Passes over the rankings. More than one over-fits quickly.", Unit = "epochs", Source = "InstructGPT C.2", Min = 1, Max = 1000)]
    public int Epochs { get; init; } = 1;

    [Hyperparameter("Rankings per step. Absent: 64, or fewer when that would leave less than 100 steps.", Unit = "rankings", Source = "InstructGPT C.2", Min = 1, Max = 65_536)]
    public int? BatchSize { get; init; }

    [Hyperparameter(MicroBatchHelp, Unit = "rankings", Min = 0, Max = 65_536)]
    public int MicroBatchSize { get; init; }

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

    [Hyperparameter("What a tie between two answers teaches: drop nothing; half that each is as likely to be the better one; margin that their scores differ by less than tie_margin, and that a preferred answer scores more by at least that.",
        Source = "InstructGPT 3.5 drops ties; Rao and Kupper 1967 for margin", Choices = ["drop", "half", "margin"])]
    public string Ties { get; init; } = "drop";

    [Hyperparameter("Difference of scores below which two answers count as tied. Only with ties = margin.", Unit = "reward", Min = 1e-3, Max = 100)]
    public double TieMargin { get; init; } = 0.5;

    [Hyperparameter("How much more the best answer has to score than the worst where the person preferred it significantly (strength 4); less at lower strengths and between answers nearer in rank, nothing at strength 1. Rows without a strength have no margin. 0 = off.",
        Unit = "reward", Source = "Llama 2, arXiv 2307.09288, table 27: 1 or 3", Min = 0, Max = 100)]
    public double StrengthMargin { get; init; }

    [Hyperparameter("Share of what attention and feed-forward add that is dropped at random in training. Helps when rankings are few.", Min = 0, Max = 0.9)]
    public double Dropout { get; init; }

    [Hyperparameter("Which weights become the model: those after the last step, or those that put most validation comparisons in the person's order.", Source = "InstructGPT C.2 takes the last", Choices = ["last", "best"])]
    public string Keep { get; init; } = "last";

    [Hyperparameter("Scalar heads on the one body. Their mean is the score; how much they differ is written beside each score as its uncertainty.", Unit = "heads", Source = "InstructGPT: 1", Min = 1, Max = 64)]
    public int Heads { get; init; } = 1;

    [Hyperparameter("Before the model itself, train this many others, each without the rankings of one group of labelers, and report how well they predict the labelers they learned from and the ones they have never seen. Costs as many trainings. 0 = off.",
        Unit = "groups", Source = "InstructGPT 4.1 and E.2: 5", Min = 0, Max = 100)]
    public int LabelerFolds { get; init; }

    /// <summary>What is made of ties and strength.</summary>
    internal ComparisonRules Rules => new(Ties, TieMargin, StrengthMargin);
}
