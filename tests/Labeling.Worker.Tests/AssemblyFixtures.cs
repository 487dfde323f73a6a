using Labeling.Testing;
using Labeling.Worker.Tests;

[assembly: AssemblyFixture(typeof(PostgresFixture))]
[assembly: AssemblyFixture(typeof(TinyModel))]
