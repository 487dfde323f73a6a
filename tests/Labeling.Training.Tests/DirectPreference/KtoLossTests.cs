using Labeling.Training.Data;
using Labeling.Training.DirectPreference;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.DirectPreference;

public class KtoLossTests
{
    public KtoLossTests() => LibTorch.Initialize();

    [Fact]
    public void Before_any_step_every_answer_is_worth_half_its_weight()
    {
        using var scope = NewDisposeScope();
        var loss = KtoLoss.Compute(tensor(new float[] { 0, 0 }), [true, false], 0, 0.1, desirableWeight: 1, undesirableWeight: 3);
        Assert.Equal((0.5 + 1.5) / 2, loss.item<float>(), 1e-6);
    }

    [Fact]
    public void Wanted_and_unwanted_answers_mirror_each_other_around_the_reference_point()
    {
        using var scope = NewDisposeScope();
        // β(r − z0) = 0.5·(3 − 1) = 1: 1 − σ(1) = 0.268941 when wanted, 1 − σ(−1) = 0.731059 when not.
        Assert.Equal(0.268941, KtoLoss.Compute(tensor(new float[] { 3 }), [true], 1, 0.5).item<float>(), 1e-6);
        Assert.Equal(0.731059, KtoLoss.Compute(tensor(new float[] { 3 }), [false], 1, 0.5).item<float>(), 1e-6);
    }

    [Fact]
    public void The_gradient_pushes_wanted_answers_up_and_unwanted_down()
    {
        using var scope = NewDisposeScope();
        var logRatios = tensor(new float[] { 1, 1 }, requires_grad: true);
        KtoLoss.Compute(logRatios, [true, false], 1, 2).backward();
        // d/dr of −σ(β(r − z0))/n at the reference point is −β/4/n.
        Assert.Equal([-0.25f, 0.25f], logRatios.grad!.data<float>().ToArray());
    }

    [Fact]
    public void The_reference_point_is_the_mean_of_mismatched_log_ratios_and_never_negative()
    {
        Assert.Equal(0.5, KtoLoss.ReferencePoint([1f, 0f]), 1e-9);
        Assert.Equal(0, KtoLoss.ReferencePoint([-3f, 1f]));
        Assert.Equal(0, KtoLoss.ReferencePoint([]));
    }

    [Fact]
    public void Mismatched_answers_belong_to_another_prompt_even_when_most_prompts_are_the_same()
    {
        // Prompts 1 (five times), 2 and 3; the answer tells where it comes from.
        int[] prompts = [1, 1, 1, 2, 1, 1, 3];
        var rows = prompts.Select((p, i) => new Sequence([p, 9, 100 + i, 0], 2)).ToList();
        for (var seed = 0; seed < 50; seed++)
        {
            var mismatched = KtoPairs.Mismatch(rows, 16, seed)!;
            for (var i = 0; i < rows.Count; i++)
            {
                Assert.Equal([prompts[i], 9], mismatched[i].Ids[..2]);
                Assert.NotEqual(prompts[i], prompts[mismatched[i].Ids[2] - 100]);
            }
        }
        Assert.Null(KtoPairs.Mismatch([.. rows.Where(r => r.Ids[0] == 1)], 16, 1));
    }

    [Fact]
    public void A_mismatched_answer_is_cut_to_the_context()
    {
        var mismatched = KtoPairs.Mismatch([new Sequence([1, 2, 3, 4, 5], 4), new Sequence([6, 7, 8, 9], 1)], 5, 1)!;
        Assert.Equal([1, 2, 3, 4, 7], mismatched[0].Ids);
        Assert.Equal([6, 5], mismatched[1].Ids);
    }
}
