using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Optim;
using Labeling.Training.Ppo;
using Labeling.Training.Runs;
using Labeling.Training.Tests.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Ppo;

/// <summary>One batch of PPO on real answers, and what happens when something in it is wrong.</summary>
public sealed class PpoLearningTests : IDisposable
{
    private const int Pad = 289;
    private const int Eos = 288;

    private readonly StageWorld world = new();
    private readonly DisposeScope scope = NewDisposeScope();
    private readonly PpoHyperparameters settings = new() { BatchSize = 6, NumMinibatches = 1, MaxNewTokens = 64 };
    private readonly CausalLm policy;
    private readonly CausalLm reference;
    private readonly RewardModel reward;
    private readonly ValueModel value;
    private readonly Learners learners;

    public PpoLearningTests()
    {
        policy = CausalLm.Load(world.In("policy"));
        reference = policy.Clone();
        reward = RewardModel.Load(world.In("reward"));
        value = ValueModel.From(reward);
        learners = new Learners(policy, new AdamW(policy.Parameters, new AdamWOptions(MaxGradientNorm: null)), value, new AdamW(value.Parameters, new AdamWOptions(MaxGradientNorm: null)));
    }

    public void Dispose()
    {
        learners.PolicyOptimizer.Dispose();
        learners.ValueOptimizer.Dispose();
        foreach (var model in new IDisposable[] { policy, reference, reward, value, scope, world })
        {
            model.Dispose();
        }
    }

    /// <summary>Answers sampled from one model and looked at as if they were another's.</summary>
    private List<Rollout> Answers(CausalLm sampled, CausalLm scored, CausalLm against)
    {
        var prompts = Enumerable.Range(0, 6).Select(i => (new PromptRow($"p{i}", [], "here"), Enumerable.Range(3, (6 * i) + 2).ToArray())).ToList();
        var rollouts = Rollouts.Sample(sampled, prompts, settings, Eos, 5, CancellationToken.None);
        Rollouts.Look(rollouts, scored, against, value, reward, settings, Pad);
        Rollouts.Score(rollouts, settings.MissingEosPenalty, settings.ScoreClip);
        Rollouts.Credit(rollouts, settings, 0.02);
        return rollouts;
    }

    private Dictionary<string, double> Learn(List<Rollout> rollouts, PpoHyperparameters with, Func<int, int, List<Sequence>>? ptx = null) =>
        PpoLearning.Learn(rollouts, learners, with, (1e-3, 1e-3), ptx, Pad, 9, 1, new PhaseTimes());

    private Dictionary<string, Tensor> Gradients(List<Rollout> rollouts, int micro)
    {
        PpoLearning.Accumulate(rollouts, learners, settings with { MicroBatchSize = micro }, Pad, 1);
        var gradients = policy.Parameters.Select(p => ("policy/" + p.Key, p.Value)).Concat(value.Parameters.Select(p => ("value/" + p.Key, p.Value)))
            .ToDictionary(p => p.Item1, p => p.Value.grad!.clone());
        learners.PolicyOptimizer.ZeroGradients();
        learners.ValueOptimizer.ZeroGradients();
        return gradients;
    }

    [Fact]
    public void The_first_minibatch_has_ratio_one_and_no_divergence()
    {
        var numbers = Learn(Answers(policy, policy, reference), settings);
        Assert.Equal(1, numbers["val/ratio"], 1e-5);
        Assert.Equal(0, numbers["policy/approxkl_avg"], 1e-9);
        Assert.Equal(0, numbers["val/ratio_var"], 1e-9);
        Assert.Equal(0, numbers["policy/clipfrac_avg"]);
        // Whitened advantages have mean 0.
        Assert.Equal(0, numbers["loss/policy_avg"], 1e-5);
    }

