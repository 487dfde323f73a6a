using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Benchmarks.Peers;

/// <summary>llm.c's training on processors, compiled from a checkout, one step for every line it is sent.</summary>
internal sealed partial class LlmC : IDisposable
{
    /// <summary>The vocabulary as llm.c pads it, to a multiple of 128.</summary>
    private const int PaddedVocabulary = 50304;

    /// <summary>The step is that of the loop in train_gpt2.c's own main, without data loader, validation and samples.</summary>
    private const string Driver = """
        #define TESTING
        #include "train_gpt2.c"
        int main(int argc, char *argv[]) {
            int B = atoi(argv[2]), T = atoi(argv[3]);
            int *tokens = malloc((B * T + 1) * sizeof(int));
            FILE *file = fopen(argv[4], "rb");
            if (file == NULL || fread(tokens, sizeof(int), B * T + 1, file) != B * T + 1) return 1;
            fclose(file);
            GPT2 model;
            gpt2_build_from_checkpoint(&model, argv[1]);
            char line[16];
            for (int step = 0; fgets(line, sizeof line, stdin) != NULL; step++) {
                struct timespec start, end;
                clock_gettime(CLOCK_MONOTONIC, &start);
                gpt2_forward(&model, tokens, tokens + 1, B, T);
                gpt2_zero_grad(&model);
                gpt2_backward(&model);
                gpt2_update(&model, 1e-4f, 0.9f, 0.999f, 1e-8f, 0.0f, step + 1);
                clock_gettime(CLOCK_MONOTONIC, &end);
                printf("step %d: train loss %f (took %f ms)\n", step, model.mean_loss, (end.tv_sec - start.tv_sec) * 1e3 + (end.tv_nsec - start.tv_nsec) / 1e6);
                fflush(stdout);
            }
            gpt2_free(&model);
            return 0;
        }
        """;

    private readonly DirectoryInfo work = Directory.CreateTempSubdirectory("labeling-benchmark-");
    private readonly Child child;

    /// <summary>Compiles it with the flags of its Makefile and starts it on a model's weights and on tokens [batch · time + 1].</summary>
    public LlmC(string folder, CausalLm model, int[] tokens, int batch, int time)
    {
        string In(string name) => Path.Combine(work.FullName, name);
        File.WriteAllText(In("driver.c"), Driver);
        using (var gcc = Process.Start("gcc", ["-O3", "-ffast-math", "-march=native", "-fopenmp", "-DOMP", "-w", "-I", folder, In("driver.c"), "-lm", "-o", In("driver")]))
        {
            gcc.WaitForExit();
            if (gcc.ExitCode != 0) throw new InvalidOperationException($"gcc does not compile train_gpt2.c of {folder}; its message stands above.");
        }
        Write(In("model.bin"), model);
        File.WriteAllBytes(In("tokens.bin"), MemoryMarshal.AsBytes(tokens.AsSpan()));
        child = Child.Of(In("driver"), [In("model.bin"), $"{batch}", $"{time}", In("tokens.bin")]);
    }

    /// <summary>One step: the loss before it, in nats, and its milliseconds.</summary>
    public (double Loss, double Milliseconds) Step()
    {
        var match = StepLine().Match(child.Ask(""));
        while (!match.Success) match = StepLine().Match(child.ReadLine());
        double Number(int group) => double.Parse(match.Groups[group].ValueSpan, CultureInfo.InvariantCulture);
        return (Number(1), Number(2));
    }

    public void Dispose()
    {
        child.Dispose();
        work.Delete(recursive: true);
    }

    /// <summary>A checkpoint of version 3: 256 int32 of header, then float32 weights, every kind of them for all layers together.</summary>
    private static void Write(string path, CausalLm model)
    {
        using var frozen = no_grad();
        var c = model.Config;
        var header = new int[256];
        ((ReadOnlySpan<int>)[20240326, 3, c.MaxPositions, c.VocabularySize, c.Layers, c.Heads, c.HiddenSize, PaddedVocabulary]).CopyTo(header);
        using var file = File.Create(path);
        file.Write(MemoryMarshal.AsBytes(header.AsSpan()));
        Append("transformer.wte.weight");
        file.Write(new byte[(PaddedVocabulary - c.VocabularySize) * c.HiddenSize * sizeof(float)]);
        Append("transformer.wpe.weight");
        foreach (var part in new[] { "ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj" })
            foreach (var kind in new[] { "weight", "bias" })
                for (var layer = 0; layer < c.Layers; layer++) Append($"transformer.h.{layer}.{part}.{kind}", turned: kind == "weight" && part.Contains(".c_", StringComparison.Ordinal));
        Append("transformer.ln_f.weight");
        Append("transformer.ln_f.bias");

        // GPT-2's own matrices are [in, out], llm.c's [out, in].
        void Append(string name, bool turned = false)
        {
            using var scope = NewDisposeScope();
            var weight = model.Parameters[name].detach();
            file.Write((turned ? weight.t().contiguous() : weight).bytes);
        }
    }

    [GeneratedRegex(@"^step \d+: train loss ([\d.]+) \(took ([\d.]+) ms\)")]
    private static partial Regex StepLine();
}
