namespace Labeling.Core.Runs;

/// <summary>Times of the run queue. All leases are measured by the database's clock.</summary>
public sealed record RunQueueOptions
{
    /// <summary>How long a worker may be silent before its run is given to another.</summary>
    public TimeSpan Lease { get; init; } = TimeSpan.FromSeconds(30);

    public TimeSpan Heartbeat { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How often a worker looks for runs when no notification comes.</summary>
    public TimeSpan Poll { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>After a restart of the database, how long owners of leases that ran out meanwhile have to come back before their runs are given away.</summary>
    public TimeSpan GraceAfterDatabaseStart { get; init; } = TimeSpan.FromSeconds(15);

    /// <summary>Wait before the second attempt; doubles with each further one.</summary>
    public TimeSpan Backoff { get; init; } = TimeSpan.FromSeconds(5);

    public TimeSpan MaxBackoff { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>No statement waits longer, so that a stalled database stops no loop for ever.</summary>
    public TimeSpan CommandTimeout { get; init; } = TimeSpan.FromSeconds(10);
}
