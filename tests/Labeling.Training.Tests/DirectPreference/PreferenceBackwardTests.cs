using Labeling.Training.Data;
using Labeling.Training.DirectPreference;
using Labeling.Training.Models;
using Labeling.Training.Optim;
using Labeling.Training.RewardModeling;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.DirectPreference;

/// <summary>However a step is divided, its loss, gradients and figures are those of the published formula over the whole batch.</summary>
public sealed class PreferenceBackwardTests : IDisposable
{
    private const double Beta = 0.3;

    private readonly DisposeScope scope = NewDisposeScope();
    private readonly CausalLm model = CausalLm.New(ModelConfig.GptNeoX(50, 32, 2, 4, 24), 1);

    public void Dispose()
    {
        model.Dispose();
        scope.Dispose();
    }

    private static Sequence Answer(int length, int from, int salt = 0) => new([.. Enumerable.Range(0, length).Select(t => 2 + (((length * 13) + (salt * 7) + (t * 5)) % 47))], from);

    /// <summary>Rankings of 2 to 4 answers of very different lengths, two with ties.</summary>
    private List<DpoStage.Comparison> Rankings =>
    [
        Ranked([1, 2], Answer(20, 4), Answer(5, 4)),
        Ranked([2, 1, 2, 3], Answer(3, 2), Answer(9, 2), Answer(14, 2), Answer(7, 2)),
        Ranked([1, 2, 3], Answer(11, 3), Answer(23, 3), Answer(4, 3)),
        Ranked([2, 1], Answer(6, 5), Answer(6, 5, 1)),
        Ranked([1, 1, 2], Answer(8, 1), Answer(17, 1), Answer(2, 1)),
    ];

    private DpoStage.Comparison Ranked(int[] ranks, params Sequence[] answers)
    {
        var pairs = RankingLoss.Pairs(ranks);
        // A reference apart from the policy, by another amount for each answer.
        return new(answers, pairs, [.. pairs.Select(p => 0.2f * (ranks[p.Worse] - ranks[p.Better]))]) { Reference = [.. answers.Select((a, i) => LogProb(a).item<float>() + (((a.Ids.Length * 3) + i) % 5) - 2)] };
    }

    /// <summary>Log-ratios of mismatched answers of −1 to 3.5: z0 is above 0 for the whole batch, and another number for every part.</summary>
    private List<KtoStage.Judged> Answers =>
    [
        .. new[] { (20, 4, true), (5, 2, false), (9, 3, true), (14, 13, false), (17, 1, true), (3, 1, true), (23, 9, false) }.Select((row, i) =>
        {
            var (answer, mismatched) = (Answer(row.Item1, row.Item2), Answer(row.Item2 + 4, row.Item2, 3));
            return new KtoStage.Judged(answer, row.Item3, mismatched)
            {
                Reference = LogProb(answer).item<float>() + (i % 3) - 1,
                MismatchedReference = LogProb(mismatched).item<float>() + 1 - (0.75f * i),
            };
        }),
    ];

    /// <summary>log π of an answer, alone and without padding.</summary>
    private Tensor LogProb(Sequence row)
    {
        var log = nn.functional.log_softmax(model.Logits(model.Hidden(tensor(row.Ids.Select(i => (long)i).ToArray(), [1, row.Ids.Length]))), -1);
        return Enumerable.Range(row.From, row.Ids.Length - row.From).Select(t => log[0, t - 1, row.Ids[t]]).Aggregate((a, b) => a + b);
    }

    private Dictionary<string, Tensor> Gradients()
    {
        var gradients = model.Parameters.Where(p => p.Value.grad is not null).ToDictionary(p => p.Key, p => p.Value.grad!.clone());
        foreach (var p in model.Parameters.Values) p.grad = null;
        return gradients;
    }

