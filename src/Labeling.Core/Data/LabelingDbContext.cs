using Labeling.Core.Model;
using Microsoft.AspNetCore.DataProtection.EntityFrameworkCore;
using Microsoft.AspNetCore.Identity;
using Microsoft.AspNetCore.Identity.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;

namespace Labeling.Core.Data;

/// <summary>The one database model: the nouns, the people who sign in and the keys that protect their cookies.</summary>
public sealed class LabelingDbContext(DbContextOptions<LabelingDbContext> options)
    : IdentityUserContext<AppUser, Guid>(options), IDataProtectionKeyContext
{
    public const string MigrationsAssembly = "Labeling.Migrations";

    public DbSet<Project> Projects => Set<Project>();
    public DbSet<GuidelineVersion> GuidelineVersions => Set<GuidelineVersion>();
    public DbSet<Prompt> Prompts => Set<Prompt>();
    public DbSet<PromptAuthor> PromptAuthors => Set<PromptAuthor>();
    public DbSet<PromptImport> PromptImports => Set<PromptImport>();
    public DbSet<Completion> Completions => Set<Completion>();
    public DbSet<LabelingTask> Tasks => Set<LabelingTask>();
    public DbSet<TaskCompletion> TaskCompletions => Set<TaskCompletion>();
    public DbSet<Assignment> Assignments => Set<Assignment>();
    public DbSet<Ranking> Rankings => Set<Ranking>();
    public DbSet<RankingEntry> RankingEntries => Set<RankingEntry>();
    public DbSet<CompletionRating> CompletionRatings => Set<CompletionRating>();
    public DbSet<DatasetVersion> DatasetVersions => Set<DatasetVersion>();
    public DbSet<DatasetFile> DatasetFiles => Set<DatasetFile>();
    public DbSet<DatasetItem> DatasetItems => Set<DatasetItem>();
    public DbSet<TrainingRun> TrainingRuns => Set<TrainingRun>();
    public DbSet<TrainingRunModel> TrainingRunModels => Set<TrainingRunModel>();
    public DbSet<RunMetric> RunMetrics => Set<RunMetric>();
    public DbSet<ModelCheckpoint> Models => Set<ModelCheckpoint>();
    public DbSet<ModelFile> ModelFiles => Set<ModelFile>();
    public DbSet<CompletionScore> CompletionScores => Set<CompletionScore>();
    public DbSet<Invitation> Invitations => Set<Invitation>();
    public DbSet<ApiKey> ApiKeys => Set<ApiKey>();
    public DbSet<AuditEvent> AuditEvents => Set<AuditEvent>();
    public DbSet<DataProtectionKey> DataProtectionKeys => Set<DataProtectionKey>();

    protected override void ConfigureConventions(ModelConfigurationBuilder configurationBuilder) =>
        EnumsAsText.Convert(configurationBuilder);

    protected override void OnModelCreating(ModelBuilder builder)
    {
        base.OnModelCreating(builder);
        builder.ApplyConfigurationsFromAssembly(typeof(LabelingDbContext).Assembly);
        builder.Entity<IdentityUserClaim<Guid>>().ToTable("user_claims");
        builder.Entity<IdentityUserLogin<Guid>>().ToTable("user_logins");
        builder.Entity<IdentityUserToken<Guid>>().ToTable("user_tokens");
        EnumsAsText.Constrain(builder);
        foreach (var property in builder.Model.GetEntityTypes().SelectMany(entity => entity.GetProperties()))
        {
            // Ids are made by whoever sends the request, so that a repeated insert is a conflict and not a second row.
            if (property.ClrType == typeof(Guid) && property.IsPrimaryKey()) property.ValueGenerated = ValueGenerated.Never;
            if (property.Name == nameof(Project.CreatedAt)) property.SetDefaultValueSql("now()");
        }
    }
}
