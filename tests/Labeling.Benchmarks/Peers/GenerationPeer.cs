using Labeling.Training.Generation;
using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Benchmarks.Peers;

/// <summary>
/// Ours against llama.cpp on the same weights, greedily, in turns: reading prompts, decoding 64 tokens after 32, and both together, where
/// ours also copies the weights, as it must when they change between calls. The best of the turns counts on either side.
/// </summary>
internal static class GenerationPeer
{
    private const int New = 64;
    private const int Checked = 16;
    private const float Rounding = 1e-4f;

    private static readonly (int Rows, int Length)[] Shapes = [(1, 32), (8, 32), (32, 32), (1, 256)];

    /// <summary>The shape of SmolLM2-135M.</summary>
    private static readonly ModelConfig Config = new()
    {
        ModelType = "llama",
        VocabularySize = 49152,
        HiddenSize = 576,
        Layers = 30,
        Heads = 9,
        KeyValueHeads = 3,
        HeadSize = 64,
        IntermediateSize = 1536,
        MaxPositions = 512,
        Activation = Activation.Silu,
        Positions = PositionKind.Rotary,
        RopeTheta = 100_000,
        QueryKeyValueBias = false,
        AttentionOutputBias = false,
        FeedForwardBias = false,
    };

    public static IEnumerable<Measurement> Run(string only, string? named)
    {
        var types = new[] { ScalarType.Float32, ScalarType.BFloat16 };
        var cases = types.SelectMany(type => Shapes.Select(shape => (type, shape, Name: $"llama.cpp, SmolLM2-135M {type}, batch {shape.Rows}, prompt {shape.Length}")))
            .Where(c => c.Name.Contains(only, StringComparison.OrdinalIgnoreCase)).ToList();
        if (cases.Count == 0 || LlamaCppFolder.Find(named) is not { } folder) yield break;
        foreach (var ofType in cases.GroupBy(c => c.type))
        {
            var file = Path.GetTempFileName();
            try
            {
                using var model = CausalLm.New(Config, seed: 1);
                if (ofType.Key == ScalarType.BFloat16) GenerationBenchmark.RoundToBFloat16(model);
                model.ComputeType = ofType.Key;
                GgufFile.Write(file, model, ofType.Key);
                using var peer = new LlamaCppPeer(folder, file, Config.VocabularySize);
                foreach (var (_, (rows, length), name) in ofType)
                    foreach (var measurement in Compare(model, peer, name, rows, length)) yield return measurement;
            }
            finally
            {
                File.Delete(file);
            }
        }
    }

    private static IEnumerable<Measurement> Compare(CausalLm model, LlamaCppPeer peer, string name, int rows, int length)
    {
        // A long prompt is there for its reading alone.
        var count = length == 32 ? New : 1;
        var prompts = GenerationBenchmark.Prompts(rows, length, model.Config.VocabularySize);
        var seeds = prompts.Select((_, row) => (ulong)row).ToArray();
        Generated[] Generate(int tokens) => BatchGenerator.Generate(model, prompts, seeds, tokens, new(0), endTokens: []);

        if (model.ComputeType == ScalarType.Float32)
        {
            var theirs = peer.Generate(rows, length, Math.Min(count, Checked), exact: true);
            for (var row = 0; row < rows; row++) RequireSameLogits(model, name, prompts[row], theirs.Tokens[row], theirs.Logits[row]);
        }

        using var cache = new DecodeCache(model.Config, rows, length + count);
        using var step = new DecodeStep(model, cache, BatchGenerator.PromptTokens, rows);
        var (read, one, whole, peerRead, peerDecode) = (double.PositiveInfinity, double.PositiveInfinity, double.PositiveInfinity, double.PositiveInfinity, double.PositiveInfinity);
        for (var turn = 0; turn < 3; turn++)
        {
            read = Math.Min(read, Machine.BestWithin(200, () => Read(model, prompts, cache, step)));
            if (count > 1) (one, whole) = (Math.Min(one, Machine.BestWithin(200, () => Generate(1))), Math.Min(whole, Machine.BestWithin(200, () => Generate(count))));
            var other = peer.Generate(rows, length, count);
            (peerRead, peerDecode) = (Math.Min(peerRead, other.PromptMilliseconds), Math.Min(peerDecode, other.DecodeMilliseconds));
        }
        yield return Ratio("reading prompts", rows * length, read, peerRead);
        if (count == 1) yield break;
        yield return Ratio("decoding", rows * (count - 1), whole - one, peerDecode);
        yield return Ratio("both, our copying of weights included", rows * count, whole, peerRead + peerDecode);

        Measurement Ratio(string what, int tokens, double own, double other) =>
            new($"{name}: {what}", own, other / own, "times llama.cpp", null, $"{tokens / own * 1000:0.0} against {tokens / other * 1000:0.0} tokens/s");
    }

    /// <summary>What llama.cpp chose must be our first choice too, by the same logits, both up to rounding; or it is not the same model.</summary>
    private static void RequireSameLogits(CausalLm model, string name, int[] prompt, int[] chosen, float[] theirs)
    {
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        var ids = tensor(prompt.Concat(chosen[..^1]).Select(id => (long)id).ToArray()).unsqueeze(0);
        var logits = model.Logits(model.Hidden(ids)[0].narrow(0, prompt.Length - 1, chosen.Length));
        var ours = logits.gather(1, tensor(chosen.Select(id => (long)id).ToArray()).unsqueeze(1)).squeeze(1);
        var difference = (ours - tensor(theirs)).abs().max().item<float>();
        var behind = (logits.amax([1]) - ours).max().item<float>();
        if (!(difference <= Rounding && behind <= Rounding))
            throw new InvalidOperationException($"{name}: logits are up to {difference} apart, and llama.cpp's choices up to {behind} behind ours; that is more than rounding.");
    }

    /// <summary>Prompts into the cache, and the logits after each, as generation begins.</summary>
    private static void Read(CausalLm model, int[][] prompts, DecodeCache cache, DecodeStep step)
    {
        using var inference = inference_mode();
        using var scope = NewDisposeScope();
        var live = new List<BatchGenerator.Row>();
        BatchGenerator.Admit(model, new(prompts.Select(p => new BatchGenerator.Row(p, 0, 1))), new(Enumerable.Range(0, prompts.Length).Reverse()), live, cache, step);
        step.Run([.. live.Select(r => r.Last)], [.. live.Select(r => r.Slot)]);
    }
}
