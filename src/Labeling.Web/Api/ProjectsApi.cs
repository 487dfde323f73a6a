using System.Security.Claims;
using Labeling.Core.Features.Projects;
using Labeling.Web.Accounts;
using Labeling.Web.Api.OpenApi;
using Mediator;
using Microsoft.AspNetCore.Http.HttpResults;

namespace Labeling.Web.Api;

internal static class ProjectsApi
{
    public static void MapProjects(this RouteGroupBuilder api)
    {
        var projects = api.MapGroup("/projects").WithTags("Projects");
        projects.MapGet("", List).WithName("ListProjects").WithSummary("Lists the projects.");
        projects.MapGet("/{id:guid}", Get).WithName("GetProject").WithSummary("Reads a project: its rules, its present guidelines and how far each kind of work is.");
        projects.MapPost("", Create).WithName("CreateProject").WithSummary("Creates a project with its first guidelines. Admins only.")
            .WithDescription("The id is made by you, so that the same request sent again makes no second project.");
    }

    private static async Task<Results<Ok<IReadOnlyList<ProjectItem>>, ProblemHttpResult>> List(ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new ListProjects(user.Actor()), cancel)).ToOk();

    private static async Task<Results<Ok<ProjectDetails>, ProblemHttpResult>> Get(Guid id, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new GetProject(user.Actor(), id), cancel)).ToOk();

    private static async Task<Results<Created<Created>, ProblemHttpResult>> Create(NewProject body, ClaimsPrincipal user, ISender sender, CancellationToken cancel) =>
        (await sender.Send(new CreateProject(user.Actor(), body.Id, body.Name, body.Description, body.GuidelineMarkdown, body.Rules ?? new()), cancel)).ToCreated("projects");
}

/// <summary>A project to create.</summary>
public sealed record NewProject(Guid Id, string Name, string Description = "", string GuidelineMarkdown = "", ProjectRules? Rules = null) : IExample<NewProject>
{
    public static NewProject Example { get; } =
        new(Guid.Parse("0199e0a0-5b1c-7c39-8a53-0c9f0d4d7a11"), "Support answers", "Short, polite answers to customers.", "# How to answer\n\nBe brief. Say so when you do not know.", new(1, 2, 4, 30));
}
