using Labeling.Training.Data;
using Labeling.Training.GroupPolicy;
using Labeling.Training.Models;
using Labeling.Training.Ppo;
using Labeling.Training.Tests.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.GroupPolicy;

/// <summary>One minibatch of GRPO and RLOO on real answers.</summary>
public sealed class GroupPolicyLearningTests : IDisposable
{
    private const int Pad = 289;
    private const int Eos = 288;

    private readonly StageWorld world = new();
    private readonly DisposeScope scope = NewDisposeScope();
    private readonly CausalLm policy;
    private readonly CausalLm reference;
    private readonly RewardModel reward;

    public GroupPolicyLearningTests()
    {
        policy = CausalLm.Load(world.In("policy"));
        reference = policy.Clone();
        reward = RewardModel.Load(world.In("reward"));
        // A policy that has left its reference, so that GRPO's penalty has a gradient.
        using var frozen = no_grad();
        var generator = new Generator(3);
        foreach (var tensor in reference.Parameters.Values.Where(t => t.dim() == 2)) tensor.add_(empty(tensor.shape).normal_(0, 0.3, generator));
    }

    public void Dispose()
    {
        foreach (var owned in new IDisposable[] { policy, reference, reward, scope, world }) owned.Dispose();
    }

    private static GroupPolicyHyperparameters Settings(string stage, int micro) =>
        stage == "grpo" ? new GrpoHyperparameters { MicroBatchSize = micro, MaxNewTokens = 64 } : new RlooHyperparameters { MicroBatchSize = micro, MaxNewTokens = 64 };

    private List<Rollout> Answers(GroupPolicyHyperparameters settings)
    {
        var prompts = Enumerable.Range(0, 6).Select(i => (new PromptRow($"p{i / 2}", [], "here"), Enumerable.Range(3, (6 * (i / 2)) + 2).ToArray())).ToList();
        var rollouts = Rollouts.Sample(policy, prompts, settings, Eos, 5, CancellationToken.None);
        Rollouts.Look(rollouts, policy, reference, null, reward, settings, Pad);
        Rollouts.Score(rollouts, settings.MissingEosPenalty, scoreClip: 0);
        foreach (var group in rollouts.Chunk(2)) GroupPolicyStage.Credit(group, settings);
        return rollouts;
    }

    private (Dictionary<string, double> Numbers, Dictionary<string, Tensor> Gradients) Accumulate(List<Rollout> rollouts, GroupPolicyHyperparameters settings)
    {
        var numbers = GroupPolicyLearning.Accumulate(rollouts, policy, settings, Pad, 1);
        var gradients = policy.Parameters.ToDictionary(p => p.Key, p => p.Value.grad!.clone());
        foreach (var p in policy.Parameters.Values) p.grad = null;
        return (numbers, gradients);
    }

    [Theory]
    [InlineData("grpo", 1)]
    [InlineData("grpo", 4)]
    [InlineData("rloo", 1)]
    [InlineData("rloo", 4)]
    public void Micro_batches_change_neither_numbers_nor_gradients(string stage, int micro)
    {
        var rollouts = Answers(Settings(stage, 0));
        Assert.True(rollouts.Select(r => r.Response.Length).Distinct().Count() > 1, "The answers should have different lengths.");
        var (numbers, gradients) = Accumulate(rollouts, Settings(stage, 0));
        var divided = Accumulate(rollouts, Settings(stage, micro));
        Assert.Equal(numbers.Keys, divided.Numbers.Keys);
        Assert.All(numbers, n => Assert.Equal(n.Value, divided.Numbers[n.Key], 1e-5));
        var difference = gradients.Sum(g => (g.Value - divided.Gradients[g.Key]).square().sum().ToDouble());
        Assert.InRange(Math.Sqrt(difference / gradients.Values.Sum(g => g.square().sum().ToDouble())), 0, 1e-6);
        Assert.True(numbers["kl"] > 1e-3, "The policy should have left its reference.");
    }
}
