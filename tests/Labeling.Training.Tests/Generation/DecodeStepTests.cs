using Labeling.Training.Generation;
using Labeling.Training.Models;
using Labeling.Training.Tests.Models;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Generation;

public sealed class DecodeStepTests
{
    [Fact]
    public void Logits_are_those_of_the_full_pass_for_every_family()
    {
        using var noGrad = no_grad();
        foreach (var path in GoldenFolder.Models("causal-lm"))
        {
            using var scope = NewDisposeScope();
            using var model = CausalLm.Load(path);
            Check(Path.GetFileName(path), model);
        }
        using var windowed = CausalLm.Load(GoldenFolder.Models("causal-lm").First(p => p.EndsWith("mistral", StringComparison.Ordinal)));
        var config = windowed.Config with { SlidingWindow = 5, MaxPositions = 64 };
        using var narrow = CausalLm.New(config with { InitializerRange = 0.3 }, 2);
        Check("sliding window", narrow);
    }

    [Fact]
    public void An_adapter_is_part_of_what_is_decoded_in_every_family()
    {
        using var noGrad = no_grad();
        foreach (var path in GoldenFolder.Models("causal-lm"))
        {
            using var scope = NewDisposeScope();
            using var model = CausalLm.Load(path);
            model.AddLora(new LoraOptions(2), seed: 5);
            using var generator = new Generator(6);
            foreach (var (name, matrix) in model.Trainable) if (name.EndsWith("lora_B.weight", StringComparison.Ordinal)) matrix.normal_(0, 0.05, generator);
            Check(Path.GetFileName(path) + " with an adapter", model);
        }
    }

    [Fact]
    public void Frequencies_that_follow_the_length_are_those_of_the_full_pass_within_the_trained_positions()
    {
        using var noGrad = no_grad();
        using var llama = CausalLm.Load(GoldenFolder.Models("causal-lm").First(p => p.EndsWith("llama", StringComparison.Ordinal)));
        using var dynamic = CausalLm.New(llama.Config with { MaxPositions = 128, TrainedPositions = 32, RopeScaling = new RopeScaling("dynamic", 4), InitializerRange = 0.3 }, 3);
        Assert.True(dynamic.Body.Rotary!.FollowsLength);
        Check("dynamic", dynamic);
    }

    /// <summary>Rows of 22 tokens; the first few are taken over from libtorch's cache, as many as the row's number. Then again by several tokens at once.</summary>
    internal static void Check(string name, CausalLm model)
    {
        const int Rows = 3, Time = 22;
        var ids = randint(2, model.Config.VocabularySize, [Rows, Time], dtype: ScalarType.Int64, generator: new Generator(4));
        var tokens = ids.data<long>().ToArray();
        var expected = model.Logits(model.Hidden(ids));
        using var cache = new DecodeCache(model.Config, Rows + 1, Time);
        using var step = new DecodeStep(model, cache, Rows * Time, Rows * Time);
        using var past = new KeyValueCache(model.Config, Rows, Time);
        model.Hidden(ids, null, past);
        // Slots in another order than rows.
        int[] slots = [2, 3, 0];
        for (var r = 0; r < Rows; r++) cache.Import(past, r, 4 * r, slots[r]);
        for (var t = 0; t < Time - 8; t++)
        {
            step.Run([.. Enumerable.Range(0, Rows).Select(r => (int)tokens[r * Time + 4 * r + t])], slots);
            for (var r = 0; r < Rows; r++)
            {
                var wanted = expected[r, 4 * r + t].data<float>().ToArray();
                var got = step.Logits(r);
                for (var i = 0; i < wanted.Length; i++) Assert.True(MathF.Abs(wanted[i] - got[i]) < 1e-4, $"{name}, row {r}, step {t}: {got[i]} instead of {wanted[i]}");
            }
        }

        // The same rows again, several tokens of each at once: dynamic frequencies are those of a whole pass, which a step does not know.
        if (model.Body.Rotary is { FollowsLength: true }) return;
        Array.Clear(cache.Lengths);
        foreach (var (from, count, logits) in new[] { (0, 9, false), (9, 7, true), (16, 6, true) })
        {
            step.Run([.. Enumerable.Range(0, Rows).SelectMany(r => Enumerable.Range(from, count).Select(t => (int)tokens[r * Time + t]))],
                [.. slots.SelectMany(slot => Enumerable.Repeat(slot, count))], logits);
            for (var r = 0; logits && r < Rows; r++)
                for (var t = 0; t < count; t++)
                {
                    var wanted = expected[r, from + t].data<float>().ToArray();
                    var got = step.Logits(r * count + t);
                    for (var i = 0; i < wanted.Length; i++) Assert.True(MathF.Abs(wanted[i] - got[i]) < 1e-4, $"{name}, row {r}, token {from + t} of several: {got[i]} instead of {wanted[i]}");
                }
        }
    }
}
