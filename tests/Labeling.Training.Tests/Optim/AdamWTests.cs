using Labeling.Training.Optim;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Optim;

public sealed class AdamWTests : IDisposable
{
    readonly DisposeScope scope = NewDisposeScope();

    public void Dispose() => scope.Dispose();

    static Dictionary<string, Tensor> Parameters() => new()
    {
        ["matrix"] = tensor(new[] { 0.5f, -1.5f, 2f, 0.25f, -0.75f, 1f }, [2, 3]).requires_grad_(true),
        ["bias"] = tensor(new[] { 0.1f, -0.2f, 0.3f }).requires_grad_(true),
    };

    /// <summary>Gradients that differ by step and element: set through a loss whose derivative is the wanted number.</summary>
    static void Differentiate(Dictionary<string, Tensor> parameters, int step, float size = 1)
    {
        foreach (var (name, parameter) in parameters)
            (parameter * Gradient(name, parameter, step, size)).sum().backward();
    }

    static Tensor Gradient(string name, Tensor parameter, int step, float size) =>
        tensor(Enumerable.Range(0, (int)parameter.NumberOfElements).Select(i => size * MathF.Sin(i + 3 * step + name.Length)).ToArray(), parameter.shape);

    /// <summary>The published algorithm in double precision, one number at a time.</summary>
    static double[] Expected(double[] start, bool decayed, Func<int, double[]> gradients, int steps, AdamWOptions o, double rate)
    {
        var w = start.ToArray();
        var (m, v) = (new double[w.Length], new double[w.Length]);
        for (var t = 1; t <= steps; t++)
        {
            var g = gradients(t);
            for (var i = 0; i < w.Length; i++)
            {
                if (decayed) w[i] -= rate * o.WeightDecay * w[i];
                m[i] = o.Beta1 * m[i] + (1 - o.Beta1) * g[i];
                v[i] = o.Beta2 * v[i] + (1 - o.Beta2) * g[i] * g[i];
                var (c1, c2) = (1 - Math.Pow(o.Beta1, t), 1 - Math.Pow(o.Beta2, t));
                w[i] -= o.TensorFlowEpsilon
                    ? rate * Math.Sqrt(c2) / c1 * m[i] / (Math.Sqrt(v[i]) + o.Epsilon)
                    : rate * (m[i] / c1) / (Math.Sqrt(v[i] / c2) + o.Epsilon);
            }
        }
        return w;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Follows_the_published_formula(bool tensorFlowEpsilon)
    {
        // A large epsilon, so that its place in the formula shows.
        var options = new AdamWOptions(0.9, 0.95, 0.05, 0.1, MaxGradientNorm: null, TensorFlowEpsilon: tensorFlowEpsilon);
        var parameters = Parameters();
        var start = parameters.ToDictionary(p => p.Key, p => p.Value.data<float>().ToArray().Select(x => (double)x).ToArray());
        using var optimizer = new AdamW(parameters, options);
        for (var step = 1; step <= 20; step++)
        {
            Differentiate(parameters, step);
            optimizer.Step(0.01);
        }
        foreach (var (name, parameter) in parameters)
        {
            var expected = Expected(start[name], name == "matrix", t => [.. Gradient(name, parameter, t, 1).data<float>().ToArray().Select(x => (double)x)], 20, options, 0.01);
            var actual = parameter.data<float>().ToArray();
            for (var i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 2e-6);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Libtorchs_kernel_takes_the_same_steps(bool tensorFlowEpsilon)
    {
        // Longer than a piece, and of lengths that are not whole vectors.
        Dictionary<string, Tensor> Large() => new()
        {
            ["matrix"] = (arange(70_003, ScalarType.Float32) / 35_000 - 1).reshape(1, 70_003).requires_grad_(true),
            ["bias"] = (arange(37, ScalarType.Float32) / 30).requires_grad_(true),
        };
        var options = new AdamWOptions(0.9, 0.95, 1e-5, 0.1, MaxGradientNorm: 20, TensorFlowEpsilon: tensorFlowEpsilon);
        var (own, libtorchs) = (Large(), Large());
        using var kernel = new AdamW(own, options);
        using var libtorch = new AdamW(libtorchs, options, libtorch: true);
        for (var step = 1; step <= 10; step++)
        {
            Differentiate(own, step);
            Differentiate(libtorchs, step);
            Assert.Equal(libtorch.Step(0.01), kernel.Step(0.01), 1e-3);
        }
        foreach (var (name, parameter) in own) Assert.True(parameter.allclose(libtorchs[name], rtol: 1e-5, atol: 1e-6), name);
        foreach (var (moment, expected) in kernel.State.Zip(libtorch.State)) Assert.True(moment.Value.allclose(expected.Value, rtol: 1e-5, atol: 1e-7), moment.Key);
    }

    [Fact]
    public void Clips_to_the_global_norm_and_reports_the_norm_before()
    {
        var clipped = Parameters();
        var plain = Parameters();
        using var first = new AdamW(clipped, new AdamWOptions(Epsilon: 1, MaxGradientNorm: 0.5));
        using var second = new AdamW(plain, new AdamWOptions(Epsilon: 1, MaxGradientNorm: null));
        Differentiate(clipped, 1, size: 4);
        var norm = Math.Sqrt(clipped.Sum(p => Math.Pow(Gradient(p.Key, p.Value, 1, 4).norm().ToDouble(), 2)));
        Assert.Equal(norm, first.Step(0.1), 1e-5);
        Differentiate(plain, 1, size: (float)(4 * 0.5 / (norm + 1e-6)));
        second.Step(0.1);
        foreach (var name in clipped.Keys) Assert.True(clipped[name].allclose(plain[name], 1e-6, 1e-7));
    }

    [Fact]
    public void A_gradient_that_is_not_a_number_changes_nothing_and_is_named()
    {
        var parameters = Parameters();
        var before = parameters.ToDictionary(p => p.Key, p => p.Value.detach().clone());
        using var optimizer = new AdamW(parameters);
        Differentiate(parameters, 1);
        (parameters["bias"] * float.NaN).sum().backward();
        var error = Assert.Throws<NonFiniteGradientException>(() => optimizer.Step(0.1));
        Assert.Contains("bias", error.Message);
        Assert.Equal(0, optimizer.StepCount);
        foreach (var (name, parameter) in parameters)
        {
            Assert.True(parameter.equal(before[name]).all().ToBoolean());
            Assert.Null(parameter.grad);
        }
        Assert.All(optimizer.State, s => Assert.Equal(0, s.Value.abs().sum().ToDouble()));
    }

    [Fact]
    public void Resumed_from_saved_state_it_is_bit_identical()
    {
        var straight = Parameters();
        var resumed = Parameters();
        using var one = new AdamW(straight);
        for (var step = 1; step <= 10; step++)
        {
            Differentiate(straight, step);
            one.Step(0.01);
        }
        using var before = new AdamW(resumed);
        for (var step = 1; step <= 6; step++)
        {
            Differentiate(resumed, step);
            before.Step(0.01);
        }
        var state = before.State.ToDictionary(s => s.Key, s => s.Value.clone());
        using var after = new AdamW(resumed);
        foreach (var (name, tensor) in after.State) tensor.copy_(state[name]);
        after.Resume(6);
        for (var step = 7; step <= 10; step++)
        {
            Differentiate(resumed, step);
            after.Step(0.01);
        }
        foreach (var name in straight.Keys) Assert.True(straight[name].equal(resumed[name]).all().ToBoolean(), name);
    }

    [Fact]
    public void Parameters_without_a_gradient_stay()
    {
        var parameters = Parameters();
        var bias = parameters["bias"].detach().clone();
        using var optimizer = new AdamW(parameters);
        parameters["matrix"].square().sum().backward();
        optimizer.Step(0.1);
        Assert.True(parameters["bias"].equal(bias).all().ToBoolean());
    }
}
