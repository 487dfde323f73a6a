using Labeling.Training.Models;
using Labeling.Training.Optim;
using static TorchSharp.torch;

namespace Labeling.Benchmarks;

/// <summary>One supervised step (forward, backward, clipped AdamW) in fp32; efficiency is 6·N·tokens / time over the matmul limit.</summary>
internal static class TrainingBenchmark
{
    private static readonly (string Name, int Vocabulary, int Hidden, int Layers, int Batch, int Time)[] Cases =
    [
        ("starter 4x128, B64 T48", 512, 128, 4, 64, 48),
        ("small 6x256, B16 T128", 4096, 256, 6, 16, 128),
        ("middle 12x512, B8 T256", 8192, 512, 12, 8, 256),
    ];

    public static List<Measurement> Run()
    {
        List<Measurement> measurements = [];
        foreach (var (name, vocabulary, hidden, layers, batch, time) in Cases)
        {
            var limit = Machine.MatmulGflops();
            using var model = CausalLm.New(ModelConfig.Gpt2(vocabulary, hidden, layers, hidden / 32, time), seed: 1);
            using var optimizer = new AdamW(model.Parameters);
            using var ids = randint(0, vocabulary, [batch, time + 1]);
            var step = () =>
            {
                using var scope = NewDisposeScope();
                var hiddenStates = model.Hidden(ids.narrow(1, 0, time));
                var logits = model.Logits(hiddenStates).view(-1, vocabulary);
                nn.functional.cross_entropy(logits, ids.narrow(1, 1, time).reshape(-1)).backward();
                optimizer.Step(1e-4);
            };
            step();
            var milliseconds = Machine.Median(5, step);
            var gflops = 6.0 * model.ParameterCount * batch * time / milliseconds / 1e6;
            measurements.Add(new(name, milliseconds, batch * time / milliseconds * 1000, "tokens/s", gflops / limit, $"matmul fp32 {limit:0} GFLOP/s"));
        }
        return measurements;
    }
}