    [Theory]
    [InlineData(0.1f, -0.1f)]
    [InlineData(0.03f, 0.03f)]
    public void Log_probabilities_that_training_cannot_reproduce_stop_the_run_before_the_first_step(float even, float odd)
    {
        var rollouts = Answers(policy, policy, reference);
        foreach (var r in rollouts)
        {
            r.LogProbs = [.. r.LogProbs.Select((p, t) => p + (t % 2 == 0 ? even : odd))];
        }
        var before = policy.Parameters.ToDictionary(p => p.Key, p => p.Value.detach().clone());
        Assert.Contains("instead of 1", Assert.Throws<SelfCheckException>(() => Learn(rollouts, settings)).Message, StringComparison.Ordinal);
        Assert.All(policy.Parameters, p => Assert.True(p.Value.equal(before[p.Key]).all().ToBoolean(), p.Key));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    public void Micro_batches_have_the_gradient_of_the_whole(int micro)
    {
        var rollouts = Answers(policy, policy, reference);
        Assert.True(rollouts.Select(r => r.Response.Length).Distinct().Count() > 1, "The answers should have different lengths.");
        var whole = Gradients(rollouts, 0);
        foreach (var (name, gradient) in Gradients(rollouts, micro))
        {
            Assert.True(gradient.allclose(whole[name], 1e-4, 1e-6), $"{name}: {(gradient - whole[name]).abs().max().ToSingle()}");
        }
    }

    [Fact]
    public void The_mix_adds_gamma_times_the_gradient_of_the_mean_loss_per_token()
    {
        var rollouts = Answers(policy, policy, reference);
        List<Sequence> text = [new([5, 6, 7, 8, Eos], 1), new([9, 10, Eos], 1), new([11, 12, 13, 14, 15], 3)];
        var expected = Gradients(rollouts, 0).Where(g => g.Key.StartsWith("policy/", StringComparison.Ordinal)).ToDictionary(g => g.Key, g => g.Value);
        // The same from whole logits, row by row: 4 + 2 + 2 supervised tokens.
        double total = 0;
        foreach (var row in text)
        {
            var all = nn.functional.log_softmax(policy.Logits(policy.Hidden(tensor(row.Ids.Select(i => (long)i).ToArray(), [1, row.Ids.Length]))), -1);
            var losses = Enumerable.Range(row.From, row.Supervised).Select(t => -all[0, t - 1, row.Ids[t]]).ToList();
            var sum = losses.Aggregate((a, b) => a + b);
            total += sum.item<float>() / 8;
            (sum * (2.5 / 8)).backward();
        }
        foreach (var (name, parameter) in policy.Parameters)
        {
            expected["policy/" + name] += parameter.grad!;
        }
        learners.PolicyOptimizer.ZeroGradients();
        var asked = new List<(int, int)>();
        var numbers = Learn(rollouts, settings with { PtxCoefficient = 2.5, PtxExamplesPerEpisode = 1, MicroBatchSize = 2 }, (drawn, count) =>
        {
            asked.Add((drawn, count));
            return text;
        });
        Assert.Equal([(0, 6)], asked);
        Assert.Equal(total, numbers["loss/ptx_avg"], 1e-5);
        var norm = Math.Sqrt(expected.Values.Sum(g => g.square().sum().ToDouble()));
        Assert.Equal(norm, numbers["policy/grad_norm"], 1e-4 * norm);
    }

    [Fact]
    public void Answers_of_another_policy_make_the_estimate_negative_and_persistence_ends_the_run()
    {
        using (no_grad())
        {
            var generator = new Generator(3);
            foreach (var tensor in policy.Parameters.Values.Where(t => t.dim() == 2))
            {
                tensor.add_(empty(tensor.shape).normal_(0, 0.5, generator));
            }
        }
        // Sampled from the reference: the estimate is minus a divergence.
        var kl = Answers(reference, policy, reference).Average(r => r.Kl);
        Assert.True(kl < -1, $"{kl}");
        Assert.True(Answers(policy, policy, reference).Average(r => r.Kl) > 0);
        var warnings = new List<string>();
        var row = Enumerable.Range(1, 4).Aggregate(0, (before, step) => PpoChecks.LowKlInARow(kl, before, step, warnings.Add));
        Assert.Equal(4, row);
        Assert.Equal(4, warnings.Count);
        Assert.Equal(0, PpoChecks.LowKlInARow(-0.5, row, 5, warnings.Add));
        Assert.Contains("in 5 batches in a row", Assert.Throws<SelfCheckException>(() => PpoChecks.LowKlInARow(kl, row, 5, warnings.Add)).Message, StringComparison.Ordinal);
        Assert.Equal(4, warnings.Count);
    }

    [Fact]
    public void Answers_from_another_policy_than_the_one_that_scores_them_are_noticed()
    {
        PpoChecks.SampledAlike(Answers(policy, policy, reference), 3);
        using (no_grad())
        {
            reference.Parameters["transformer.ln_f.weight"].mul_(1.5);
        }
        var error = Assert.Throws<SelfCheckException>(() => PpoChecks.SampledAlike(Answers(policy, reference, reference), 3));
        Assert.StartsWith("Step 3: the log-probabilities that answers were sampled with", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("the policy's log-probabilities")]
    [InlineData("the reference policy's log-probabilities")]
    [InlineData("the value model's values")]
    [InlineData("the reward model's score")]
    public void What_is_not_a_number_is_named_with_its_prompt(string what)
    {
        var rollouts = Answers(policy, policy, reference);
        PpoChecks.AllFinite(rollouts, 3);
        var spoiled = rollouts[2];
        switch (what)
        {
            case "the policy's log-probabilities":
                spoiled.LogProbs[^1] = float.NaN;
                break;
            case "the reference policy's log-probabilities":
                spoiled.ReferenceLogProbs[0] = float.NegativeInfinity;
                break;
            case "the value model's values":
                spoiled.Values[0] = float.NaN;
                break;
            default:
                spoiled.ModelScore = float.PositiveInfinity;
                break;
        }
        Assert.StartsWith($"Step 3: {what} of prompt p2 are not finite", Assert.Throws<NonFiniteException>(() => PpoChecks.AllFinite(rollouts, 3)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_score_is_normalised_then_penalised_then_clipped()
    {
        var rollouts = Answers(policy, policy, reference);
        var moments = new ScoreMoments(null);
        moments.Add([1, 2, 3, 6]);
        Assert.Equal(3, moments.Mean, 1e-12);
        Assert.Equal(Math.Sqrt(3.5), moments.Deviation, 1e-12);
        var resumed = new ScoreMoments(System.Text.Json.Nodes.JsonNode.Parse(moments.ToJson().ToJsonString()));
        Assert.Equal((moments.Count, moments.Mean, moments.Deviation), (resumed.Count, resumed.Mean, resumed.Deviation));
        Rollouts.Score(rollouts, missingEosPenalty: 2, scoreClip: 3, resumed);
        Assert.All(rollouts, r => Assert.Equal(Math.Clamp(((r.ModelScore - 3) / Math.Sqrt(3.5)) - (r.Ended ? 0 : 2), -3, 3), r.Score, 1e-5));
        Assert.Contains(rollouts, r => r.Score == -3f);
    }

    [Fact]
    public void The_score_stands_on_the_last_token_of_the_answer_and_the_price_of_divergence_on_every_one()
    {
        var rollouts = Answers(policy, policy, reference);
        foreach (var r in rollouts)
        {
            r.ReferenceLogProbs = [.. r.LogProbs.Select(p => p - 0.5f)];
        }
        Rollouts.Credit(rollouts, settings, 0.1);
        Assert.All(rollouts, r =>
        {
            Assert.Equal(r.Score - 0.05, r.Rewards[^1], 1e-5);
            Assert.All(r.Rewards[..^1], reward => Assert.Equal(-0.05, reward, 1e-6));
            Assert.Equal(0.5 * r.Response.Length, r.Kl, 1e-4);
        });
        // The score is that of prompt and answer alone, read at their last token.
        using var frozen = no_grad();
        Assert.All(rollouts, r => Assert.Equal(reward.Rewards(tensor(r.Sequence.Ids.Select(i => (long)i).ToArray(), [1, r.Sequence.Ids.Length])).ToSingle(), r.ModelScore, 1e-5));
    }
}
