using Labeling.Training.Data;
using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Data;

public class ProductSizesTests
{
    [Theory]
    [InlineData(1, 8)]
    [InlineData(8, 8)]
    [InlineData(9, 16)]
    [InlineData(100, 104)]
    [InlineData(256, 256)]
    [InlineData(257, 288)]
    [InlineData(1000, 1024)]
    public void Bfloat16_gets_the_next_size_in_use(int size, int expected)
    {
        Assert.Equal(expected, ProductSizes.Padded(ScalarType.BFloat16, size));
        Assert.Equal(size, ProductSizes.Padded(ScalarType.Float32, size));
    }

    [Fact]
    public void Sizes_are_few_and_near()
    {
        for (var low = 64; low < 1 << 20; low *= 2)
        {
            var sizes = Enumerable.Range(low + 1, low).Select(size => (size, Padded: ProductSizes.Padded(ScalarType.BFloat16, size))).ToList();
            Assert.InRange(sizes.Select(s => s.Padded).Distinct().Count(), 1, 8);
            Assert.All(sizes, s => Assert.InRange(s.Padded, s.size, s.size + low / 8));
        }
    }

    [Fact]
    public void A_row_is_not_padded_past_the_models_last_position()
    {
        using var model = CausalLm.New(ModelConfig.Gpt2(50, 16, 1, 2, 30), seed: 1);
        model.ComputeType = ScalarType.BFloat16;
        Assert.Equal([24, 30, 30], new[] { 17, 25, 30 }.Select(longest => TokenBatch.Time(model, longest)));
        using var scope = NewDisposeScope();
        Assert.Equal(29, TokenBatch.Hidden(model, [new Sequence([.. Enumerable.Range(1, 30)], 1)], 0).shape[0]);
    }
}
