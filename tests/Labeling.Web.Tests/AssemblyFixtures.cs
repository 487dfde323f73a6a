[assembly: AssemblyFixture(typeof(Labeling.Testing.PostgresFixture))]
