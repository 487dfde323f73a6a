using Labeling.Training.DirectPreference;
using Labeling.Training.Evaluation;
using Labeling.Training.GroupPolicy;
using Labeling.Training.Ppo;
using Labeling.Training.Pretraining;
using Labeling.Training.RewardModeling;
using Labeling.Training.Sampling;
using Labeling.Training.Sft;
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
    public static IReadOnlyList<string> Names { get; } = ["filter", "dedup", "tokenizer", "pretrain", "sft", "sample", "reward", "ppo", "dpo", "kto", "grpo", "rloo", "best-of-n", "evaluate"];

    /// <summary>All stages with their hyperparameters.</summary>
    public static IReadOnlyList<StageDescription> Describe() =>
    [
        new("filter", "Keeps the rows of raw text that look like given good ones.", Hyperparameters.Describe(typeof(FilterHyperparameters))),
        new("dedup", "Leaves out rows of raw text that say the same as another row, exactly or nearly.", Hyperparameters.Describe(typeof(DedupHyperparameters))),
        new("tokenizer", "Learns a byte-level BPE vocabulary from raw text.", Hyperparameters.Describe(typeof(TokenizerHyperparameters))),
        new("pretrain", "Trains a language model on raw text, from scratch or from a base model.", Hyperparameters.Describe(typeof(PretrainHyperparameters))),
        new("sft", "Supervised fine-tuning: teaches a base model to answer as the demonstrations do.", Hyperparameters.Describe(typeof(SftHyperparameters))),
        new("sample", "Samples several answers per prompt from one or more models, for people to rank.", Hyperparameters.Describe(typeof(SampleHyperparameters))),
        new("reward", "Trains a reward model that scores answers as the rankings do.", Hyperparameters.Describe(typeof(RewardHyperparameters))),
        new("ppo", "Improves the policy against the reward model while keeping it near where it started (PPO).", Hyperparameters.Describe(typeof(PpoHyperparameters))),
        new("dpo", "Improves the policy on rankings or pairs directly, without a reward model (DPO, IPO).", Hyperparameters.Describe(typeof(DpoHyperparameters))),
        new("kto", "Improves the policy on single answers that are wanted or not (KTO).", Hyperparameters.Describe(typeof(KtoHyperparameters))),
        new("grpo", "Improves the policy against the reward model by comparing several answers to each prompt, without a value model (GRPO).", Hyperparameters.Describe(typeof(GrpoHyperparameters))),
        new("rloo", "As grpo, with the mean of the other answers as baseline and the divergence inside the reward (RLOO).", Hyperparameters.Describe(typeof(RlooHyperparameters))),
        new("best-of-n", "Samples several answers to each prompt and keeps the one the reward model scores highest, as demonstrations for sft (rejection sampling).", Hyperparameters.Describe(typeof(BestOfNHyperparameters))),
        new("evaluate", "Measures models: how well they predict text, how many questions they answer right, or which of two answers better.", Hyperparameters.Describe(typeof(EvaluateHyperparameters))),
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
            case "filter":
                FilterStage.Run(run);
                break;
            case "dedup":
                DedupStage.Run(run);
                break;
            case "tokenizer":
                TokenizerStage.Run(run);
                break;
            case "pretrain":
                PretrainStage.Run(run);
                break;
            case "sft":
                SftStage.Run(run);
                break;
            case "sample":
                SampleStage.Run(run);
                break;
            case "reward":
                RewardStage.Run(run);
                break;
            case "ppo":
                PpoStage.Run(run);
                break;
            case "dpo":
                DpoStage.Run(run);
                break;
            case "kto":
                KtoStage.Run(run);
                break;
            case "grpo" or "rloo":
                GroupPolicyStage.Run(run);
                break;
            case "best-of-n":
                BestOfNStage.Run(run);
                break;
            case "evaluate":
                EvaluateStage.Run(run);
                break;
            default:
                throw new BadInputException($"Unknown stage '{run.Spec.Stage}'; {Nearest.Hint(run.Spec.Stage, Names)}.");
        }
    }
}
