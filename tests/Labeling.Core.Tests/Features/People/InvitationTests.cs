using Labeling.Core.Features.People;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Tests.Features.People;

public sealed class InvitationTests : InWorld
{
    private const string Password = "a quiet Tuesday";

    private static AcceptInvitation Accept(string token, string email = "ann@example.org", string password = Password) =>
        new(Actor.Anonymous, token, email, "Ann", password);

    [Fact]
    public async Task The_first_link_makes_an_admin_once_and_then_no_more_links_are_made()
    {
        var old = (await World.DoAsync(new EnsureSetupInvitation(Actor.System)))!;
        var link = (await World.DoAsync(new EnsureSetupInvitation(Actor.System)))!;
        await World.RefusedAsync(new GetInvitation(Actor.Anonymous, old.Token), ProblemKind.Conflict);
        var offer = await World.DoAsync(new GetInvitation(Actor.Anonymous, link.Token));
        Assert.Equal((Roles.Admin, true), (offer.Roles, offer.IsSetup));
        var admin = Actor.Person(await World.DoAsync(Accept(link.Token)));
        var me = await World.DoAsync(new GetMe(admin));
        Assert.Equal(("Ann", "ann@example.org", Roles.Admin), (me.DisplayName, me.Email, me.Roles));
        Assert.Null(await World.DoAsync(new EnsureSetupInvitation(Actor.System)));
        await World.RefusedAsync(new GetInvitation(Actor.Anonymous, link.Token), ProblemKind.Conflict);
        await World.RefusedAsync(new EnsureSetupInvitation(admin), ProblemKind.Forbidden);
    }

    [Fact]
    public async Task Links_asked_for_and_used_at_once_leave_one_admin()
    {
        var links = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => World.DoAsync(new EnsureSetupInvitation(Actor.System))));
        Assert.Equal(1L, await World.ScalarAsync<long>("select count(*) from invitations where revoked_at is null"));
        var uses = await Task.WhenAll(links.Select((link, i) => World.SendAsync(Accept(link!.Token, $"p{i}@example.org"))));
        Assert.Equal(1, uses.Count(u => u.Ok));
        Assert.Equal(1L, await World.ScalarAsync<long>("select count(*) from users"));
    }

    [Fact]
    public async Task Of_eight_people_with_the_same_link_one_gets_in()
    {
        var admin = await World.PersonAsync(Roles.Admin);
        var link = await World.DoAsync(new CreateInvitation(admin, Roles.Annotator | Roles.Ranker, "For the team"));
        var uses = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => World.SendAsync(Accept(link.Token, $"p{i}@example.org"))));
        Assert.Equal(1, uses.Count(u => u.Ok));
        Assert.All(uses.Where(u => !u.Ok), u => Assert.Equal(ProblemKind.Conflict, u.Problem!.Kind));
        Assert.Equal(2L, await World.ScalarAsync<long>("select count(*) from users"));
        var listed = Assert.Single(await World.DoAsync(new ListInvitations(admin)));
        Assert.Equal(("Ann", "For the team"), (listed.UsedBy, listed.Note));
        await World.RefusedAsync(new RevokeInvitation(admin, listed.Id), ProblemKind.Conflict);
    }

    [Fact]
    public async Task The_same_form_sent_twice_is_one_account()
    {
        var link = (await World.DoAsync(new EnsureSetupInvitation(Actor.System)))!;
        var ids = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => World.DoAsync(Accept(link.Token))));
        Assert.Single(ids.Distinct());
        await World.RefusedAsync(Accept(link.Token, password: "another password"), ProblemKind.Conflict);
    }

    [Fact]
    public async Task A_withdrawn_expired_or_invented_link_says_so()
    {
        var admin = await World.PersonAsync(Roles.Admin);
        var withdrawn = await World.DoAsync(new CreateInvitation(admin, Roles.Ranker, null));
        await World.DoAsync(new RevokeInvitation(admin, withdrawn.Id));
        Assert.Contains("withdrawn", (await World.RefusedAsync(Accept(withdrawn.Token), ProblemKind.Conflict)).Message, StringComparison.Ordinal);
        var expired = await World.DoAsync(new CreateInvitation(admin, Roles.Ranker, null));
        await World.SqlAsync("update invitations set expires_at = now() - interval '1 second' where id = $1", expired.Id);
        Assert.Contains("expired", (await World.RefusedAsync(Accept(expired.Token), ProblemKind.Conflict)).Message, StringComparison.Ordinal);
        await World.RefusedAsync(Accept("invented"), ProblemKind.NotFound);
        await World.RefusedAsync(new CreateInvitation(admin, Roles.None, null), ProblemKind.Invalid, "roles");
    }

    [Theory]
    [InlineData("ann@example.org", "short", "password")]
    [InlineData("ann@example.org", "aaaaaaaaaaaaaaaa", "password")]
    [InlineData("not an address", Password, "email")]
    [InlineData("TAKEN@example.org", Password, "email")]
    public async Task A_refused_form_names_the_field_and_leaves_the_link_usable(string email, string password, string field)
    {
        await World.PersonAsync(name: "taken");
        var link = await World.DoAsync(new CreateInvitation(await World.PersonAsync(Roles.Admin), Roles.Ranker, null));
        await World.RefusedAsync(Accept(link.Token, email, password), ProblemKind.Invalid, field);
        await World.DoAsync(Accept(link.Token));
    }

    [Fact]
    public async Task Neither_link_nor_password_is_in_the_database()
    {
        var link = await World.DoAsync(new CreateInvitation(await World.PersonAsync(Roles.Admin), Roles.Ranker, null));
        await World.DoAsync(Accept(link.Token));
        var dump = await World.QueryAsync(async db => string.Join('\n',
            (await db.Invitations.Select(i => Convert.ToBase64String(i.TokenHash)).ToListAsync()).Concat(await db.Users.Select(u => u.PasswordHash ?? "").ToListAsync())
            .Concat(await db.AuditEvents.Select(e => e.Action + e.Details).ToListAsync())));
        Assert.DoesNotContain(link.Token, dump, StringComparison.Ordinal);
        Assert.DoesNotContain(Password, dump, StringComparison.Ordinal);
    }
}
