using System.Text.Json;
using static TorchSharp.torch;

namespace Labeling.Training.Runs;

/// <summary>A line of a file that grows batch by batch.</summary>
internal interface IRowOfStep
{
    /// <summary>Batch that made the row, from 1.</summary>
    int Step { get; }
}

/// <summary>
/// A run that turns batches into lines of a JSONL file and trains nothing. Batches do not depend on each other, so the file is all the state there is: a
/// resumed run keeps the lines up to its checkpoint and makes the rest.
/// </summary>
internal static class RowRun
{
    private static readonly Dictionary<string, IEnumerable<KeyValuePair<string, Tensor>>> NoTensors = [];

    /// <summary>Runs all batches, then <paramref name="finish"/> on all rows, and ends the run with the description of all rows.</summary>
    /// <param name="run">The run.</param>
    /// <param name="file">Name of the JSONL file.</param>
    /// <param name="total">Number of batches.</param>
    /// <param name="checkpointEvery">Batches between checkpoints.</param>
    /// <param name="phase">What the batches do, for the progress line.</param>
    /// <param name="make">Rows of a batch; receives the number of batches done, and its rows carry that number plus 1.</param>
    /// <param name="describe">Metrics of some rows: of each batch for metrics.jsonl, of all for result.json.</param>
    /// <param name="finish">Called with all rows before the run counts as done.</param>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run<T>(RunFolder run, string file, int total, int checkpointEvery, string phase, Func<int, IReadOnlyList<T>> make,
        Func<IReadOnlyList<T>, Dictionary<string, double>> describe, Action<IReadOnlyList<T>>? finish = null)
        where T : IRowOfStep
    {
        var checkpoints = new RunCheckpoints(run, checkpointEvery, NoTensors, new Dictionary<string, Optim.AdamW>());
        var (step, _) = checkpoints.Resume();
        run.TruncateAfter(file, step);
        using var frozen = no_grad();
        while (step < total)
        {
            run.Progress(step, total, phase);
            using var scope = NewDisposeScope();
            var rows = make(step);
            step++;
            run.AppendRows(file, rows);
            run.Metrics(step, describe(rows));
            checkpoints.AfterStep(step, total);
        }
        List<T> all = [.. File.ReadLines(run.In(file)).Select(line => JsonSerializer.Deserialize<T>(line, RunFolder.Compact)!)];
        finish?.Invoke(all);
        run.Finish(total, describe(all));
        run.Progress(total, total, "done");
    }
}
