using Labeling.Core.Model;

namespace Labeling.Core.Runs;

/// <summary>The right to write to a run. The token is new with every claim, so a former holder's writes find no row.</summary>
public sealed record RunLease(Guid RunId, Guid Token, RunStage Stage, int Attempt, int MaxAttempts);

/// <summary>The lease is not held any more: the run was given to another worker, finished or taken back. Nothing was written.</summary>
public sealed class LeaseLostException(Guid runId) : Exception($"The lease on run {runId} is lost.")
{
    public Guid RunId { get; } = runId;
}

/// <summary>What a trainer has reported since the last time. Null is no news.</summary>
/// <param name="Metrics">Lines of metrics.jsonl; a step that is already recorded is replaced.</param>
/// <param name="ForgetAfterStep">The trainer has gone back to this step: recorded metrics of later steps, except those in this report, are removed.</param>
/// <param name="LogTail">The last lines of the log.</param>
public sealed record RunReport(RunProgress? Progress, IReadOnlyList<RunMetricLine> Metrics, int? ForgetAfterStep, string? LogTail);

public sealed record RunProgress(int Step, int? TotalSteps, string? Phase);

/// <param name="Values">Metric names to numbers, as a JSON object.</param>
public sealed record RunMetricLine(int Step, DateTimeOffset Time, string Values);
