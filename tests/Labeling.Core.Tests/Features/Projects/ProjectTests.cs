using Labeling.Core.Features.Projects;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Tests.Features.Projects;

public sealed class ProjectTests : InWorld
{
    [Fact]
    public async Task A_project_sent_twice_at_once_is_made_once_with_one_guideline()
    {
        var admin = await World.PersonAsync(Roles.Admin);
        var create = new CreateProject(admin, Guid.CreateVersion7(), " Support ", "d", "# Be kind", new ProjectRules(2, 3, 5, 10));
        var ids = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => World.DoAsync(create)));
        Assert.All(ids, id => Assert.Equal(create.Id, id));
        var details = await World.DoAsync(new GetProject(admin, create.Id));
        Assert.Equal(("Support", "d", 1, "# Be kind", create.Rules), (details.Name, details.Description, details.GuidelineNumber, details.GuidelineMarkdown, details.Rules));
        Assert.Equal("Support", Assert.Single(await World.DoAsync(new ListProjects(admin))).Name);
    }

    [Theory]
    [InlineData("", 1, 1, 4, 30, "name")]
    [InlineData("x", 0, 1, 4, 30, "rules.demonstrationOverlap")]
    [InlineData("x", 1, 101, 4, 30, "rules.rankingOverlap")]
    [InlineData("x", 1, 1, 10, 30, "rules.answersPerPrompt")]
    [InlineData("x", 1, 1, 1, 30, "rules.answersPerPrompt")]
    [InlineData("x", 1, 1, 4, 0, "rules.leaseMinutes")]
    [InlineData("x", 1, 1, 4, 10_081, "rules.leaseMinutes")]
    public async Task Impossible_rules_are_refused_by_field(string name, int demonstrations, int rankings, int answers, int lease, string field)
    {
        var rules = new ProjectRules(demonstrations, rankings, answers, lease);
        await World.RefusedAsync(new CreateProject(Actor.System, Guid.CreateVersion7(), name, "", "", rules), ProblemKind.Invalid, field);
    }

    [Fact]
    public async Task Missing_parts_of_a_request_are_named_not_thrown()
    {
        var problem = await World.RefusedAsync(new CreateProject(Actor.System, Guid.Empty, null!, "a\0", "", null!), ProblemKind.Invalid);
        Assert.Equal(["description", "id", "name", "rules"], problem.Fields!.Keys.Order());
    }

    [Fact]
    public async Task Guidelines_are_versions_and_an_edit_of_an_old_one_is_a_conflict()
    {
        var (ann, bob, project) = (await World.PersonAsync(Roles.Admin, "ann"), await World.PersonAsync(Roles.Admin), await World.ProjectAsync());
        var publish = new PublishGuideline(ann, project, 1, "Version two");
        Assert.Equal(2, await World.DoAsync(publish));
        Assert.Equal(2, await World.DoAsync(publish)); // the same click again
        await World.RefusedAsync(new PublishGuideline(bob, project, 1, "Bob's"), ProblemKind.Conflict);
        var both = await Task.WhenAll(World.SendAsync(new PublishGuideline(ann, project, 2, "a")), World.SendAsync(new PublishGuideline(bob, project, 2, "b")));
        Assert.Equal(1, both.Count(r => r.Ok));
        var versions = await World.DoAsync(new ListGuidelines(ann, project));
        Assert.Equal([3, 2, 1], versions.Select(v => v.Number));
        Assert.Equal(("Version two", "ann"), (versions[1].Markdown, versions[1].Author));
        await World.RefusedAsync(new PublishGuideline(ann, Guid.NewGuid(), 1, "x"), ProblemKind.NotFound);
    }

    [Fact]
    public async Task Changed_rules_hold_for_the_next_tasks_and_leave_old_ones_as_they_are()
    {
        var (admin, project) = (await World.PersonAsync(Roles.Admin), await World.ProjectAsync());
        await World.DemonstrationTasksAsync(project, 1);
        await World.DoAsync(new UpdateProject(admin, project, "New name", "", new ProjectRules(DemonstrationOverlap: 4, LeaseMinutes: 5)));
        var details = await World.DoAsync(new GetProject(admin, project));
        Assert.Equal(("New name", 4, 5), (details.Name, details.Rules.DemonstrationOverlap, details.Rules.LeaseMinutes));
        Assert.Equal(1, await World.ScalarAsync<int>("select overlap from tasks"));
        Assert.Equal((1, 1), (details.Counts.Prompts, details.Counts.OpenDemonstrationTasks));
        await World.RefusedAsync(new UpdateProject(await World.PersonAsync(), project, "x", "", new ProjectRules()), ProblemKind.Forbidden);
    }
}
