using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Labeling.Core.Data.Configurations;

internal sealed class PromptConfiguration : IEntityTypeConfiguration<Prompt>
{
    public void Configure(EntityTypeBuilder<Prompt> prompt)
    {
        prompt.ToTable("prompts", table => table.HasCheckConstraint("ck_prompts_content_hash", "octet_length(content_hash) = 32"));
        prompt.Property(p => p.Messages).HasColumnType("json").HasConversion(MessagesAsJson.Converter, MessagesAsJson.Comparer);
        prompt.HasOne(p => p.Project).WithMany().HasForeignKey(p => p.ProjectId).OnDelete(DeleteBehavior.Restrict);
        prompt.HasOne<AppUser>().WithMany().HasForeignKey(p => p.AuthorId).OnDelete(DeleteBehavior.Restrict);
        prompt.HasOne<PromptImport>().WithMany().HasForeignKey(p => p.ImportId).OnDelete(DeleteBehavior.Restrict);

        // The split is part of the key: no author can be in two splits. A prompt without an author is not held to it.
        prompt.HasOne<PromptAuthor>().WithMany().HasForeignKey(p => new { p.ProjectId, p.Author, p.Split })
            .HasPrincipalKey(a => new { a.ProjectId, a.Author, a.Split }).OnDelete(DeleteBehavior.Restrict);

        prompt.HasIndex(p => new { p.ProjectId, p.ContentHash }).IsUnique();
        prompt.HasIndex(p => new { p.ProjectId, p.ExternalId }).IsUnique().HasFilter("external_id is not null");
        prompt.HasIndex(p => new { p.ProjectId, p.CreatedAt, p.Id }).IsDescending(false, true, true);
        prompt.HasIndex(p => new { p.ProjectId, p.Category });
    }
}

internal sealed class PromptAuthorConfiguration : IEntityTypeConfiguration<PromptAuthor>
{
    public void Configure(EntityTypeBuilder<PromptAuthor> author)
    {
        author.ToTable("prompt_authors");
        author.HasKey(a => new { a.ProjectId, a.Author });
        author.HasAlternateKey(a => new { a.ProjectId, a.Author, a.Split });
        author.HasOne<Project>().WithMany().HasForeignKey(a => a.ProjectId).OnDelete(DeleteBehavior.Restrict);
    }
}

internal sealed class PromptImportConfiguration : IEntityTypeConfiguration<PromptImport>
{
    public void Configure(EntityTypeBuilder<PromptImport> import)
    {
        import.ToTable("prompt_imports", table => table.HasCheckConstraint("ck_prompt_imports_counts", "imported >= 0 and duplicates >= 0 and rejected >= 0"));
        import.Property(i => i.Problems).HasColumnType("json");
        import.HasOne<Project>().WithMany().HasForeignKey(i => i.ProjectId).OnDelete(DeleteBehavior.Restrict);
        import.HasOne<AppUser>().WithMany().HasForeignKey(i => i.CreatedById).OnDelete(DeleteBehavior.Restrict);
        import.HasIndex(i => new { i.ProjectId, i.CreatedAt }).IsDescending(false, true);
    }
}
