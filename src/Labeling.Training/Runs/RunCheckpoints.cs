using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Labeling.Training.Checkpoints;
using Labeling.Training.Optim;
using static TorchSharp.torch;

namespace Labeling.Training.Runs;

/// <summary>
/// Checkpoints of one run: written every few steps and when the run is asked to stop, read when it starts again. The data position and
/// all randomness follow from the step (<see cref="Seeds"/>), so weights, moments and a few numbers are all there is to keep.
/// </summary>
/// <param name="run">The run.</param>
/// <param name="every">Steps between checkpoints.</param>
/// <param name="parts">Live tensors by prefix, e.g. "model" and the model's parameters.</param>
/// <param name="optimizers">Optimizers by prefix.</param>
internal sealed class RunCheckpoints(
    RunFolder run,
    int every,
    IReadOnlyDictionary<string, IEnumerable<KeyValuePair<string, Tensor>>> parts,
    IReadOnlyDictionary<string, AdamW> optimizers)
{
    private const string SpecKey = "spec";

    private readonly string spec = Fingerprint(run.Spec.File);

    /// <summary>Restores the newest valid checkpoint; returns its step (0 when there is none) and its numbers.</summary>
    /// <exception cref="BadInputException">run.json is not the one the checkpoint was made under, or a weight to start from is not finite.</exception>
    public (int Step, JsonObject State) Resume()
    {
        using var checkpoint = TrainingCheckpoint.OpenNewest(run.Checkpoints, run.Log);
        var step = (int)(checkpoint?.Step ?? 0);
        run.TruncateAfter("metrics.jsonl", step);
        run.TruncateAfter("rollouts.jsonl", step);
        if (checkpoint is null)
        {
            return Finite.FirstBad(Named()) is { } bad
                ? throw new BadInputException($"{run.Spec.File}: the model to start from is broken: its tensor {bad} holds a number that is not finite. Start from another model.")
                : (0, []);
        }
        if (checkpoint.State[SpecKey]?.GetValue<string>() != spec)
        {
            throw new BadInputException($"{run.Spec.File} was changed after checkpoint step-{step} was written; going on would mix two runs. Restore it, or start a new run folder.");
        }
        using var frozen = no_grad();
        foreach (var (prefix, tensors) in parts)
        {
            checkpoint.CopyTo(tensors, prefix + "/");
        }
        foreach (var (prefix, optimizer) in optimizers)
        {
            checkpoint.CopyTo(optimizer.State, prefix + "/");
            optimizer.Resume(checkpoint.State[prefix]!.GetValue<long>());
        }
        run.Log($"Going on after step {step}, from {Path.GetFileName(checkpoint.Folder)}.");
        return (step, checkpoint.State);
    }

    /// <summary>Called after each step: writes a checkpoint when one is due, and ends the run when it was asked to stop.</summary>
    /// <param name="step">Finished steps.</param>
    /// <param name="totalSteps">All steps.</param>
    /// <param name="numbers">What the stage needs besides tensors.</param>
    /// <exception cref="RunStoppedException">Asked to stop; the checkpoint is written.</exception>
    /// <exception cref="NonFiniteException">The step left a weight that is not finite; no checkpoint is written.</exception>
    public void AfterStep(int step, int totalSteps, Func<JsonObject>? numbers = null)
    {
        Finite.Tensors(Named(), step);
        var stop = run.Stop.IsCancellationRequested;
        if (stop || (step % every == 0 && step < totalSteps))
        {
            Save(step, numbers?.Invoke() ?? []);
        }
        if (stop)
        {
            throw new RunStoppedException($"Stopped after step {step} of {totalSteps}; the checkpoint is written and the same command goes on from it.");
        }
    }

    /// <summary>The live tensors under the names they have in a checkpoint.</summary>
    private List<KeyValuePair<string, Tensor>> Named() => [.. parts.SelectMany(p => p.Value.Select(t => new KeyValuePair<string, Tensor>($"{p.Key}/{t.Key}", t.Value)))];

    private void Save(int step, JsonObject state)
    {
        state[SpecKey] = spec;
        var tensors = Named();
        foreach (var (prefix, optimizer) in optimizers)
        {
            state[prefix] = optimizer.StepCount;
            tensors.AddRange(optimizer.State.Select(t => new KeyValuePair<string, Tensor>($"{prefix}/{t.Key}", t.Value)));
        }
        Finite.Tensors(tensors, step);
        TrainingCheckpoint.Save(run.Checkpoints, step, tensors, state, keep: 2);
    }

    /// <summary>Hash of run.json without what may change between starts: name and thread count.</summary>
    internal static string Fingerprint(string file)
    {
        var json = (JsonObject)JsonNode.Parse(File.ReadAllText(file))!;
        json.Remove("run_id");
        json.Remove("threads");
        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(json.ToJsonString())));
    }
}
