using Labeling.Training.Models;
using Labeling.Training.Optim;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Tests.Models;

/// <summary>Measures the whole process, so nothing else may run beside it.</summary>
[CollectionDefinition(nameof(MeasuresTheProcess), DisableParallelization = true)]
public sealed class MeasuresTheProcess;

[Collection(nameof(MeasuresTheProcess))]
public sealed class MemoryTests
{
    [Fact]
    public void Stays_flat_over_steps_of_changing_length()
    {
        using var model = CausalLm.New(ModelConfig.Gpt2(256, 64, 2, 4, 64), 1);
        using var optimizer = new AdamW(model.Parameters);
        var random = new Random(1);
        long bytes = 0, tensors = 0;
        for (var step = 1; step <= 200; step++)
        {
            using (NewDisposeScope())
            {
                var (batch, time) = (random.Next(8, 17), random.Next(8, 64));
                var ids = randint(0, 256, [batch, time], dtype: ScalarType.Int64);
                var logits = model.Logits(model.Hidden(ids).narrow(1, 0, time - 1).reshape(-1, 64));
                F.cross_entropy(logits, ids.narrow(1, 1, time - 1).reshape(-1)).backward();
                optimizer.Step(1e-3);
            }
            if (step == 50) (bytes, tensors) = (Resident(), DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        }
        Assert.Equal(tensors, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        // One step's activations are about 10 MB: keeping only one in thirty of them would show.
        Assert.InRange((Resident() - bytes) / 1048576.0, double.MinValue, 48);
    }

    static long Resident()
    {
        using var process = System.Diagnostics.Process.GetCurrentProcess();
        return process.WorkingSet64;
    }
}
