using Labeling.Training.Models;
using Labeling.Training.Optim;
using static TorchSharp.torch;

namespace Labeling.Benchmarks;

/// <summary>
/// The loss curve in bfloat16 against float32 over 1,000 steps on the same batches. The limit is the noise: the standard deviation over float32 runs that differ in
/// their first weights alone. The text is made by a rule with chance in it: the next token is a function of the last two, or, one time in five, any.
/// </summary>
internal static class PrecisionBenchmark
{
    private const int Steps = 1000;
    private const int Mean = 100;
    private const int Vocabulary = 64;
    private const int Batch = 16;

    private static readonly (string Name, int Layers, int Hidden, int Time)[] Cases = [("2x64", 2, 64, 32), ("4x128", 4, 128, 64)];
    private static readonly long[] Seeds = [1, 2, 3];

    public static IEnumerable<Measurement> Run(string only)
    {
        foreach (var (name, layers, hidden, time) in Cases.Where(c => c.Name.Contains(only, StringComparison.OrdinalIgnoreCase)))
        {
            var full = Seeds.Select(seed => Train(ScalarType.Float32, layers, hidden, time, seed)).ToList();
            var (half, halfTime) = Train(ScalarType.BFloat16, layers, hidden, time, Seeds[0]);
            foreach (var from in new[] { 100, 400, 900 })
            {
                static double At(double[] losses, int from) => losses.Skip(from).Take(Mean).Average();
                var losses = full.Select(run => At(run.Losses, from)).ToList();
                var center = losses.Average();
                var noise = Math.Sqrt(losses.Sum(loss => (loss - center) * (loss - center)) / (losses.Count - 1));
                foreach (var (seed, loss) in Seeds.Zip(losses)) yield return new($"{name}, float32, seed {seed}, steps {from} to {from + Mean}", full[0].Milliseconds, loss, "nats");
                yield return new($"{name}, bfloat16, seed {Seeds[0]}, steps {from} to {from + Mean}", halfTime, At(half, from), "nats", Math.Abs(At(half, from) - losses[0]) / noise, $"seeds' standard deviation {noise:0.0000}");
            }
        }
    }

    private static (double[] Losses, double Milliseconds) Train(ScalarType type, int layers, int hidden, int time, long seed)
    {
        using var model = CausalLm.New(ModelConfig.GptNeoX(Vocabulary, hidden, layers, hidden / 32, time), seed);
        using var optimizer = new AdamW(model.Parameters);
        model.ComputeType = type;
        var random = new Random(3);
        var losses = new double[Steps];
        var start = System.Diagnostics.Stopwatch.GetTimestamp();
        for (var step = 0; step < Steps; step++)
        {
            using var scope = NewDisposeScope();
            var ids = tensor(Enumerable.Range(0, Batch).SelectMany(_ => Text(random, time + 1)).ToArray(), [Batch, time + 1]);
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
