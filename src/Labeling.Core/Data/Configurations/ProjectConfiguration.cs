using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Labeling.Core.Data.Configurations;

internal sealed class ProjectConfiguration : IEntityTypeConfiguration<Project>
{
    public void Configure(EntityTypeBuilder<Project> project) => project.ToTable("projects", table =>
    {
        table.HasCheckConstraint("ck_projects_name", "length(name) between 1 and 200");
        table.HasCheckConstraint("ck_projects_overlaps", $"demonstration_overlap between 1 and {Project.MaxOverlap} and ranking_overlap between 1 and {Project.MaxOverlap}");
        table.HasCheckConstraint("ck_projects_answers_per_prompt", $"answers_per_prompt between {Project.MinAnswers} and {Project.MaxAnswers}");
        table.HasCheckConstraint("ck_projects_lease_minutes", $"lease_minutes between 1 and {Project.MaxLeaseMinutes}");
    });
}
