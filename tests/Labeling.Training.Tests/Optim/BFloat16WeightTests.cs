using Labeling.Training.Checkpoints;
using Labeling.Training.Data;
using Labeling.Training.Generation;
using Labeling.Training.Models;
using Labeling.Training.Native;
using Labeling.Training.Optim;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Tests.Optim;

public sealed class BFloat16WeightTests : IDisposable
{
    // Whole vectors and a rest, and more than one of the optimizer's pieces.
    const int Inputs = 331, Outputs = 203;

    readonly DisposeScope scope = NewDisposeScope();
    readonly Generator random = new(3);

    public void Dispose() => scope.Dispose();

    Tensor Random(params long[] shape) => randn(shape, generator: random);

    Tensor Weight(bool transposed) => Random(transposed ? Inputs : Outputs, transposed ? Outputs : Inputs).requires_grad_(true);

    static AdamW Optimizer(params Tensor[] weights) => new(weights.Select((w, i) => KeyValuePair.Create($"w{i}", w)), new AdamWOptions(MaxGradientNorm: 0.5));

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Steps_are_those_of_converted_weights_and_gradients_to_the_bit(bool transposed)
    {
        var ours = Weight(transposed);
        var theirs = ours.detach().clone().requires_grad_(true);
        using var optimizer = Optimizer(ours);
        using var reference = Optimizer(theirs);
        for (var step = 0; step < 3; step++)
        {
            var (x, outer) = (Random(2, 9, Inputs).bfloat16(), Random(2, 9, Outputs).bfloat16());
            var (first, second) = (x.clone().requires_grad_(true), x.clone().requires_grad_(true));
            AutogradFunction.RunBackward(BFloat16Product.Apply(first, ours, transposed), outer);
            Assert.Null(ours.grad);
            var own = theirs.to_type(ScalarType.BFloat16);
            F.linear(second.view(-1, Inputs), transposed ? own.t() : own).backward([outer.view(-1, Outputs)]);
            Assert.True(first.grad!.equal(second.grad!).all().ToBoolean());
            Assert.Equal(reference.Step(0.01), optimizer.Step(0.01));
            Assert.True(ours.equal(theirs).all().ToBoolean());
            Assert.True(BFloat16Weight.Of(ours).equal(theirs.to_type(ScalarType.BFloat16)).all().ToBoolean());
            Assert.All(optimizer.State.Zip(reference.State), pair => Assert.True(pair.First.Value.equal(pair.Second.Value).all().ToBoolean()));
        }
    }

    [Fact]
    public void The_copy_is_the_weight_whoever_wrote_it()
    {
        var weight = Weight(transposed: false);
        using var optimizer = Optimizer(weight);
        void Same() => Assert.True(BFloat16Weight.Of(weight).equal(weight.to_type(ScalarType.BFloat16)).all().ToBoolean());
        void Step()
        {
            AutogradFunction.RunBackward(BFloat16Product.Apply(Random(4, Inputs).bfloat16(), weight), Random(4, Outputs).bfloat16());
            optimizer.Step(0.01);
        }
        Same();
        using (no_grad()) weight.mul_(3);
        Same();
        Step();
        using (no_grad()) weight.narrow(0, 7, 1).copy_(Random(1, Inputs));
        Same();
        Step();
        Step();
        Same();
        // Not read between two steps.
        weight.grad = ones_like(weight);
        optimizer.Step(0.01);
        weight.grad = ones_like(weight);
        optimizer.Step(0.01);
        Same();
        var path = Path.GetTempFileName();
        try
        {
            SafetensorsFile.Write(path, [KeyValuePair.Create("w", Random(Outputs, Inputs))]);
            using var file = SafetensorsFile.Open(path);
            file.CopyTo("w", weight);
        }
        finally
        {
            File.Delete(path);
        }
        Same();
        Step();
        Same();
    }

    [Fact]
    public void Generation_between_steps_changes_nothing()
    {
        var config = ModelConfig.Gpt2(50, 32, 2, 2, 128);
        using var generating = CausalLm.New(config, seed: 1);
        using var training = CausalLm.New(config, seed: 1);
        (generating.ComputeType, training.ComputeType) = (ScalarType.BFloat16, ScalarType.BFloat16);
        using var first = new AdamW(generating.Parameters);
        using var second = new AdamW(training.Parameters);
        var ids = randint(0, 50, [4, 100], generator: random);
        for (var step = 0; step < 3; step++)
        {
            using (inference_mode()) generating.Hidden(ids);
            // Long enough for libtorch to read it.
            BatchGenerator.Generate(generating, [[.. Enumerable.Range(0, 100).Select(i => i % 50)]], [1], 4);
            double Step(CausalLm model, AdamW optimizer)
            {
                using var inner = NewDisposeScope();
                var loss = NextTokenLoss.Backward(model, model.Hidden(ids).view(400, -1), ids.view(-1)).Loss;
                return loss + optimizer.Step(0.01);
            }
            Assert.Equal(Step(training, second), Step(generating, first));
        }
        Assert.All(generating.Parameters, p => Assert.True(p.Value.equal(training.Parameters[p.Key]).all().ToBoolean(), p.Key));
    }

