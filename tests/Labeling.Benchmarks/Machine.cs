using System.Diagnostics;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Benchmarks;

/// <summary>What this machine can do at this moment, measured beside every case.</summary>
internal static class Machine
{
    /// <summary>Best of several square 2048 products of a number type, in GFLOP/s.</summary>
    public static double MatmulGflops(ScalarType type = ScalarType.Float32)
    {
        const int n = 2048;
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var a = rand(n, n).to_type(type);
        var b = rand(n, n).to_type(type);
        a.matmul(b);
        return 2.0 * n * n * n / Best(6, () => a.matmul(b).Dispose()) / 1e6;
    }

    /// <summary>
    /// The same kind of product again and again for a while, in GFLOP/s. A machine that shares its cores is fast for a moment now and then: what takes a
    /// second is measured against what the machine keeps up for a second.
    /// </summary>
    public static double MatmulGflopsFor(double milliseconds, ScalarType type)
    {
        const int n = 2048;
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var a = rand(n, n).to_type(type);
        var b = rand(n, n).to_type(type);
        a.matmul(b).Dispose();
        var (start, count, elapsed) = (Stopwatch.GetTimestamp(), 0, 0.0);
        for (; elapsed < milliseconds; count++)
        {
            a.matmul(b).Dispose();
            ComputeDevice.Synchronize();
            elapsed = Stopwatch.GetElapsedTime(start).TotalMilliseconds;
        }
        return 2.0 * n * n * n * count / elapsed / 1e6;
    }

    /// <summary>Best of six sums over 256 MB, in GB/s.</summary>
    public static double ReadGigabytesPerSecond()
    {
        const long floats = 64L << 20;
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var a = rand(floats);
        return floats * 4 / Best(6, () => a.sum().item<float>()) / 1e6;
    }

    /// <summary>Best of six copies of 128 MB, in GB/s, bytes read and written counted.</summary>
    public static double CopyGigabytesPerSecond()
    {
        const long floats = 32L << 20;
        using var _ = no_grad();
        using var scope = NewDisposeScope();
        var (a, b) = (rand(floats), zeros(floats));
        return floats * 8 / Best(6, () => b.copy_(a)) / 1e6;
    }

    /// <summary>Resident memory of this process in MB.</summary>
    public static double ResidentMegabytes()
    {
        using var process = Process.GetCurrentProcess();
        return process.WorkingSet64 / 1048576.0;
    }

    /// <summary>Most resident memory this process ever had, in MB.</summary>
    public static double PeakMegabytes()
    {
        using var process = Process.GetCurrentProcess();
        return process.PeakWorkingSet64 / 1048576.0;
    }

    /// <summary>The shortest of as many times as fit into a while, at least one; both in milliseconds.</summary>
    public static double BestWithin(double milliseconds, Action action)
    {
        var (start, best) = (Stopwatch.GetTimestamp(), double.PositiveInfinity);
        do
        {
            best = Math.Min(best, Best(1, action));
        }
        while (Stopwatch.GetElapsedTime(start).TotalMilliseconds < milliseconds);
        return best;
    }

    /// <summary>The shortest of several times, in milliseconds.</summary>
    public static double Best(int times, Action action) => Times(times, action).Min();

    /// <summary>The median of several times, in milliseconds.</summary>
    public static double Median(int times, Action action) => Median(Times(times, action));

    /// <summary>The middle one, the upper of two.</summary>
    public static double Median(IEnumerable<double> values)
    {
        var ordered = values.Order().ToList();
        return ordered[ordered.Count / 2];
    }

    private static List<double> Times(int times, Action action)
    {
        List<double> measured = [];
        for (var i = 0; i < times; i++)
        {
            var start = Stopwatch.GetTimestamp();
            action();
            ComputeDevice.Synchronize();
            measured.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        return measured;
    }
}
