using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Labeling.Core.Data.Configurations;

internal sealed class ModelCheckpointConfiguration : IEntityTypeConfiguration<ModelCheckpoint>
{
    public void Configure(EntityTypeBuilder<ModelCheckpoint> model)
    {
        model.ToTable("models", table => table.HasCheckConstraint("ck_models_promoted_at", "promoted_at is null or kind = 'policy'"));
        model.Property(m => m.Metrics).HasColumnType("json");
        model.HasOne<Project>().WithMany().HasForeignKey(m => m.ProjectId).OnDelete(DeleteBehavior.Restrict);
        model.HasOne(m => m.Run).WithMany().HasForeignKey(m => m.RunId).OnDelete(DeleteBehavior.Restrict);
        model.HasOne<ModelCheckpoint>().WithMany().HasForeignKey(m => m.ParentId).OnDelete(DeleteBehavior.Restrict);
        model.HasMany(m => m.Files).WithOne().HasForeignKey(f => f.ModelId).OnDelete(DeleteBehavior.Cascade);
        model.HasIndex(m => m.RunId).IsUnique();
        model.HasIndex(m => new { m.ProjectId, m.CreatedAt }).IsDescending(false, true);
        model.HasIndex(m => m.ProjectId).IsUnique().HasFilter("promoted_at is not null").HasDatabaseName("ix_models_promoted");
    }
}

internal sealed class ModelFileConfiguration : IEntityTypeConfiguration<ModelFile>
{
    public void Configure(EntityTypeBuilder<ModelFile> file)
    {
        file.ToTable("model_files", table =>
        {
            table.HasCheckConstraint("ck_model_files_bytes", "bytes >= 0");
            table.HasCheckConstraint("ck_model_files_sha256", "sha256 ~ '^[0-9a-f]{64}$'");
        });
        file.HasKey(f => new { f.ModelId, f.Path });
    }
}

internal sealed class CompletionScoreConfiguration : IEntityTypeConfiguration<CompletionScore>
{
    public void Configure(EntityTypeBuilder<CompletionScore> score)
    {
        score.ToTable("completion_scores");
        score.HasKey(s => new { s.ModelId, s.CompletionId });
        score.HasOne<ModelCheckpoint>().WithMany().HasForeignKey(s => s.ModelId).OnDelete(DeleteBehavior.Cascade);
        score.HasOne(s => s.Completion).WithMany().HasForeignKey(s => s.CompletionId).OnDelete(DeleteBehavior.Restrict);
    }
}
