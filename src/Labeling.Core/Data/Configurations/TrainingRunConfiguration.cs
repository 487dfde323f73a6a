using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Labeling.Core.Data.Configurations;

internal sealed class TrainingRunConfiguration : IEntityTypeConfiguration<TrainingRun>
{
    public void Configure(EntityTypeBuilder<TrainingRun> run)
    {
        run.ToTable("training_runs", table =>
        {
            table.HasCheckConstraint("ck_training_runs_finished_at", "(state in ('completed', 'failed', 'cancelled')) = (finished_at is not null)");
            table.HasCheckConstraint("ck_training_runs_lease",
                "(state = 'running') = (lease_token is not null) and (lease_token is null) = (lease_owner is null) and (lease_token is null) = (lease_expires_at is null)");
            table.HasCheckConstraint("ck_training_runs_failure_reason", "state <> 'failed' or failure_reason is not null");
            table.HasCheckConstraint("ck_training_runs_attempts", "attempt >= 0 and max_attempts >= 1");
            table.HasCheckConstraint("ck_training_runs_steps", "step >= 0 and total_steps >= 0");
        });
        run.Property(r => r.Hyperparameters).HasColumnType("json");
        run.Property(r => r.Result).HasColumnType("json");
        run.Property(r => r.AvailableAt).HasDefaultValueSql("now()");
        run.HasOne<Project>().WithMany().HasForeignKey(r => r.ProjectId).OnDelete(DeleteBehavior.Restrict);
        run.HasOne(r => r.DatasetVersion).WithMany().HasForeignKey(r => r.DatasetVersionId).OnDelete(DeleteBehavior.Restrict);
        run.HasOne<AppUser>().WithMany().HasForeignKey(r => r.CreatedById).OnDelete(DeleteBehavior.Restrict);
        run.HasMany(r => r.Models).WithOne().HasForeignKey(m => m.RunId).OnDelete(DeleteBehavior.Cascade);
        run.HasIndex(r => new { r.ProjectId, r.CreatedAt, r.Id }).IsDescending(false, true, true);
        run.HasIndex(r => new { r.Priority, r.AvailableAt, r.Id }).IsDescending(true, false, false)
            .HasFilter("state in ('available', 'retryable')").HasDatabaseName("ix_training_runs_waiting");
        run.HasIndex(r => r.LeaseExpiresAt).HasFilter("state = 'running'").HasDatabaseName("ix_training_runs_leases");
    }
}

internal sealed class TrainingRunModelConfiguration : IEntityTypeConfiguration<TrainingRunModel>
{
    public void Configure(EntityTypeBuilder<TrainingRunModel> used)
    {
        used.ToTable("training_run_models", table => table.HasCheckConstraint("ck_training_run_models_ordinal", "ordinal >= 0"));
        used.HasKey(u => new { u.RunId, u.Role, u.Ordinal });
        used.HasIndex(u => new { u.RunId, u.Role, u.ModelId }).IsUnique();
        used.HasOne(u => u.Model).WithMany().HasForeignKey(u => u.ModelId).OnDelete(DeleteBehavior.Restrict);
    }
}

internal sealed class RunMetricConfiguration : IEntityTypeConfiguration<RunMetric>
{
    public void Configure(EntityTypeBuilder<RunMetric> metric)
    {
        metric.ToTable("run_metrics", table => table.HasCheckConstraint("ck_run_metrics_step", "step >= 0"));
        metric.Property(m => m.Values).HasColumnType("json");
        metric.HasKey(m => new { m.RunId, m.Step });
        metric.HasOne<TrainingRun>().WithMany().HasForeignKey(m => m.RunId).OnDelete(DeleteBehavior.Cascade);
    }
}
