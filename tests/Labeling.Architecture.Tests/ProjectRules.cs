using System.Reflection;

namespace Labeling.Architecture.Tests;

/// <summary>
/// Who may use what, by the references that the compiled assemblies really carry. Two packages have ASP.NET's name and need no web server: the stores of people
/// and of the keys that protect cookies, which belong to the database model.
/// </summary>
public sealed class ProjectRules
{
    private static readonly Assembly Core = typeof(Core.LabelingCore).Assembly;
    private static readonly Assembly Web = Assembly.Load("Labeling.Web");
    private static readonly Assembly Worker = Assembly.Load("Labeling.Worker");
    private static readonly Assembly Training = Assembly.Load("Labeling.Training");
    private static readonly Assembly TrainingCli = Assembly.Load("labeling-train");
    private static readonly Assembly AppHost = Assembly.Load("Labeling.AppHost");
    private static readonly Assembly Migrations = Assembly.Load("Labeling.Migrations");

    [Fact]
    public void Core_knows_neither_the_web_nor_the_trainer() => MayNotUse(Core, "Labeling.", "TorchSharp", "MudBlazor", "Microsoft.ML", "Microsoft.AspNetCore");

    [Fact]
    public void Training_knows_no_database_and_no_host() =>
        MayNotUse(Training, "Labeling.", "Microsoft.EntityFrameworkCore", "Npgsql", "Mediator", "Microsoft.Extensions.Hosting", "Microsoft.AspNetCore");

    [Fact]
    public void The_trainers_command_line_knows_only_training()
    {
        MayNotUse(TrainingCli, "Labeling.Core", "Labeling.Web", "Labeling.Worker", "Labeling.AppHost", "Labeling.Migrations");
        MayNotUse(TrainingCli, "Microsoft.EntityFrameworkCore", "Npgsql", "Mediator", "Microsoft.AspNetCore");
    }

    [Fact]
    public void Web_carries_no_trainer() => MayNotUse(Web, "Labeling.Training", "labeling-train", "TorchSharp", "Labeling.Worker", "Labeling.AppHost", "Labeling.Migrations");

    [Fact]
    public void Worker_starts_the_trainer_and_does_not_load_it() =>
        MayNotUse(Worker, "Labeling.Training", "labeling-train", "TorchSharp", "Labeling.Web", "Labeling.AppHost", "Labeling.Migrations", "Microsoft.AspNetCore");

    [Fact]
    public void The_host_starts_the_other_programs_and_loads_none() =>
        MayNotUse(AppHost, "Labeling.Web", "Labeling.Worker", "Labeling.Training", "labeling-train", "Labeling.Migrations", "TorchSharp", "Microsoft.AspNetCore");

    [Fact]
    public void Migrations_know_only_core() => MayNotUse(Migrations, "Labeling.Web", "Labeling.Worker", "Labeling.Training", "labeling-train", "Labeling.AppHost", "TorchSharp");

    private static void MayNotUse(Assembly assembly, params string[] prefixes) =>
        Assert.DoesNotContain(References(assembly), name => prefixes.Any(prefix => name.StartsWith(prefix, StringComparison.Ordinal)));

    private static IEnumerable<string> References(Assembly assembly) => assembly.GetReferencedAssemblies().Select(reference => reference.Name!)
        .Except(["Microsoft.AspNetCore.Identity.EntityFrameworkCore", "Microsoft.AspNetCore.DataProtection.EntityFrameworkCore"]);
}
