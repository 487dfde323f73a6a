using Labeling.Training.Models;

namespace Labeling.Benchmarks;

/// <summary>Opening a model of S bytes that the system has in its file cache: time against reading the file, and resident memory against S.</summary>
internal static class LoadingBenchmark
{
    /// <summary>Opens a model in this process, which has done nothing else, and returns by how many MB its most resident memory grew.</summary>
    public static double Grown(string folder)
    {
        Labeling.Training.Native.LibTorch.Initialize();
        var before = Machine.ResidentMegabytes();
        using var model = CausalLm.Load(folder);
        return Machine.PeakMegabytes() - before;
    }

    public static IEnumerable<Measurement> Run()
    {
        var folder = Directory.CreateTempSubdirectory("labeling-benchmark-");
        try
        {
            using (var model = CausalLm.New(ModelConfig.Gpt2(50257, 768, 12, 12, 1024), seed: 1)) model.Save(folder.FullName);
            var file = Path.Combine(folder.FullName, "model.safetensors");
            var size = new FileInfo(file).Length;
            var buffer = new byte[8 << 20];
            CausalLm.Load(folder.FullName).Dispose();
            var (milliseconds, reading) = (double.PositiveInfinity, double.PositiveInfinity);
            for (var turn = 0; turn < 5; turn++)
            {
                reading = Math.Min(reading, Machine.Best(1, Read));
                milliseconds = Math.Min(milliseconds, Machine.Best(1, () => CausalLm.Load(folder.FullName).Dispose()));
            }
            yield return new($"GPT-2 124M, {size >> 20} MB", milliseconds, size / milliseconds / 1e6, "GB/s", reading / milliseconds, $"file cache {size / reading / 1e6:0.0} GB/s");
            // In this process the memory of the model that was saved is still at hand.
            yield return new("most resident memory against the file's size", milliseconds, Child.Number("loading", folder.FullName) / (size / 1048576.0), "times");

            void Read()
            {
                using var stream = new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0);
                while (stream.Read(buffer) > 0) { }
            }
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
