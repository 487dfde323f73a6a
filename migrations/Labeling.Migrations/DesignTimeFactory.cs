using Labeling.Core;
using Labeling.Core.Data;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Design;
using Npgsql;

namespace Labeling.Migrations;

/// <summary>For <c>dotnet ef migrations add</c>, which looks at the model and connects to nothing.</summary>
public sealed class DesignTimeFactory : IDesignTimeDbContextFactory<LabelingDbContext>
{
    public LabelingDbContext CreateDbContext(string[] args)
    {
        var options = new DbContextOptionsBuilder<LabelingDbContext>();
        LabelingCore.Configure(options, NpgsqlDataSource.Create("Host=localhost;Database=labeling"));
        return new LabelingDbContext(options.Options);
    }
}
