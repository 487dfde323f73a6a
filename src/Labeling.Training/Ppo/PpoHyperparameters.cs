using Labeling.Training.Data;
using Labeling.Training.Runs;

namespace Labeling.Training.Ppo;

/// <summary>Hyperparameters of the stage "ppo".</summary>
public sealed record PpoHyperparameters : LoraHyperparameters, IRolloutSettings
{
    internal const string MicroBatchHelp = "Answers looked at together within a part; their gradients are added up before the step. Needs less memory and changes no result. 0 = the whole part.";

    [Hyperparameter("Answers sampled and learned from in the whole run.", Unit = "episodes", Source = "InstructGPT: 256,000", Min = 1, Max = 100_000_000)]
    public int Episodes { get; init; } = 8192;

    [Hyperparameter("Answers sampled before each round of learning.", Unit = "episodes", Source = "InstructGPT C.4: 512", Min = 2, Max = 65_536)]
    public int BatchSize { get; init; } = 64;

    [Hyperparameter("Parts a batch is learned from one after the other, each with a step of its own.", Source = "InstructGPT C.4: 8", Min = 1, Max = 1024)]
    public int NumMinibatches { get; init; } = 2;

    [Hyperparameter(MicroBatchHelp, Unit = "episodes", Min = 0, Max = 65_536)]
    public int MicroBatchSize { get; init; }

    [Hyperparameter("Passes over each batch.", Unit = "epochs", Source = "InstructGPT C.4", Min = 1, Max = 100)]
    public int PpoEpochs { get; init; } = 1;

    [Hyperparameter("Step size of the policy. Absent: from the model's size, 1e-4 at 1M parameters falling to 5e-6 at 1.3B.",
        Source = "InstructGPT E.8: stable up to 8e-6 at 1.3B; what the demo learns with at 1M", Min = 0, Max = 1)]
    public double? LearningRate { get; init; }

    [Hyperparameter("Step size of the value model. Absent: from the model's size, 3e-4 at 1M parameters falling to 9e-6 at 6B.", Source = "InstructGPT C.4", Min = 0, Max = 1)]
    public double? ValueLearningRate { get; init; }

    [Hyperparameter("Batches in which both learning rates rise from a tenth.", Unit = "batches", Source = "InstructGPT C.4", Min = 0, Max = 1_000_000)]
    public int WarmupBatches { get; init; } = 10;

    [Hyperparameter("After the rise both learning rates stay constant, or fall in a straight line to 0 at the end of the run.", Source = "InstructGPT C.4: constant; Huang et al. 2024: linear", Choices = ["constant", "linear"])]
    public string LearningRateSchedule { get; init; } = "constant";

    [Hyperparameter("Price of leaving the starting policy: subtracted from the reward per unit of KL divergence. With the adaptive controller, where it starts.",
        Unit = "reward per nat", Source = "InstructGPT C.4", Min = 0, Max = 100)]
    public double KlCoefficient { get; init; } = 0.02;

    [Hyperparameter("fixed keeps the coefficient; adaptive moves it to hold the divergence near kl_target.", Source = "InstructGPT: fixed; Ziegler et al. 2019: adaptive", Choices = ["fixed", "adaptive"])]
    public string KlController { get; init; } = "fixed";

    [Hyperparameter("Divergence per answer the adaptive controller aims at.", Unit = "nats", Source = "Ziegler et al. 2019", Min = 1e-3, Max = 1e6)]
    public double KlTarget { get; init; } = 6;

    [Hyperparameter("How slowly the adaptive controller moves.", Unit = "episodes", Source = "Ziegler et al. 2019", Min = 1, Max = 1e9)]
    public double KlHorizon { get; init; } = 10_000;

    [Hyperparameter("Estimate of the divergence inside the reward: k1 is unbiased and plain, k3 never negative.", Source = "InstructGPT: k1", Choices = ["k1", "k3"])]
    public string KlEstimator { get; init; } = "k1";

    [Hyperparameter("End the run early once the divergence per answer of a batch is above this; 0 = never.", Unit = "nats", Min = 0, Max = 1e6)]
    public double KlStop { get; init; }