    private void AssertGradients(Dictionary<string, Tensor> expected)
    {
        var gradients = Gradients();
        Assert.Equal(expected.Keys.Order(), gradients.Keys.Order());
        var difference = Math.Sqrt(expected.Sum(g => (g.Value - gradients[g.Key]).square().sum().ToDouble()) / expected.Values.Sum(g => g.square().sum().ToDouble()));
        Assert.InRange(difference, 0, 1e-5);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(9)]
    public void A_dpo_step_is_the_mean_over_rankings_of_the_mean_over_their_pairs(int micro)
    {
        var total = zeros([]);
        var margins = new List<double>();
        var chosen = new List<double>();
        foreach (var ranking in Rankings)
        {
            var rewards = ranking.Answers.Zip(ranking.Reference, (a, r) => Beta * (LogProb(a) - r)).ToList();
            var pairs = ranking.Pairs.Zip(ranking.Margins, (p, m) => -(rewards[p.Better] - rewards[p.Worse] - m).sigmoid().log()).ToList();
            total += pairs.Aggregate((a, b) => a + b) / pairs.Count / Rankings.Count;
            margins.AddRange(ranking.Pairs.Select(p => (double)(rewards[p.Better] - rewards[p.Worse]).item<float>()));
            chosen.AddRange(ranking.Pairs.Select(p => (double)rewards[p.Better].item<float>()));
        }
        total.backward();
        var expected = Gradients();

        var (loss, metrics) = DpoStage.Backward(model, Rankings, new DpoHyperparameters { Beta = Beta, MicroBatchSize = micro }, padId: 0, seed: 1, step: 1);
        Assert.Equal(total.item<float>(), loss, 1e-5);
        AssertGradients(expected);
        Assert.Equal(margins.Average(), metrics["rewards/margins"], 1e-5);
        Assert.Equal(chosen.Average(), metrics["rewards/chosen"], 1e-5);
        Assert.Equal(margins.Count(m => m > 0) / (double)margins.Count, metrics["rewards/accuracies"], 1e-9);
        Assert.InRange(metrics["rewards/accuracies"], 0.1, 0.9);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(9)]
    public void A_kto_step_has_one_reference_point_for_the_whole_batch(int micro)
    {
        var (wanted, unwanted) = (1.5, 0.5);
        var z0 = Answers.Average(a => LogProb(a.Mismatched).item<float>() - (double)a.MismatchedReference);
        Assert.InRange(z0, 1, 2);
        var total = zeros([]);
        foreach (var answer in Answers)
        {
            var apart = Beta * (LogProb(answer.Answer) - answer.Reference - z0);
            total += (answer.Desirable ? wanted * (1 - apart.sigmoid()) : unwanted * (1 - (-apart).sigmoid())) / Answers.Count;
        }
        total.backward();
        var expected = Gradients();

        var settings = new KtoHyperparameters { Beta = Beta, DesirableWeight = wanted, UndesirableWeight = unwanted, MicroBatchSize = micro };
        var (loss, metrics) = KtoStage.Backward(model, Answers, settings, padId: 0, seed: 1, step: 1);
        Assert.Equal(z0, metrics["kl"], 1e-5);
        Assert.Equal(total.item<float>(), loss, 1e-5);
        AssertGradients(expected);
        var rewards = Answers.Where(a => a.Desirable).Average(a => Beta * (LogProb(a.Answer).item<float>() - (double)a.Reference));
        Assert.Equal(rewards, metrics["rewards/chosen"], 1e-5);
    }

    [Theory]
    [InlineData("dpo")]
    [InlineData("kto")]
    public void One_step_by_micro_batches_leaves_the_same_weights(string stage)
    {
        Dictionary<string, Tensor> Step(int micro)
        {
            using var learner = model.Clone();
            // An epsilon of 1 makes the step as long as the gradient; with a small one its sign would decide, which is rounding where it is near 0.
            using var optimizer = new AdamW(learner.Trainable, new AdamWOptions(0.9, 0.95, 1, 0, 1));
            if (stage == "dpo")
            {
                DpoStage.Backward(learner, Rankings, new DpoHyperparameters { MicroBatchSize = micro }, padId: 0, seed: 1, step: 1);
            }
            else
            {
                KtoStage.Backward(learner, Answers, new KtoHyperparameters { MicroBatchSize = micro }, padId: 0, seed: 1, step: 1);
            }
            optimizer.Step(1);
            return learner.Parameters.ToDictionary(p => p.Key, p => p.Value.detach().clone());
        }
        var (whole, parts) = (Step(0), Step(2));
        Assert.Contains(whole, p => (p.Value - model.Parameters[p.Key]).abs().max().ToDouble() > 1e-2);
        Assert.All(whole, p => Assert.True(p.Value.allclose(parts[p.Key], 1e-5, 1e-6), $"{p.Key}: {(p.Value - parts[p.Key]).abs().max().ToDouble()}"));
    }

    [Theory]
    [InlineData("dpo")]
    [InlineData("kto")]
    public void Dropout_of_an_adapter_follows_from_the_seed_alone_and_leaves_the_reference_point(string stage)
    {
        var (rankings, answers) = (Rankings, Answers);
        model.AddLora(new LoraOptions(4, Dropout: 0.3), 3);
        using (no_grad())
        {
            foreach (var (_, matrix) in model.Trainable.Where(t => t.Key.EndsWith(".lora_B.weight", StringComparison.Ordinal))) matrix.normal_(0, 0.1, new Generator(7));
        }
        PreferenceTraining.Described Step(long seed) => stage == "dpo"
            ? DpoStage.Backward(model, rankings, new DpoHyperparameters { MicroBatchSize = 2 }, padId: 0, seed, step: 1)
            : KtoStage.Backward(model, answers, new KtoHyperparameters { MicroBatchSize = 2 }, padId: 0, seed, step: 1);
        var (first, again, other) = (Step(5), Step(5), Step(6));
        Assert.Equal(first.Loss, again.Loss);
        Assert.NotEqual(first.Loss, other.Loss);
        if (stage == "kto")
        {
            Assert.Equal(first.Metrics["kl"], other.Metrics["kl"]);
        }
        Assert.All(model.Parameters.Values, p => Assert.Null(p.grad));
        Assert.All(model.Trainable.Values, p => Assert.True(p.grad!.abs().sum().ToDouble() > 0));
    }
}