    [Fact]
    public void Gradients_of_several_passes_are_added_in_float32()
    {
        var weight = Weight(transposed: false);
        using var optimizer = Optimizer(weight);
        var passes = Enumerable.Range(0, 3).Select(_ => (X: Random(5, Inputs).bfloat16(), Outer: Random(5, Outputs).bfloat16())).ToList();
        foreach (var (x, outer) in passes) AutogradFunction.RunBackward(BFloat16Product.Apply(x, weight), outer);
        BFloat16Weight.Settle(weight);
        var expected = passes.Select(p => p.Outer.t().matmul(p.X).to_type(ScalarType.Float32)).Aggregate((a, b) => a + b);
        Assert.True(weight.grad!.equal(expected).all().ToBoolean());
        optimizer.ZeroGradients();
        Assert.Null(weight.grad);
        AutogradFunction.RunBackward(BFloat16Product.Apply(passes[0].X, weight), passes[0].Outer);
        optimizer.ZeroGradients();
        Assert.Equal(0, optimizer.Step(1));
    }

    [Fact]
    public void What_a_product_kept_and_what_libtorch_added_are_one_gradient()
    {
        var weight = Weight(transposed: false);
        var twin = weight.detach().clone().requires_grad_(true);
        using var optimizer = Optimizer(weight);
        using var reference = Optimizer(twin);
        var (x, outer, wide) = (Random(5, Inputs).bfloat16(), Random(5, Outputs).bfloat16(), Random(Outputs, Inputs));
        AutogradFunction.RunBackward(BFloat16Product.Apply(x, weight), outer);
        AutogradFunction.RunBackward((weight * wide).sum());
        twin.grad = outer.t().matmul(x).to_type(ScalarType.Float32) + wide;
        Assert.Equal(reference.Step(0.01), optimizer.Step(0.01));
        Assert.True(weight.equal(twin).all().ToBoolean());
    }

    [Fact]
    public void A_gradient_that_is_not_finite_is_named_and_changes_nothing()
    {
        var weight = Weight(transposed: false);
        using var optimizer = Optimizer(weight);
        var before = weight.detach().clone();
        AutogradFunction.RunBackward(BFloat16Product.Apply(full([1, Inputs], float.PositiveInfinity).bfloat16(), weight), ones(1, Outputs).bfloat16());
        Assert.Contains("w0", Assert.Throws<NonFiniteGradientException>(() => optimizer.Step(0.01)).Message);
        Assert.True(weight.equal(before).all().ToBoolean());
    }

    [Fact]
    public void After_the_optimizer_gradients_are_libtorchs()
    {
        var weight = Weight(transposed: false);
        using var other = Optimizer(weight);
        Optimizer(weight).Dispose();
        var (x, outer) = (Random(5, Inputs).bfloat16(), Random(5, Outputs).bfloat16());
        AutogradFunction.RunBackward(BFloat16Product.Apply(x, weight), outer);
        Assert.True(weight.grad!.equal(outer.t().matmul(x).to_type(ScalarType.Float32)).all().ToBoolean());
        Assert.True(other.Step(0.01) > 0);
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.BFloat16)]
    public void An_embedding_that_is_the_heads_weight_too_gets_both_gradients(ScalarType type)
    {
        var weight = Random(50, 24).requires_grad_(true);
        using var optimizer = Optimizer(weight);
        var ids = tensor(new long[] { 3, 49, 3, 0, 7, 3 }).view(2, 3);
        var (outer, x, logits) = (Random(2, 3, 24), Random(6, 24).to_type(type), Random(6, 50).to_type(type));
        var table = weight.detach().clone().requires_grad_(true);
        (table.index_select(0, ids.view(-1)) * outer.view(-1, 24)).sum().backward();
        var expected = table.grad!.clone();

        // By itself, and after the head's backward pass.
        AutogradFunction.RunBackward((Embedding.Rows(weight, ids) * outer).sum());
        Assert.True(weight.grad!.equal(expected).all().ToBoolean());
        weight.grad = null;
        AutogradFunction.RunBackward(type == ScalarType.BFloat16 ? BFloat16Product.Apply(x, weight) : F.linear(x, weight), logits);
        AutogradFunction.RunBackward((Embedding.Rows(weight, ids) * outer).sum());
        expected += logits.t().matmul(x).to_type(ScalarType.Float32);
        Assert.True((weight.grad! - expected).abs().max().ToDouble() < 1e-5);
    }
}
