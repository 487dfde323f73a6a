using Labeling.Training.Generation;
using Labeling.Training.Models;

namespace Labeling.Benchmarks;

/// <summary>Decoding of 64 tokens after a prompt of 32. The limit is the slower of reading all weights once a token and 2·N per token and row.</summary>
internal static class GenerationBenchmark
{
    private const int Prompt = 32;
    private const int New = 64;

    private static readonly (string Name, int Vocabulary, int Hidden, int Layers)[] Models = [("starter 4x128", 512, 128, 4), ("small 6x256", 4096, 256, 6)];

    public static List<Measurement> Run()
    {
        List<Measurement> measurements = [];
        foreach (var (name, vocabulary, hidden, layers) in Models)
        {
            using var model = CausalLm.New(ModelConfig.Gpt2(vocabulary, hidden, layers, hidden / 32, Prompt + New), seed: 1);
            foreach (var batch in new[] { 1, 32, 64 })
            {
                var (gflops, bandwidth) = (Machine.MatmulGflops(), Machine.ReadGigabytesPerSecond());
                var prompts = Enumerable.Range(0, batch).Select(row => Enumerable.Range(0, Prompt).Select(i => (row * 31 + i * 7) % vocabulary).ToArray()).ToArray();
                var seeds = Enumerable.Range(0, batch).Select(row => (ulong)row).ToArray();
                var generate = () => { BatchGenerator.Generate(model, prompts, seeds, New, endTokens: []); };
                generate();
                var milliseconds = Machine.Median(3, generate);
                var rate = batch * New / milliseconds * 1000;
                var floor = Math.Max(model.ParameterCount * 4 / bandwidth / 1e6, 2.0 * model.ParameterCount * batch / gflops / 1e6) * New;
                measurements.Add(new($"{name}, batch {batch}", milliseconds, rate, "tokens/s", floor / milliseconds, $"{bandwidth:0} GB/s, {gflops:0} GFLOP/s"));
            }
        }
        return measurements;
    }
}
