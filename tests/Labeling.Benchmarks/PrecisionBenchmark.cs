using Labeling.Training.Models;
using Labeling.Training.Optim;
using static TorchSharp.torch;

namespace Labeling.Benchmarks;

/// <summary>
/// The loss curve in bfloat16 against float32 over 1,000 steps on the same batches, beside what another seed changes: that is the noise.
/// The text is made by a rule with chance in it: the next token is a function of the last two, or, one time in five, any.
/// </summary>
internal static class PrecisionBenchmark
{
    private const int Steps = 1000;
    private const int Vocabulary = 64;

    public static IEnumerable<Measurement> Run()
    {
        var (full, fullTime) = Train(ScalarType.Float32, seed: 1);
        var (half, halfTime) = Train(ScalarType.BFloat16, seed: 1);
        var (other, otherTime) = Train(ScalarType.Float32, seed: 2);
        foreach (var from in new[] { 100, 400, 900 })
        {
            double Mean(double[] losses) => losses.Skip(from).Take(100).Average();
            var noise = Math.Abs(Mean(other) - Mean(full));
            yield return new($"float32, steps {from} to {from + 100}", fullTime, Mean(full), "nats");
            yield return new($"float32 with another seed, steps {from} to {from + 100}", otherTime, Mean(other), "nats");
            yield return new($"bfloat16, steps {from} to {from + 100}", halfTime, Mean(half), "nats", Math.Abs(Mean(half) - Mean(full)) / noise, $"seeds differ by {noise:0.0000}");
        }
    }

    private static (double[] Losses, double Milliseconds) Train(ScalarType type, long seed)
    {
        const int batch = 16, time = 32;
        using var model = CausalLm.New(ModelConfig.GptNeoX(Vocabulary, 64, 2, 2, time), seed);
        using var optimizer = new AdamW(model.Parameters);
        model.ComputeType = type;
        var random = new Random(3);
        var losses = new double[Steps];
        var start = System.Diagnostics.Stopwatch.GetTimestamp();
        for (var step = 0; step < Steps; step++)
        {
            using var scope = NewDisposeScope();
            var ids = tensor(Enumerable.Range(0, batch).SelectMany(_ => Text(random, time + 1)).ToArray(), [batch, time + 1]);
            var logits = model.Logits(model.Hidden(ids.narrow(1, 0, time))).view(-1, Vocabulary);
            var loss = nn.functional.cross_entropy(logits, ids.narrow(1, 1, time).reshape(-1));
            loss.backward();
            losses[step] = loss.item<float>();
            optimizer.Step(2e-3 * Math.Min(1, (step + 1) / 50.0));
        }
        return (losses, System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalMilliseconds / Steps);
    }

    private static long[] Text(Random random, int length)
    {
        var text = new long[length];
        for (var i = 0; i < length; i++)
            text[i] = i < 2 || random.Next(5) == 0 ? random.Next(Vocabulary) : (text[i - 1] * 7 + text[i - 2] * 3 + 5) % Vocabulary;
        return text;
    }
}
