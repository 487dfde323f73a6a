using System.Globalization;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Benchmarks;

/// <summary>
/// A training step (6x256, B16 T128, float32) alone, and beside a process that multiplies matrices on all cores, each under several ways of
/// waiting for the other threads (GOMP_SPINCOUNT). The best of two turns counts, each the median of its steps; at most 2.5 is wanted.
/// </summary>
internal static class ContentionBenchmark
{
    private const int Steps = 5;

    private static readonly (string Name, string? SpinCount)[] Waits =
    [
        ("as the training library sets it", null),
        // libgomp's own choice where neither OMP_WAIT_POLICY nor GOMP_SPINCOUNT is set.
        ("as libgomp does by default", "300000"),
    ];

    public static IEnumerable<Measurement> Run(string only)
    {
        foreach (var (name, spins) in Waits.Where(w => w.Name.Contains(only, StringComparison.OrdinalIgnoreCase)))
        {
            using var step = Child.Same(["step"], spins is null ? null : new Dictionary<string, string> { ["GOMP_SPINCOUNT"] = spins });
            double Time() => double.Parse(step.Ask($"{Steps}"), CultureInfo.InvariantCulture);
            Time();
            var (quiet, beside) = (double.PositiveInfinity, double.PositiveInfinity);
            for (var turn = 0; turn < 2; turn++)
            {
                quiet = Math.Min(quiet, Time());
                using var busy = Child.Same(["busy"]);
                busy.ReadLine();
                beside = Math.Min(beside, Time());
            }
            yield return new(spins is null ? name : $"{name} (GOMP_SPINCOUNT={spins})", beside, beside / quiet, "times the quiet step", null, $"quiet {quiet:0} ms");
        }
    }

    /// <summary>Takes a number of steps for every line that has one and answers with their median time.</summary>
    public static void Serve()
    {
        using var training = new TrainingStep(4096, 256, 6, 16, 128);
        while (Console.ReadLine() is { } line)
            Console.WriteLine(Machine.Median(int.Parse(line, CultureInfo.InvariantCulture), () => training.Run()).ToString("R", CultureInfo.InvariantCulture));
    }

    /// <summary>Multiplies on all cores until its input ends.</summary>
    public static void Busy()
    {
        using var ended = new CancellationTokenSource();
        new Thread(() =>
        {
            Console.In.ReadToEnd();
            ended.Cancel();
        })
        { IsBackground = true }.Start();
        LibTorch.Initialize();
        using var _ = no_grad();
        using var a = rand(1024, 1024);
        a.matmul(a).Dispose();
        Console.WriteLine("busy");
        while (!ended.IsCancellationRequested) a.matmul(a).Dispose();
    }
}
