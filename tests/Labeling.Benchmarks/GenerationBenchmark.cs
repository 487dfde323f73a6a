using Labeling.Training.Generation;
using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Benchmarks;

/// <summary>
/// Decoding of 64 tokens after a prompt of 32. The limit is the slower of reading all weights once a token and 2·N per token and row,
/// of which the rows take turns at the machine's best. Both limits are measured before and after every call, what is compared takes turns, and medians count:
/// a shared machine's speed changes within seconds.
/// </summary>
internal static class GenerationBenchmark
{
    private const int Prompt = 32;
    private const int New = 64;
    private const int Turns = 7;

    private static readonly (string Name, int Vocabulary, int Hidden, int Layers, int[] Batches)[] Models =
    [
        ("starter 4x128", 512, 128, 4, [1, 64]),
        ("small 6x256", 4096, 256, 6, [1, 32, 64]),
        ("GPT-2 12x768", 50257, 768, 12, [1, 8, 64]),
        ("GPT-2 12x768 stored in bfloat16", 50257, 768, 12, [1]),
    ];

    private static readonly (string Name, SamplingOptions Options)[] Choices =
    [
        ("temperature", new(0.9)),
        ("top-k 50", new(0.9, TopK: 50)),
        ("top-p 0.95", new(0.9, TopP: 0.95)),
        ("all and repetition penalty", new(0.9, TopK: 200, TopP: 0.95, RepetitionPenalty: 1.2)),
    ];

    public static IEnumerable<Measurement> Run(string only)
    {
        foreach (var (name, vocabulary, hidden, layers, batches) in Models.Where(m => m.Name.Contains(only, StringComparison.OrdinalIgnoreCase)))
        {
            using var model = CausalLm.New(ModelConfig.Gpt2(vocabulary, hidden, layers, hidden / (hidden == 768 ? 64 : 32), Prompt + New), seed: 1);
            var bytes = 4;
            if (name.EndsWith("bfloat16", StringComparison.Ordinal))
            {
                RoundToBFloat16(model);
                bytes = 2;
            }
            foreach (var batch in batches)
            {
                var prompts = Prompts(batch, Prompt, vocabulary);
                var seeds = Enumerable.Range(0, batch).Select(row => (ulong)row).ToArray();
                double Time(SamplingOptions sampling, int tokens) => Machine.BestWithin(200, () => BatchGenerator.Generate(model, prompts, seeds, tokens, sampling, endTokens: []));

                // Reading the prompts and copying the weights is paid once a call: a call of one token takes it out of a whole one.
                List<(double Whole, double Decoding, double OfLimit, double Gflops, double Bandwidth)> calls = [];
                var before = Limits(Time(Greedy, New));
                for (var turn = 0; turn < Turns; turn++)
                {
                    var (start, whole) = (Time(Greedy, 1), Time(Greedy, New));
                    var after = Limits(whole);
                    var (gflops, bandwidth) = ((before.Gflops + after.Gflops) / 2, (before.Bandwidth + after.Bandwidth) / 2);
                    var floor = Math.Max(model.ParameterCount * bytes / bandwidth / 1e6, 2.0 * model.ParameterCount * batch / gflops / 1e6) * (New - 1);
                    calls.Add((whole, whole - start, floor / (whole - start), gflops, bandwidth));
                    before = after;
                }
                var (wholeCall, decoding) = (Machine.Median(calls.Select(c => c.Whole)), Machine.Median(calls.Select(c => c.Decoding)));
                yield return new($"{name}, batch {batch}, whole call", wholeCall, batch * New / wholeCall * 1000, "tokens/s");
                yield return new($"{name}, batch {batch}, decoding", decoding, batch * (New - 1) / decoding * 1000, "tokens/s", Machine.Median(calls.Select(c => c.OfLimit)),
                    $"{Machine.Median(calls.Select(c => c.Bandwidth)):0} GB/s, {Machine.Median(calls.Select(c => c.Gflops)):0} GFLOP/s");
                if (batch != batches[^1]) continue;
                foreach (var (choice, options) in Choices)
                {
                    var pairs = Enumerable.Range(0, Turns).Select(_ => (Greedy: Time(Greedy, New), Chosen: Time(options, New))).ToList();
                    yield return new($"{name}, batch {batch}, {choice}", Machine.Median(pairs.Select(p => p.Chosen)), 100 * (Machine.Median(pairs.Select(p => p.Chosen / p.Greedy)) - 1), "% more than greedy");
                }
            }
        }
    }

    /// <summary>Gives all weights values that bfloat16 holds exactly, so that the decoder stores them in it.</summary>
    public static void RoundToBFloat16(CausalLm model)
    {
        using var frozen = no_grad();
        foreach (var weight in model.Parameters.Values) weight.copy_(weight.to_type(ScalarType.BFloat16));
    }

    private static (double Gflops, double Bandwidth) Limits(double milliseconds) => (Machine.MatmulGflopsFor(milliseconds, ScalarType.Float32), Machine.ReadGigabytesPerSecond());

    /// <summary>Different tokens in every row.</summary>
    public static int[][] Prompts(int rows, int length, int vocabulary) =>
        [.. Enumerable.Range(0, rows).Select(row => Enumerable.Range(0, length).Select(i => (row * 31 + i * 7) % vocabulary).ToArray())];

    private static readonly SamplingOptions Greedy = new(0);
}
