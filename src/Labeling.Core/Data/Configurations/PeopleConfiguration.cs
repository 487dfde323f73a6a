using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata.Builders;

namespace Labeling.Core.Data.Configurations;

internal sealed class AppUserConfiguration : IEntityTypeConfiguration<AppUser>
{
    public void Configure(EntityTypeBuilder<AppUser> person)
    {
        person.ToTable("users", table => table.HasCheckConstraint("ck_users_roles", "roles between 0 and 7"));
        person.HasIndex(p => p.NormalizedEmail).IsUnique().HasDatabaseName("ix_users_normalized_email");
        person.HasIndex(p => p.NormalizedUserName).IsUnique().HasDatabaseName("ix_users_normalized_user_name");
    }
}

internal sealed class InvitationConfiguration : IEntityTypeConfiguration<Invitation>
{
    public void Configure(EntityTypeBuilder<Invitation> invitation)
    {
        invitation.ToTable("invitations", table =>
        {
            table.HasCheckConstraint("ck_invitations_token_hash", "octet_length(token_hash) = 32");
            table.HasCheckConstraint("ck_invitations_roles", "roles between 1 and 7");
            table.HasCheckConstraint("ck_invitations_used", "(used_at is null) = (used_by_id is null)");
            table.HasCheckConstraint("ck_invitations_ended_once", "used_at is null or revoked_at is null");
        });
        invitation.HasIndex(i => i.TokenHash).IsUnique();
        invitation.HasIndex(i => i.UsedById).IsUnique();
        invitation.HasIndex(i => i.CreatedAt).IsDescending();
        invitation.HasOne<AppUser>().WithMany().HasForeignKey(i => i.CreatedById).OnDelete(DeleteBehavior.Restrict);
        invitation.HasOne<AppUser>().WithMany().HasForeignKey(i => i.UsedById).OnDelete(DeleteBehavior.Restrict);
    }
}

internal sealed class ApiKeyConfiguration : IEntityTypeConfiguration<ApiKey>
{
    public void Configure(EntityTypeBuilder<ApiKey> key)
    {
        key.ToTable("api_keys", table => table.HasCheckConstraint("ck_api_keys_hash", "octet_length(hash) = 32"));
        key.HasIndex(k => k.Prefix).IsUnique();
        key.HasOne(k => k.User).WithMany().HasForeignKey(k => k.UserId).OnDelete(DeleteBehavior.Restrict);
    }
}

internal sealed class AuditEventConfiguration : IEntityTypeConfiguration<AuditEvent>
{
    public void Configure(EntityTypeBuilder<AuditEvent> entry)
    {
        entry.ToTable("audit_events");
        entry.Property(e => e.At).HasDefaultValueSql("now()");
        entry.HasOne<AppUser>().WithMany().HasForeignKey(e => e.ActorId).OnDelete(DeleteBehavior.Restrict);
        entry.HasIndex(e => e.At).IsDescending();
        entry.HasIndex(e => e.Subject);
    }
}
