using Labeling.Core.Model;

namespace Labeling.Core.Features.TrainingRuns;

/// <summary>What each stage needs and what comes after it in InstructGPT's recipe.</summary>
internal static class Stages
{
    public static DatasetKind DatasetOf(RunStage stage) => stage switch
    {
        RunStage.Sft => DatasetKind.Demonstrations,
        RunStage.Reward => DatasetKind.Rankings,
        _ => DatasetKind.Prompts,
    };

    public static string Title(RunStage stage) => stage switch
    {
        RunStage.Sft => "SFT",
        RunStage.Sample => "Sampling",
        RunStage.Reward => "Reward model",
        _ => "PPO",
    };

    /// <summary>The new policy of PPO answers the next prompts: the wheel turns again.</summary>
    public static RunStage Next(RunStage stage) => stage switch
    {
        RunStage.Sft => RunStage.Sample,
        RunStage.Sample => RunStage.Reward,
        RunStage.Reward => RunStage.Ppo,
        _ => RunStage.Sample,
    };
}
