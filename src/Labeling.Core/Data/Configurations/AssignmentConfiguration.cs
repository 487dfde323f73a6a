using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Labeling.Core.Data.Configurations;

internal sealed class AssignmentConfiguration : IEntityTypeConfiguration<Assignment>
{
    public void Configure(EntityTypeBuilder<Assignment> assignment)
    {
        assignment.ToTable("assignments", table =>
        {
            table.HasCheckConstraint("ck_assignments_slot", "slot between 1 and overlap");
            table.HasCheckConstraint("ck_assignments_slot_held", "(state in ('active', 'submitted')) = (slot is not null)");
            table.HasCheckConstraint("ck_assignments_finished_at", "(state in ('submitted', 'surplus', 'skipped')) = (finished_at is not null)");
            table.HasCheckConstraint("ck_assignments_skip_reason", "(state = 'skipped') = (skip_reason is not null)");
            table.HasCheckConstraint("ck_assignments_draft", "draft_version >= 0 and (draft_version = 0) = (draft_saved_at is null)");
        });
        assignment.Property(a => a.ClaimedAt).HasDefaultValueSql("now()");
        assignment.HasOne(a => a.Task).WithMany().HasForeignKey(a => new { a.TaskId, a.Overlap })
            .HasPrincipalKey(t => new { t.Id, t.Overlap }).OnDelete(DeleteBehavior.Restrict);
        assignment.HasOne<AppUser>().WithMany().HasForeignKey(a => a.UserId).OnDelete(DeleteBehavior.Restrict);
        assignment.HasOne<GuidelineVersion>().WithMany().HasForeignKey(a => a.GuidelineVersionId).OnDelete(DeleteBehavior.Restrict);
        assignment.HasIndex(a => new { a.TaskId, a.UserId }).IsUnique();
        assignment.HasIndex(a => new { a.TaskId, a.Slot }).IsUnique().HasFilter("state in ('active', 'submitted')");
        assignment.HasIndex(a => new { a.UserId, a.State, a.FinishedAt });
    }
}
