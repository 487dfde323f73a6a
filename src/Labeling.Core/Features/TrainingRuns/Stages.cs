using Labeling.Core.Model;

namespace Labeling.Core.Features.TrainingRuns;

/// <summary>What each stage needs and what comes after it in InstructGPT's recipe; DPO takes the place of reward model and PPO.</summary>
internal static class Stages
{
    public static DatasetKind DatasetOf(RunStage stage) => stage switch
    {
        RunStage.Sft => DatasetKind.Demonstrations,
        RunStage.Reward or RunStage.Dpo => DatasetKind.Rankings,
        _ => DatasetKind.Prompts,
    };

    public static string Title(RunStage stage) => stage switch
    {
        RunStage.Sft => "SFT",
        RunStage.Sample => "Sampling",
        RunStage.Reward => "Reward model",
        RunStage.Dpo => "DPO",
        _ => "PPO",
    };

    /// <summary>The new policy of PPO or DPO answers the next prompts: the wheel turns again.</summary>
    public static RunStage Next(RunStage stage) => stage switch
    {
        RunStage.Sft => RunStage.Sample,
        RunStage.Sample => RunStage.Reward,
        RunStage.Reward => RunStage.Ppo,
        _ => RunStage.Sample,
    };
}
