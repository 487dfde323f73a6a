using Labeling.Testing;

[assembly: AssemblyFixture(typeof(PostgresFixture))]
