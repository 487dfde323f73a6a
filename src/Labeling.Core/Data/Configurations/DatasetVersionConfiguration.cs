using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Labeling.Core.Data.Configurations;

internal sealed class DatasetVersionConfiguration : IEntityTypeConfiguration<DatasetVersion>
{
    public void Configure(EntityTypeBuilder<DatasetVersion> dataset)
    {
        dataset.ToTable("dataset_versions", table =>
        {
            table.HasCheckConstraint("ck_dataset_versions_number", "number >= 1");
            table.HasCheckConstraint("ck_dataset_versions_row_count", "row_count >= 0");
            table.HasCheckConstraint("ck_dataset_versions_sha256", "sha256 ~ '^[0-9a-f]{64}$'");
        });
        dataset.Property(d => d.Filter).HasColumnType("json");
        dataset.HasOne<Project>().WithMany().HasForeignKey(d => d.ProjectId).OnDelete(DeleteBehavior.Restrict);
        dataset.HasOne<AppUser>().WithMany().HasForeignKey(d => d.CreatedById).OnDelete(DeleteBehavior.Restrict);
        dataset.HasMany(d => d.Files).WithOne().HasForeignKey(f => f.DatasetVersionId).OnDelete(DeleteBehavior.Cascade);
        dataset.HasIndex(d => new { d.ProjectId, d.Number }).IsUnique();
    }
}

internal sealed class DatasetFileConfiguration : IEntityTypeConfiguration<DatasetFile>
{
    public void Configure(EntityTypeBuilder<DatasetFile> file)
    {
        file.ToTable("dataset_files", table =>
        {
            table.HasCheckConstraint("ck_dataset_files_sizes", "rows >= 0 and bytes >= 0");
            table.HasCheckConstraint("ck_dataset_files_sha256", "sha256 ~ '^[0-9a-f]{64}$'");
        });
        file.HasKey(f => new { f.DatasetVersionId, f.Split });
    }
}

internal sealed class DatasetItemConfiguration : IEntityTypeConfiguration<DatasetItem>
{
    public void Configure(EntityTypeBuilder<DatasetItem> item)
    {
        item.ToTable("dataset_items", table =>
        {
            table.HasCheckConstraint("ck_dataset_items_ordinal", "ordinal >= 0");
            table.HasCheckConstraint("ck_dataset_items_one_label", "completion_id is null or ranking_id is null");
        });
        item.HasKey(i => new { i.DatasetVersionId, i.Split, i.Ordinal });
        item.HasOne<DatasetVersion>().WithMany().HasForeignKey(i => i.DatasetVersionId).OnDelete(DeleteBehavior.Cascade);
        item.HasOne<Prompt>().WithMany().HasForeignKey(i => i.PromptId).OnDelete(DeleteBehavior.Restrict);
        item.HasOne<Completion>().WithMany().HasForeignKey(i => i.CompletionId).OnDelete(DeleteBehavior.Restrict);
        item.HasOne<Ranking>().WithMany().HasForeignKey(i => i.RankingId).OnDelete(DeleteBehavior.Restrict);
        item.HasOne<AppUser>().WithMany().HasForeignKey(i => i.LabelerId).OnDelete(DeleteBehavior.Restrict);
    }
}
