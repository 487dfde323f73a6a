using Labeling.Training.Native;
using Labeling.Training.Ppo;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Ppo;

/// <summary>Values of the published formulas, worked out by hand or printed by the papers' own code.</summary>
public class PpoMathTests
{
    [Fact]
    public void Kl_estimators()
    {
        Assert.Equal(0.5, PpoMath.K1(-1f, -1.5f), 1e-6);
        Assert.Equal(0.125, PpoMath.K2(-1f, -1.5f), 1e-6);
        Assert.Equal(0.106531, PpoMath.K3(-1f, -1.5f), 1e-6);
        Assert.True(float.IsFinite(PpoMath.K3(-500f, -1f)));
    }

    [Fact]
    public void Generalised_advantage_estimation()
    {
        var advantages = new float[3];
        var returns = new float[3];
        PpoMath.Gae([-.02f, .01f, 1f], [.5f, .4f, .3f], 1, 0.95, advantages, returns);
        AssertClose([0.42625, 0.575, 0.7], advantages, 1e-6);
        AssertClose([0.92625, 0.975, 1.0], returns, 1e-6);
    }

    [Fact]
    public void Gae_with_lambda_one_is_the_sum_of_what_follows()
    {
        float[] rewards = [1, 2, 3], values = [9, 9, 9], advantages = new float[3], returns = new float[3];
        PpoMath.Gae(rewards, values, 1, 1, advantages, returns);
        AssertClose([6, 5, 3], returns, 1e-5);
    }

    [Fact]
    public void Whitening_without_shift_uses_the_biased_variance()
    {
        float[] x = [1.2f, 1.3f, 1.4f, 1.5f, 1.6f, 1.7f, 1.8f, 1.9f, 2.0f];
        PpoMath.Whiten(x, shiftMean: false);
        AssertClose([.0508, .4381, .8254], x[..3], 1e-4);
        PpoMath.Whiten(x);
        var (mean, variance) = PpoMath.MeanAndVariance(x);
        Assert.Equal(0, mean, 1e-6);
        Assert.Equal(1, variance, 1e-5);
    }

    [Fact]
    public void Adaptive_kl_coefficient() => Assert.Equal(0.151536, PpoMath.AdaptKlCoefficient(.15, 12, 6, 1e4, 512), 1e-9);

    [Fact]
    public void Before_any_step_the_ratio_is_one_and_the_loss_is_minus_the_mean_advantage()
    {
        LibTorch.Initialize();
        using var scope = NewDisposeScope();
        var logProbs = tensor(new float[] { -1, -2, -3 }, requires_grad: true);
        var result = PpoMath.PolicyLoss(logProbs, tensor(new float[] { -1, -2, -3 }), tensor(new float[] { 1, -1, 3 }), 0.2);
        Assert.Equal(1, result.Ratio, 1e-7);
        Assert.Equal(0, result.ApproxKl, 1e-7);
        Assert.Equal(0, result.ClipFraction);
        Assert.Equal(-1, result.Loss.item<float>(), 1e-6);
        result.Loss.backward();
        // d/dlogp of -A·ratio/n at ratio 1 is -A/n.
        AssertClose([-1.0 / 3, 1.0 / 3, -1], logProbs.grad!.data<float>().ToArray(), 1e-6);
    }

    [Fact]
    public void A_ratio_past_the_clip_gives_no_gradient_where_it_would_go_further()
    {
        LibTorch.Initialize();
        using var scope = NewDisposeScope();
        // ratios 1.5 (A>0: clipped), 1.5 (A<0: not), 0.5 (A<0: clipped), 0.5 (A>0: not)
        var old = tensor(new float[] { 0, 0, 0, 0 });
        var now = tensor(new[] { MathF.Log(1.5f), MathF.Log(1.5f), MathF.Log(.5f), MathF.Log(.5f) }, requires_grad: true);
        var result = PpoMath.PolicyLoss(now, old, tensor(new float[] { 1, -1, -1, 1 }), 0.2);
        Assert.Equal(0.5, result.ClipFraction);
        Assert.Equal((-1.2 + 1.5 + 0.8 - 0.5) / 4, result.Loss.item<float>(), 1e-6);
        Assert.Equal((1.0, 0.25), (Math.Round(result.Ratio, 6), Math.Round(result.RatioVariance, 6)));
        // A single token has no spread, not an undefined one.
        Assert.Equal(0, PpoMath.PolicyLoss(tensor(new[] { -1f }), tensor(new[] { -1f }), tensor(new[] { 1f }), 0.2).RatioVariance);
        result.Loss.backward();
        AssertClose([0, 1.5 / 4, 0, -.5 / 4], now.grad!.data<float>().ToArray(), 1e-6);
    }

    [Fact]
    public void Value_loss_takes_the_worse_of_clipped_and_plain()
    {
        LibTorch.Initialize();
        using var scope = NewDisposeScope();
        // V=1, old=0, clip .2 -> .2; R=1: plain 0, clipped .64 decides. V=0.1: within the clip, both .81.
        var values = tensor(new[] { 1f, 0.1f }, requires_grad: true);
        var result = PpoMath.ValueLoss(values, tensor(new[] { 0f, 0f }), tensor(new[] { 1f, 1f }), 0.2);
        Assert.Equal(0.5 * (0.64 + 0.81) / 2, result.Loss.item<float>(), 1e-6);
        Assert.Equal(0.5, result.ClipFraction, 1e-6);
        Assert.Equal(0.55, result.Prediction, 1e-6);
        Assert.Equal(0.405, result.Error, 1e-6);
    }

    private static void AssertClose(double[] expected, float[] actual, double tolerance)
    {
        Assert.Equal(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
        {
            Assert.Equal(expected[i], actual[i], tolerance);
        }
    }
}
