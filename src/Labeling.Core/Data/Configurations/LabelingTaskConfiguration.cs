using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Labeling.Core.Data.Configurations;

internal sealed class LabelingTaskConfiguration : IEntityTypeConfiguration<LabelingTask>
{
    public void Configure(EntityTypeBuilder<LabelingTask> task)
    {
        task.ToTable("tasks", table =>
        {
            table.HasCheckConstraint("ck_tasks_counts", "overlap >= 1 and finished >= 0 and finished <= taken and taken <= overlap");
            table.HasCheckConstraint("ck_tasks_next_lapse_at", "(taken > finished) = (next_lapse_at is not null)");
            table.HasCheckConstraint("ck_tasks_done", "state = 'cancelled' or (state = 'done') = (finished = overlap)");
        });
        task.HasAlternateKey(t => new { t.Id, t.Overlap });
        task.HasOne<Project>().WithMany().HasForeignKey(t => t.ProjectId).OnDelete(DeleteBehavior.Restrict);
        task.HasOne(t => t.Prompt).WithMany().HasForeignKey(t => t.PromptId).OnDelete(DeleteBehavior.Restrict);
        task.HasOne<TrainingRun>().WithMany().HasForeignKey(t => t.RunId).OnDelete(DeleteBehavior.Restrict);

        // The way of a claim. The counters are left out of the index, so that taking a task changes no index entry.
        task.HasIndex(t => new { t.ProjectId, t.Kind, t.Priority, t.CreatedAt, t.Id }).IsDescending(false, false, true, false, false)
            .HasFilter("state = 'open'").HasDatabaseName("ix_tasks_open");
        task.HasIndex(t => new { t.ProjectId, t.Batch });
        task.HasIndex(t => t.PromptId);

        // A prompt is asked for demonstrations once, and a sample run makes one ranking task per prompt, however often it is recorded.
        task.HasIndex(t => t.PromptId).IsUnique().HasFilter("kind = 'demonstration' and state <> 'cancelled'").HasDatabaseName("ix_tasks_demonstration");
        task.HasIndex(t => new { t.RunId, t.PromptId }).IsUnique();
    }
}

internal sealed class TaskCompletionConfiguration : IEntityTypeConfiguration<TaskCompletion>
{
    public void Configure(EntityTypeBuilder<TaskCompletion> shown)
    {
        shown.ToTable("task_completions", table => table.HasCheckConstraint("ck_task_completions_ordinal", "ordinal >= 0"));
        shown.HasKey(s => new { s.TaskId, s.CompletionId });
        shown.HasOne<LabelingTask>().WithMany(t => t.Completions).HasForeignKey(s => s.TaskId).OnDelete(DeleteBehavior.Cascade);
        shown.HasOne(s => s.Completion).WithMany().HasForeignKey(s => s.CompletionId).OnDelete(DeleteBehavior.Restrict);
        shown.HasIndex(s => new { s.TaskId, s.Ordinal }).IsUnique();
    }
}
