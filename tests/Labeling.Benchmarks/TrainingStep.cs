using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Optim;
using static TorchSharp.torch;

namespace Labeling.Benchmarks;

/// <summary>A GPT-2 of random weights and one batch of random tokens, trained on again and again: forward, backward, clipped AdamW.</summary>
internal sealed class TrainingStep : IDisposable
{
    private readonly int time;
    private readonly Tensor ids;

    public TrainingStep(int vocabulary, int hidden, int layers, int batch, int time, AdamWOptions? options = null)
    {
        this.time = time;
        Model = CausalLm.New(ModelConfig.Gpt2(vocabulary, hidden, layers, hidden / (hidden < 512 ? 32 : 64), time), seed: 1);
        Optimizer = new AdamW(Model.Parameters, options ?? new AdamWOptions());
        var random = new Random(1);
        Tokens = [.. Enumerable.Range(0, batch * time + 1).Select(_ => random.Next(vocabulary))];
        ids = tensor(Tokens.Select(t => (long)t).ToArray());
    }

    public CausalLm Model { get; }

    public AdamW Optimizer { get; }

    /// <summary>Row after row, and one more: every token's target is the next. [batch · time + 1].</summary>
    public int[] Tokens { get; }

    /// <summary>One step; returns the loss before it, in nats.</summary>
    public double Run(double learningRate = 1e-4)
    {
        using var scope = NewDisposeScope();
        var hidden = Model.Hidden(ids.narrow(0, 0, Tokens.Length - 1).view(-1, time)).view(Tokens.Length - 1, -1);
        var (loss, _) = NextTokenLoss.Backward(Model, hidden, ids.narrow(0, 1, Tokens.Length - 1));
        Optimizer.Step(learningRate);
        return loss;
    }

    public void Dispose()
    {
        ids.Dispose();
        Optimizer.Dispose();
        Model.Dispose();
    }
}
