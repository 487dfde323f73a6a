using FluentValidation;
using Labeling.Core.Data;
using Labeling.Core.Features.People;
using Labeling.Core.Features.Prompts;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Core.Runs;
using Labeling.Core.Storage;
using Microsoft.AspNetCore.Identity;
using Microsoft.EntityFrameworkCore;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Npgsql;

namespace Labeling.Core;

public static class LabelingCore
{
    public const string ConnectionStringName = "Labeling";

    /// <summary>The database, the requests with their handlers, and the pipeline around them. Everything is scoped: one scope per request sent.</summary>
    public static IServiceCollection AddLabelingCore(this IServiceCollection services, IConfiguration configuration)
    {
        services.AddLabelingDatabase(configuration);
        services.TryAddSingleton(TimeProvider.System);
        services.TryAddSingleton<IBlobStore>(_ => new FolderBlobStore(DataFolder(configuration)));
        services.TryAddSingleton(_ => StageCatalog.Default);
        services.AddScoped<TaskLedger>();
        services.AddScoped<PromptStaging>();
        services.AddIdentityCore<AppUser>(identity =>
        {
            identity.User.RequireUniqueEmail = true;
            identity.User.AllowedUserNameCharacters = ""; // any: the user name is the e-mail address
            identity.Password = new PasswordOptions
            {
                RequiredLength = PasswordRules.MinLength,
                RequiredUniqueChars = PasswordRules.MinDifferentCharacters,
                RequireDigit = false,
                RequireLowercase = false,
                RequireUppercase = false,
                RequireNonAlphanumeric = false,
            };
        }).AddEntityFrameworkStores<LabelingDbContext>();
        services.AddValidatorsFromAssembly(typeof(LabelingCore).Assembly, includeInternalTypes: true);
        services.AddMediator(options =>
        {
            options.ServiceLifetime = ServiceLifetime.Scoped;
            options.PipelineBehaviors =
            [
                typeof(LoggingBehavior<,>), typeof(RetryBehavior<,>), typeof(AuthorisationBehavior<,>), typeof(ValidationBehavior<,>), typeof(TransactionBehavior<,>),
            ];
        });
        return services;
    }

    /// <summary>Where blobs and run folders are kept.</summary>
    public static string DataFolder(IConfiguration configuration) => configuration["Labeling:DataFolder"] is { Length: > 0 } folder
        ? Path.GetFullPath(folder)
        : throw new InvalidOperationException("No data folder is configured. Set Labeling__DataFolder to the folder that keeps models and datasets, the same for site and worker.");

    /// <summary>Only the database: what the migrator needs.</summary>
    public static IServiceCollection AddLabelingDatabase(this IServiceCollection services, IConfiguration configuration)
    {
        var connectionString = configuration.GetConnectionString(ConnectionStringName);
        if (string.IsNullOrWhiteSpace(connectionString))
        {
            throw new InvalidOperationException(
                $"No database is configured. Set ConnectionStrings__{ConnectionStringName} to a PostgreSQL connection string, e.g. Host=localhost;Database=labeling;Username=labeling.");
        }

        try
        {
            _ = new NpgsqlConnectionStringBuilder(connectionString);
        }
        catch (ArgumentException e)
        {
            throw new InvalidOperationException($"ConnectionStrings__{ConnectionStringName} is not a PostgreSQL connection string: {e.Message}", e);
        }

        services.AddSingleton(_ => NpgsqlDataSource.Create(connectionString));
        services.AddDbContext<LabelingDbContext>((provider, options) => Configure(options, provider.GetRequiredService<NpgsqlDataSource>()));
        return services;
    }

    /// <summary>
    /// No retrying execution strategy: it would forbid the transactions that Runs/ opens by hand. The pipeline tries a whole request again instead,
    /// which is harmless because ids are made by the sender.
    /// </summary>
    public static void Configure(DbContextOptionsBuilder options, NpgsqlDataSource dataSource) => options
        .UseNpgsql(dataSource, npgsql => npgsql.MigrationsAssembly(LabelingDbContext.MigrationsAssembly))
        .UseSnakeCaseNamingConvention();
}
