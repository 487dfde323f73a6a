using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Tests.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Data;

public sealed class PackingTests : IDisposable
{
    readonly DisposeScope scope = NewDisposeScope();

    public void Dispose() => scope.Dispose();

    static Sequence[] Sequences(int vocabulary) =>
    [
        .. new[] { 9, 4, 6, 3, 12, 2 }.Select((length, row) => new Sequence([.. Enumerable.Range(0, length).Select(t => 2 + (((row * 31) + (t * 7)) % (vocabulary - 2)))], 1 + (row % 2 * (length - 2)))),
    ];

    [Fact]
    public void Rows_are_as_long_as_the_longest_and_hold_every_sequence_once()
    {
        var sequences = Sequences(50);
        var rows = Packing.Rows(sequences);
        // Inputs 8 + 3, 5 + 2 + 1 and 11 in rows of 11.
        Assert.Equal(3, rows.Count);
        Assert.All(rows, r => Assert.InRange(r.Sum(s => s.Ids.Length - 1), 1, 11));
        Assert.Equal(sequences.Select(s => s.Ids).OrderBy(i => i.Length), rows.SelectMany(r => r).Select(s => s.Ids).OrderBy(i => i.Length));
    }

    /// <summary>Learned, rotary and linear-bias positions, sliding windows: losses and all gradients are those of a row for each sequence.</summary>
    [Theory, MemberData(nameof(GoldenModelTests.LanguageModels), MemberType = typeof(GoldenModelTests))]
    public void Packed_is_unpacked_for_every_family(string source)
    {
        using var model = CausalLm.Load(source);
        var sequences = Sequences(model.Config.VocabularySize);
        var rows = Packing.Rows(sequences);
        var inOrder = rows.SelectMany(r => r).ToList();
        var (packed, packedGradients) = Run(() => model.Logits(Packing.Hidden(model, rows, padId: 0)));
        var (alone, gradients) = Run(() => cat([.. inOrder.Select(s => TokenBatch.Logits(model, [s], padId: 0))], 0));
        Assert.True(packed.allclose(alone, 1e-4, 1e-4), $"{Path.GetFileName(source)}: logits differ by {(packed - alone).abs().max().ToDouble()}");
        foreach (var (name, gradient) in gradients)
            Assert.True(gradient.allclose(packedGradients[name], 1e-3, 1e-4), $"{Path.GetFileName(source)} {name}: gradients differ by {(gradient - packedGradients[name]).abs().max().ToDouble()}");

        (Tensor, Dictionary<string, Tensor>) Run(Func<Tensor> forward)
        {
            var logits = forward();
            nn.functional.cross_entropy(logits, TokenBatch.Targets(inOrder)).backward();
            var all = model.Parameters.Where(p => p.Value.grad is not null).ToDictionary(p => p.Key, p => p.Value.grad!.clone());
            foreach (var p in model.Parameters.Values) p.grad = null;
            return (logits.detach(), all);
        }
    }

    [Theory, InlineData(false), InlineData(true)]
    public void A_sequence_sees_nothing_of_its_neighbours(bool rotary)
    {
        using var model = CausalLm.New(rotary ? ModelConfig.GptNeoX(50, 32, 2, 4, 16) : ModelConfig.Gpt2(50, 32, 2, 4, 16), 1);
        using var noGrad = no_grad();
        Sequence Other(int token) => new([.. Enumerable.Repeat(token, 6)], 5);
        Sequence own = new([7, 8, 9, 10, 11], 1);
        Tensor Between(int token) => model.Logits(Packing.Hidden(model, [[Other(token), own, Other(token + 1)]], padId: 0)).narrow(0, 1, own.Supervised);
        Assert.True(Between(3).equal(Between(20)).all().ToBoolean());
    }

    [Fact]
    public void A_sliding_window_slides_within_its_sequence()
    {
        using var model = CausalLm.New(ModelConfig.GptNeoX(50, 32, 2, 4, 16) with { SlidingWindow = 3 }, 1);
        using var wide = CausalLm.New(ModelConfig.GptNeoX(50, 32, 2, 4, 16), 1);
        using var noGrad = no_grad();
        var (first, second) = (Sequences(50)[0], Sequences(50)[2]);
        var packed = model.Logits(Packing.Hidden(model, [[first, second]], padId: 0));
        Assert.True(packed.allclose(cat([TokenBatch.Logits(model, [first], padId: 0), TokenBatch.Logits(model, [second], padId: 0)], 0), 1e-4, 1e-5));
        Assert.False(packed.allclose(wide.Logits(Packing.Hidden(wide, [[first, second]], padId: 0)), 1e-3, 1e-3));
    }

    [Fact]
    public void A_row_may_be_longer_than_the_positions_when_its_sequences_are_not()
    {
        using var model = CausalLm.New(ModelConfig.Gpt2(50, 32, 1, 4, 8), 1);
        using var noGrad = no_grad();
        Sequence Long(int n) => new([.. Enumerable.Range(1, n)], 1);
        Assert.Equal([14, 50], model.Logits(Packing.Hidden(model, [[Long(8), Long(8)]], padId: 0)).shape);
        Assert.Contains("9 tokens", Assert.Throws<ArgumentException>(() => model.Logits(Packing.Hidden(model, [[Long(10)]], padId: 0))).Message);
    }
}