    [Hyperparameter("Weight of pre-training: only where the run has rows with the split pretrain (PPO-ptx). Both losses are means per token, so at 1 a token of text pulls as hard as a token whose advantage is 1.",
        Source = "InstructGPT C.4: 27.8 in its own units; DeepSpeed-Chat found that unstable", Min = 0, Max = 1e6)]
    public double PtxCoefficient { get; init; } = 1;

    [Hyperparameter("Pre-training examples per answer learned from.", Unit = "examples", Source = "InstructGPT C.4: 8", Min = 1, Max = 1024)]
    public int PtxExamplesPerEpisode { get; init; } = 1;

    [Hyperparameter("How far the policy may move from the one that sampled before an answer stops counting.", Source = "InstructGPT C.4", Min = 1e-3, Max = 10)]
    public double ClipRange { get; init; } = 0.2;

    [Hyperparameter("How far a value may move from its old one before it stops counting.", Source = "InstructGPT C.4", Min = 1e-3, Max = 1e6)]
    public double ValueClipRange { get; init; } = 0.2;

    [Hyperparameter("Discount of later rewards; 1 = none.", Source = "InstructGPT C.4", Min = 0, Max = 1)]
    public double Gamma { get; init; } = 1;

    [Hyperparameter("Trade between noise (1) and trust in the value model (0) in the advantages.", Source = "Ziegler et al. 2019", Min = 0, Max = 1)]
    public double Lambda { get; init; } = 0.95;

    [Hyperparameter("Scale rewards to unit variance, keeping their mean.", Source = "summarize from feedback: off")]
    public bool WhitenRewards { get; init; }

    [Hyperparameter("Bring scores to mean 0 and deviation 1: reference measures both once on answers of the starting policy, running follows them through the run. Before penalty and limit.",
        Source = "Ziegler et al. 2019: reference; InstructGPT: none", Choices = ["none", "reference", "running"])]
    public string ScoreNormalization { get; init; } = "none";

    [Hyperparameter("Largest score in either direction; 0 = no limit.", Unit = "reward", Source = "DeepSpeed-Chat 5, OpenRLHF 10", Min = 0, Max = 1e6)]
    public double ScoreClip { get; init; } = 10;

    [Hyperparameter("Subtracted from the score of an answer that does not end by itself.", Unit = "reward", Source = "TRL, summarize from feedback: 1", Min = 0, Max = 1e6)]
    public double MissingEosPenalty { get; init; } = 1;

    [Hyperparameter("Randomness of sampling. Log-probabilities are taken at the same temperature.", Source = "InstructGPT C.4", Min = 0.01, Max = 10)]
    public double Temperature { get; init; } = 1;

    [Hyperparameter("Longest answer. The model's context is a limit too.", Unit = "tokens", Min = 1, Max = 1_000_000)]
    public int MaxNewTokens { get; init; } = 64;

    [Hyperparameter("Longest allowed gradient; longer ones are scaled down.", Min = 1e-6, Max = 1e6)]
    public double MaxGradNorm { get; init; } = 1;

    [Hyperparameter("Small number in Adam's denominator.", Source = "Huang et al. 2024, arXiv 2403.17031", Min = 0, Max = 1)]
    public double AdamEpsilon { get; init; } = 1e-5;

    [Hyperparameter("Add that number as TensorFlow 1 does, before the correction of the second moment; the first steps are smaller.", Source = "Ziegler et al. 2019; Huang et al. 2024")]
    public bool TfAdamEpsilon { get; init; }

    [Hyperparameter("Keep a moving average of the policy and save that in the end; each step keeps this share of the old average. 0 = off.", Source = "InstructGPT C.4: 0.992", Min = 0, Max = 0.999999)]
    public double EmaDecay { get; init; }

    [Hyperparameter("Answers of each batch written to rollouts.jsonl for inspection.", Unit = "episodes", Min = 0, Max = 65_536)]
    public int RolloutsLogged { get; init; } = 2;

    [Hyperparameter("Batches between checkpoints.", Unit = "batches", Min = 1, Max = 1_000_000)]
    public int CheckpointEvery { get; init; } = 20;

    [Hyperparameter(Examples.OverlongHelp, Choices = ["error", "skip"])]
    public string Overlong { get; init; } = "error";
}
