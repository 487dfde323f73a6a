namespace Labeling.AppHost.Postgres;

/// <summary>How a cluster of our own is made and run.</summary>
/// <param name="Folder">Holds the cluster and its passwords.</param>
/// <param name="ToolsFolder">Where programs that had to be fetched are kept.</param>
public sealed record PostgresOptions(string Folder, string ToolsFolder)
{
    /// <summary>Server settings that go before those in the cluster's postgresql.conf.</summary>
    public IReadOnlyDictionary<string, string> Settings { get; init; } = new Dictionary<string, string>();

    /// <summary>False only for throw-away clusters: the new files need not survive a power cut.</summary>
    public bool SyncNewCluster { get; init; } = true;

    /// <summary>Tells the person at the terminal about something slow or unexpected.</summary>
    public Action<string> Say { get; init; } = _ => { };

    /// <summary>Receives the server's log, line by line.</summary>
    public Action<string> Log { get; init; } = _ => { };
}
