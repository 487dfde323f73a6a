using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Labeling.Core.Data.Configurations;

internal sealed class GuidelineVersionConfiguration : IEntityTypeConfiguration<GuidelineVersion>
{
    public void Configure(EntityTypeBuilder<GuidelineVersion> guideline)
    {
        guideline.ToTable("guideline_versions", table => table.HasCheckConstraint("ck_guideline_versions_number", "number >= 1"));
        guideline.HasOne<Project>().WithMany().HasForeignKey(g => g.ProjectId).OnDelete(DeleteBehavior.Restrict);
        guideline.HasOne<AppUser>().WithMany().HasForeignKey(g => g.AuthorId).OnDelete(DeleteBehavior.Restrict);
        guideline.HasIndex(g => new { g.ProjectId, g.Number }).IsUnique();
    }
}
