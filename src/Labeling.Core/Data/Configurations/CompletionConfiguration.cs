using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Labeling.Core.Data.Configurations;

internal sealed class CompletionConfiguration : IEntityTypeConfiguration<Completion>
{
    public void Configure(EntityTypeBuilder<Completion> completion)
    {
        completion.ToTable("completions", table =>
        {
            table.HasCheckConstraint("ck_completions_human",
                "source <> 'human' or (author_id is not null and edited_from_id is null and model_id is null and run_id is null and sample_index is null)");
            table.HasCheckConstraint("ck_completions_model",
                "source <> 'model' or (model_id is not null and run_id is not null and sample_index is not null and author_id is null and assignment_id is null and edited_from_id is null)");
            table.HasCheckConstraint("ck_completions_edited",
                "source <> 'edited' or (author_id is not null and edited_from_id is not null and model_id is null and run_id is null and sample_index is null)");
            table.HasCheckConstraint("ck_completions_numbers", "sample_index >= 0 and seconds_spent >= 0 and token_count >= 0");
            table.HasCheckConstraint("ck_completions_finish_reason", "finish_reason in ('stop', 'length')");
        });
        completion.HasOne(c => c.Prompt).WithMany().HasForeignKey(c => c.PromptId).OnDelete(DeleteBehavior.Restrict);
        completion.HasOne<AppUser>().WithMany().HasForeignKey(c => c.AuthorId).OnDelete(DeleteBehavior.Restrict);
        completion.HasOne<Assignment>().WithMany().HasForeignKey(c => c.AssignmentId).OnDelete(DeleteBehavior.Restrict);
        completion.HasOne<GuidelineVersion>().WithMany().HasForeignKey(c => c.GuidelineVersionId).OnDelete(DeleteBehavior.Restrict);
        completion.HasOne<Completion>().WithMany().HasForeignKey(c => c.EditedFromId).OnDelete(DeleteBehavior.Restrict);
        completion.HasOne<ModelCheckpoint>().WithMany().HasForeignKey(c => c.ModelId).OnDelete(DeleteBehavior.Restrict);
        completion.HasOne<TrainingRun>().WithMany().HasForeignKey(c => c.RunId).OnDelete(DeleteBehavior.Restrict);
        completion.HasIndex(c => c.AssignmentId).IsUnique();
        completion.HasIndex(c => new { c.RunId, c.PromptId, c.ModelId, c.SampleIndex }).IsUnique();
        completion.HasIndex(c => new { c.AuthorId, c.CreatedAt }).HasFilter("author_id is not null");
    }
}
