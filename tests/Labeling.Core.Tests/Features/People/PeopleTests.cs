using Labeling.Core.Features.ApiKeys;
using Labeling.Core.Features.People;
using Labeling.Core.Features.Projects;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Tests.Features.People;

public sealed class PeopleTests : InWorld
{
    [Fact]
    public async Task The_last_admin_stays_admin()
    {
        var admin = await World.PersonAsync(Roles.Admin);
        await World.RefusedAsync(new ChangeRoles(admin, admin.UserId!.Value, Roles.Ranker), ProblemKind.Conflict);
        await World.RefusedAsync(new SetDisabled(admin, admin.UserId!.Value, true), ProblemKind.Conflict);
        await World.DoAsync(new ChangeRoles(admin, admin.UserId!.Value, Roles.Ranker | Roles.Admin));
        var second = await World.PersonAsync(Roles.Admin);
        await World.DoAsync(new ChangeRoles(second, admin.UserId!.Value, Roles.Ranker));
        await World.RefusedAsync(new ListPeople(admin), ProblemKind.Forbidden);
        Assert.Equal(2, (await World.DoAsync(new ListPeople(second))).Count);
        await World.RefusedAsync(new ChangeRoles(second, Guid.NewGuid(), Roles.Ranker), ProblemKind.NotFound);
    }

    [Fact]
    public async Task Two_admins_who_dethrone_each_other_at_once_leave_one()
    {
        for (var round = 0; round < 5; round++)
        {
            await World.SqlAsync("update users set roles = 1");
            var (a, b) = (await World.PersonAsync(Roles.Admin), await World.PersonAsync(Roles.Admin));
            await Task.WhenAll(World.SendAsync(new ChangeRoles(a, b.UserId!.Value, Roles.Ranker)), World.SendAsync(new SetDisabled(b, a.UserId!.Value, true)));
            Assert.Equal(1L, await World.ScalarAsync<long>("select count(*) from users where roles & 4 <> 0 and disabled_at is null"));
        }
    }

    [Fact]
    public async Task Roles_are_read_at_each_send()
    {
        var (admin, ann) = (await World.PersonAsync(Roles.Admin), await World.PersonAsync(Roles.Annotator));
        await World.DoAsync(new ListProjects(ann));
        await World.DoAsync(new SetDisabled(admin, ann.UserId!.Value, true));
        Assert.Contains("closed", (await World.RefusedAsync(new ListProjects(ann), ProblemKind.Forbidden)).Message, StringComparison.Ordinal);
        await World.RefusedAsync(new ListProjects(Actor.Person(Guid.NewGuid())), ProblemKind.Forbidden);
        await World.RefusedAsync(new ListProjects(Actor.Anonymous), ProblemKind.Forbidden);
        await World.RefusedAsync(new GetMe(Actor.System), ProblemKind.Forbidden);
    }

    [Fact]
    public async Task An_api_key_acts_as_its_person_until_it_is_revoked_or_they_are_shut_out()
    {
        var (admin, ann, bob) = (await World.PersonAsync(Roles.Admin), await World.PersonAsync(Roles.Annotator, "ann"), await World.PersonAsync());
        var key = await World.DoAsync(new CreateApiKey(ann, "laptop"));
        var me = await World.DoAsync(new AuthenticateApiKey(Actor.Anonymous, key.Secret));
        Assert.Equal((ann.UserId!.Value, Roles.Annotator), (me.Id, me.Roles));
        var listed = Assert.Single(await World.DoAsync(new ListApiKeys(ann)));
        Assert.StartsWith(listed.Prefix, key.Secret, StringComparison.Ordinal);
        Assert.NotNull(listed.LastUsedAt);
        await World.DoAsync(new AuthenticateApiKey(Actor.Anonymous, key.Secret));
        Assert.Equal(listed.LastUsedAt, Assert.Single(await World.DoAsync(new ListApiKeys(ann))).LastUsedAt); // not written again within the minute
        Assert.Equal(0L, await World.ScalarAsync<long>("select count(*) from api_keys k where k::text like '%' || $1 || '%'", key.Secret[13..]));

        await World.RefusedAsync(new AuthenticateApiKey(Actor.Anonymous, key.Secret[..^1] + (key.Secret[^1] == 'A' ? 'B' : 'A')), ProblemKind.Forbidden);
        await World.RefusedAsync(new AuthenticateApiKey(Actor.Anonymous, "guess"), ProblemKind.Forbidden);
        await World.RefusedAsync(new RevokeApiKey(bob, key.Id), ProblemKind.NotFound);
        Assert.Empty(await World.DoAsync(new ListApiKeys(bob)));

        await World.DoAsync(new SetDisabled(admin, ann.UserId!.Value, true));
        await World.RefusedAsync(new AuthenticateApiKey(Actor.Anonymous, key.Secret), ProblemKind.Forbidden);
        await World.DoAsync(new SetDisabled(admin, ann.UserId!.Value, false));
        await World.DoAsync(new AuthenticateApiKey(Actor.Anonymous, key.Secret));
        await World.DoAsync(new RevokeApiKey(ann, key.Id));
        await World.RefusedAsync(new AuthenticateApiKey(Actor.Anonymous, key.Secret), ProblemKind.Forbidden);
    }

    [Fact]
    public async Task Only_the_system_makes_keys_for_others()
    {
        var (ann, bob) = (await World.PersonAsync(), await World.PersonAsync(name: "bob"));
        await World.RefusedAsync(new CreateApiKey(ann, "x", bob.UserId), ProblemKind.Forbidden);
        await World.RefusedAsync(new CreateApiKey(Actor.System, "x"), ProblemKind.Invalid, "forPersonId");
        await World.RefusedAsync(new CreateApiKey(Actor.System, "x", Guid.NewGuid()), ProblemKind.Invalid, "forPersonId");
        var key = await World.DoAsync(new CreateApiKey(Actor.System, "script", bob.UserId));
        Assert.Equal("bob", (await World.DoAsync(new AuthenticateApiKey(Actor.Anonymous, key.Secret))).DisplayName);
    }
}
