using Labeling.Training.Data;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Tests.Data;

public sealed class CrossEntropyTests
{
    // With and without numbers left over beside the vectors of 32; more rows than one piece takes.
    [Theory]
    [InlineData(1, 7)]
    [InlineData(9, 32)]
    [InlineData(5, 4099)]
    public void Loss_gradient_and_first_choices_are_libtorchs(int rows, int vocabulary)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var logits = randn([rows, vocabulary], generator: generator) * 4;
        var targets = randint(vocabulary, [rows], generator: generator);
        targets[0] = logits[0].argmax();
        foreach (var (type, tolerance) in new[] { (ScalarType.Float32, 1e-6), (ScalarType.BFloat16, 4e-3) })
        {
            var stored = logits.to_type(type).clone();
            var expected = stored.to_type(ScalarType.Float32).requires_grad_(true);
            var loss = F.cross_entropy(expected, targets, reduction: nn.Reduction.Sum);
            (loss * 0.25).backward();
            var right = expected.argmax(1).eq(targets).sum().ToInt64();

            var (sum, choices) = CrossEntropy.Differentiate(stored, targets, 0.25);

            Assert.Equal(loss.ToDouble(), sum, 1e-4 * rows);
            Assert.Equal(right, choices);
            Assert.Equal(type, stored.dtype);
            Assert.True(stored.to_type(ScalarType.Float32).allclose(expected.grad!, rtol: tolerance, atol: 1e-8), $"{type}: {(stored.to_type(ScalarType.Float32) - expected.grad!).abs().max().ToDouble()}");
        }
    }

    [Fact]
    public void Of_equal_logits_the_first_is_the_choice()
    {
        using var scope = NewDisposeScope();
        var targets = tensor([1L, 3L]);
        Assert.Equal(1, CrossEntropy.Differentiate(tensor([0f, 2f, 1f, 2f, 0f, 2f, 1f, 2f], [2, 4]), targets, 1).Right);
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    public void What_is_no_number_stays_none(float bad)
    {
        using var scope = NewDisposeScope();
        var logits = zeros(1, 40);
        logits[0, 33] = bad;
        Assert.False(double.IsFinite(CrossEntropy.Differentiate(logits, tensor([2L]), 1).Loss));
        Assert.False(logits.isfinite().all().ToBoolean());
    }

    [Fact]
    public void Large_logits_do_not_overflow()
    {
        using var scope = NewDisposeScope();
        var (loss, _) = CrossEntropy.Differentiate(tensor([1e4f, -1e4f], [1, 2]), tensor([1L]), 1);
        Assert.Equal(2e4, loss, 1e-6);
    }
}
