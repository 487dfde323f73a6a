using Labeling.Training.Data;
using Labeling.Training.Generation;
using Labeling.Training.GroupPolicy;
using Labeling.Training.Native;
using Labeling.Training.Ppo;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.GroupPolicy;

/// <summary>Values of the published formulas, worked out by hand.</summary>
public class GroupMathTests
{
    [Fact]
    public void Advantages_of_one_group()
    {
        float[] rewards = [1, 0, 0, 1];
        AssertClose([0.86588, -0.86588, -0.86588, 0.86588], GroupMath.GroupRelative(rewards, scale: true), 1e-5);
        AssertClose([0.5, -0.5, -0.5, 0.5], GroupMath.GroupRelative(rewards, scale: false), 1e-6);
        AssertClose([0.66667, -0.66667, -0.66667, 0.66667], GroupMath.LeaveOneOut(rewards), 1e-5);
    }

    [Fact]
    public void Leave_one_out_is_the_centred_reward_times_k_over_k_minus_one_and_two_answers_are_opposites()
    {
        float[] rewards = [3, -1, 4, 1, 5];
        AssertClose([.. GroupMath.GroupRelative(rewards, scale: false).Select(a => a * 5 / 4.0)], GroupMath.LeaveOneOut(rewards), 1e-5);
        AssertClose([3, -3], GroupMath.LeaveOneOut([5, 2]), 1e-6);
    }

    [Fact]
    public void Equal_rewards_teach_nothing()
    {
        AssertClose([0, 0, 0], GroupMath.GroupRelative([2, 2, 2], scale: true), 0);
        AssertClose([0, 0, 0], GroupMath.LeaveOneOut([2, 2, 2]), 0);
    }

    [Fact]
    public void The_kl_penalty_is_k3_and_pulls_back_to_the_reference()
    {
        LibTorch.Initialize();
        using var scope = NewDisposeScope();
        var logProbs = tensor(new float[] { -1, -1, -500 }, requires_grad: true);
        var penalty = GroupMath.KlPenalty(logProbs, tensor(new float[] { -1.5f, -1, -1 }));
        // One token as in Schulman's note, one at the reference, one so far off that exp() is cut at e^20.
        Assert.Equal((0.106531 + 0 + Math.Exp(20) - 21) / 3, penalty.item<float>(), Math.Exp(20) * 1e-6);
        Assert.Equal(0.106531, GroupMath.KlPenalty(logProbs[..1], tensor(new float[] { -1.5f })).item<float>(), 1e-6);
        penalty.backward();
        // d/dlogp of e^d − 1 − d is 1 − e^d.
        AssertClose([(1 - Math.Exp(-0.5)) / 3, 0, 0], logProbs.grad!.data<float>().ToArray(), 1e-6);
    }

    [Fact]
    public void Rloo_pays_for_divergence_in_the_reward_and_grpo_does_not()
    {
        Rollout[] Group() => [Answer(1, [-1, -2], [-2, -3]), Answer(0, [-1], [-1])];
        var rloo = Group();
        GroupPolicyStage.Credit(rloo, new RlooHyperparameters { KlCoefficient = 0.25 });
        // KL 2 costs 0.5: rewards 0.5 and 0, each minus the other.
        Assert.Equal([0f, 0.5f], rloo[0].Rewards);
        Assert.Equal([0.5f, 0.5f], rloo[0].Advantages);
        Assert.Equal([-0.5f], rloo[1].Advantages);
        var grpo = Group();
        GroupPolicyStage.Credit(grpo, new GrpoHyperparameters { KlCoefficient = 0.25, ScaleRewards = false });
        Assert.Equal([0f, 1f], grpo[0].Rewards);
        Assert.Equal([0.5f, 0.5f], grpo[0].Advantages);
        Assert.Equal(2, grpo[0].Kl);
    }

    private static Rollout Answer(float score, float[] logProbs, float[] reference) =>
        new(new PromptRow("p", [], "here"), [7], new Generated([.. logProbs.Select((_, i) => i)], logProbs, FinishReason.Stop)) { Score = score, LogProbs = logProbs, ReferenceLogProbs = reference };

    private static void AssertClose(double[] expected, float[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], tolerance);
        }
    }
}
