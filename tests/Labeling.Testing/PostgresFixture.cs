namespace Labeling.Testing;

/// <summary>
/// Stops the shared server when the tests of an assembly are done. One line in each test project that uses
/// <see cref="TestDatabase"/>: <c>[assembly: AssemblyFixture(typeof(Labeling.Testing.PostgresFixture))]</c>
/// </summary>
public sealed class PostgresFixture : IAsyncDisposable
{
    public ValueTask DisposeAsync() => PostgresServer.StopSharedAsync();
}
