using Labeling.Training.Data;
using Labeling.Training.Ppo;
using Labeling.Training.Runs;

namespace Labeling.Training.GroupPolicy;

/// <summary>What the stages "grpo" and "rloo" share.</summary>
public abstract record GroupPolicyHyperparameters : LoraHyperparameters, IRolloutSettings
{
    [Hyperparameter("Answers sampled and learned from in the whole run.", Unit = "episodes", Min = 1, Max = 100_000_000)]
    public int Episodes { get; init; } = 8192;

    [Hyperparameter("Prompts answered before each round of learning.", Unit = "prompts", Source = "Shao et al. 2024: 16", Min = 1, Max = 65_536)]
    public int PromptsPerBatch { get; init; } = 16;

    [Hyperparameter("Answers sampled to each prompt, which are compared with each other.", Unit = "answers", Source = "Ahmadian et al. 2024: 2 and 4; TRL: 8; Shao et al. 2024: 64", Min = 2, Max = 1024)]
    public int AnswersPerPrompt { get; init; } = 4;

    [Hyperparameter("Parts a batch is learned from one after the other, each with a step of its own.", Source = "Shao et al. 2024: one step per batch", Min = 1, Max = 1024)]
    public int NumMinibatches { get; init; } = 1;

    [Hyperparameter(PpoHyperparameters.MicroBatchHelp, Unit = "episodes", Min = 0, Max = 65_536)]
    public int MicroBatchSize { get; init; }

    [Hyperparameter("Passes over each batch.", Unit = "epochs", Source = "Shao et al. 2024", Min = 1, Max = 100)]
    public int NumIterations { get; init; } = 1;

    [Hyperparameter("Step size of the policy. Absent: from the model's size, 1e-4 at 1M parameters falling to 5e-6 at 1.3B.", Source = "as ppo", Min = 0, Max = 1)]
    public double? LearningRate { get; init; }

    [Hyperparameter("Batches in which the learning rate rises from a tenth.", Unit = "batches", Source = "as ppo", Min = 0, Max = 1_000_000)]
    public int WarmupBatches { get; init; } = 10;

    /// <summary>β.</summary>
    public abstract double KlCoefficient { get; init; }

    [Hyperparameter("How far the policy may move from the one that sampled before an answer stops counting.", Source = "Schulman et al. 2017", Min = 1e-3, Max = 10)]
    public double ClipRange { get; init; } = 0.2;

    [Hyperparameter("Subtracted from the score of an answer that does not end by itself.", Unit = "reward", Source = "as ppo", Min = 0, Max = 1e6)]
    public double MissingEosPenalty { get; init; } = 1;

    /// <summary>Nothing is cut: rewards count only relative to those of the same prompt.</summary>
    double IRolloutSettings.ScoreClip => 0;

    [Hyperparameter("Randomness of sampling. Log-probabilities are taken at the same temperature.", Source = "TRL", Min = 0.01, Max = 10)]
    public double Temperature { get; init; } = 1;

    [Hyperparameter("Longest answer. The model's context is a limit too.", Unit = "tokens", Min = 1, Max = 1_000_000)]
    public int MaxNewTokens { get; init; } = 64;

    [Hyperparameter("Longest allowed gradient; longer ones are scaled down.", Min = 1e-6, Max = 1e6)]
    public double MaxGradNorm { get; init; } = 1;

    [Hyperparameter("Answers of each batch written to rollouts.jsonl for inspection.", Unit = "episodes", Min = 0, Max = 65_536)]
    public int RolloutsLogged { get; init; } = 4;

    [Hyperparameter("Batches between checkpoints.", Unit = "batches", Min = 1, Max = 1_000_000)]
    public int CheckpointEvery { get; init; } = 20;

    [Hyperparameter(Examples.OverlongHelp, Choices = ["error", "skip"])]
    public string Overlong { get; init; } = "error";
}

/// <summary>Hyperparameters of the stage "grpo".</summary>
public sealed record GrpoHyperparameters : GroupPolicyHyperparameters
{
    [Hyperparameter("Weight in the loss of the divergence from the starting policy.", Unit = "loss per nat", Source = "Shao et al. 2024", Min = 0, Max = 100)]
    public override double KlCoefficient { get; init; } = 0.04;

    [Hyperparameter("Divide the rewards of a prompt's answers by their standard deviation. Off is Dr. GRPO, which does not favour prompts whose answers hardly differ.", Source = "Shao et al. 2024; off: Liu et al. 2025")]
    public bool ScaleRewards { get; init; } = true;
}

/// <summary>Hyperparameters of the stage "rloo".</summary>
public sealed record RlooHyperparameters : GroupPolicyHyperparameters
{
    [Hyperparameter("Price of leaving the starting policy: subtracted from an answer's reward per unit of KL divergence.", Unit = "reward per nat", Source = "TRL; Ahmadian et al. 2024: 0.03 to 0.1", Min = 0, Max = 100)]
    public override double KlCoefficient { get; init; } = 0.05;
}
