using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Labeling.Core.Data.Configurations;

internal sealed class RankingConfiguration : IEntityTypeConfiguration<Ranking>
{
    public void Configure(EntityTypeBuilder<Ranking> ranking)
    {
        ranking.ToTable("rankings", table =>
        {
            table.HasCheckConstraint("ck_rankings_strength", "strength between 1 and 4");
            table.HasCheckConstraint("ck_rankings_seconds_spent", "seconds_spent >= 0");
            table.HasCheckConstraint("ck_rankings_shown_order", $"cardinality(shown_order) >= {Project.MinAnswers}");
        });
        ranking.HasOne(r => r.Task).WithMany().HasForeignKey(r => r.TaskId).OnDelete(DeleteBehavior.Restrict);
        ranking.HasOne<Assignment>().WithMany().HasForeignKey(r => r.AssignmentId).OnDelete(DeleteBehavior.Restrict);
        ranking.HasOne(r => r.Prompt).WithMany().HasForeignKey(r => r.PromptId).OnDelete(DeleteBehavior.Restrict);
        ranking.HasOne<AppUser>().WithMany().HasForeignKey(r => r.UserId).OnDelete(DeleteBehavior.Restrict);
        ranking.HasOne<GuidelineVersion>().WithMany().HasForeignKey(r => r.GuidelineVersionId).OnDelete(DeleteBehavior.Restrict);
        ranking.HasMany(r => r.Entries).WithOne().HasForeignKey(e => e.RankingId).OnDelete(DeleteBehavior.Cascade);
        ranking.HasMany(r => r.Ratings).WithOne().HasForeignKey(e => e.RankingId).OnDelete(DeleteBehavior.Cascade);
        ranking.HasIndex(r => r.AssignmentId).IsUnique();
        ranking.HasIndex(r => new { r.UserId, r.CreatedAt });
    }
}

internal sealed class RankingEntryConfiguration : IEntityTypeConfiguration<RankingEntry>
{
    public void Configure(EntityTypeBuilder<RankingEntry> entry)
    {
        entry.ToTable("ranking_entries", table => table.HasCheckConstraint("ck_ranking_entries_rank", "rank >= 1"));
        entry.HasKey(e => new { e.RankingId, e.CompletionId });
        entry.HasOne(e => e.Completion).WithMany().HasForeignKey(e => e.CompletionId).OnDelete(DeleteBehavior.Restrict);
    }
}

internal sealed class CompletionRatingConfiguration : IEntityTypeConfiguration<CompletionRating>
{
    public void Configure(EntityTypeBuilder<CompletionRating> rating)
    {
        rating.ToTable("completion_ratings", table =>
        {
            table.HasCheckConstraint("ck_completion_ratings_quality", "quality between 1 and 7");
            table.HasCheckConstraint("ck_completion_ratings_flags", $"flags between 0 and {Enum.GetValues<CompletionFlags>().Aggregate(0, (all, flag) => all | (int)flag)}");
        });
        rating.HasKey(r => new { r.RankingId, r.CompletionId });

        // Only an answer that was ranked can be rated.
        rating.HasOne<RankingEntry>().WithOne().HasForeignKey<CompletionRating>(r => new { r.RankingId, r.CompletionId }).OnDelete(DeleteBehavior.Cascade);
    }
}
