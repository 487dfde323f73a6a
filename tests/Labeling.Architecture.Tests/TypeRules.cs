using System.Text.RegularExpressions;
using ArchUnitNET.Loader;
using static ArchUnitNET.Fluent.ArchRuleDefinition;
using Assembly = System.Reflection.Assembly;

namespace Labeling.Architecture.Tests;

/// <summary>Who may use what inside the projects.</summary>
public sealed class TypeRules
{
    private static readonly ArchUnitNET.Domain.Architecture Architecture = new ArchLoader()
        .LoadAssemblies(typeof(Core.LabelingCore).Assembly, Assembly.Load("Labeling.Web"), Assembly.Load("Labeling.AppHost")).Build();

    [Fact]
    public void Nouns_depend_on_nothing_else_of_core() => MayNotUse(@"^Labeling\.Core\.Model$", @"^Labeling\.Core\.(Data|Features|Runs|Pipeline|Storage)");

    [Fact]
    public void The_database_model_knows_no_use_case() => MayNotUse(@"^Labeling\.Core\.Data", @"^Labeling\.Core\.(Features|Runs|Storage)");

    [Fact]
    public void Pages_and_api_reach_the_database_by_requests_only() => MayNotUse(@"^Labeling\.Web\.(Components|Api)", @"^(Labeling\.Core\.Data|Npgsql|Microsoft\.EntityFrameworkCore)");

    /// <summary>It reads the API's answers into the records they were made from; only the making of its people and their keys is the installation's own doing.</summary>
    [Fact]
    public void The_demo_plays_through_http_as_anybody_could() =>
        MayNotUse(@"^Labeling\.AppHost\.Demo", @"^(Labeling\.Core\.(Data|Pipeline|Runs|Storage|LabelingCore)|Npgsql|Microsoft\.EntityFrameworkCore|Mediator)", except: "DemoPeople");

    [Fact]
    public void Raw_html_is_made_in_one_place()
    {
        var makers = Architecture.Types
            .Where(type => type.Dependencies.Any(d => d.Target.FullName.Contains("Components.MarkupString", StringComparison.Ordinal)))
            .Select(type => type.FullName.Split('+')[0]).Distinct();
        Assert.Equal(["Labeling.Web.Components.Shared.Markdown"], makers);
    }

    private static void MayNotUse(string users, string used, string? except = null)
    {
        var those = Types().That().ResideInNamespaceMatching(users).GetObjects(Architecture).Where(type => except is null || !type.FullName.Contains(except, StringComparison.Ordinal)).ToList();
        Assert.NotEmpty(those); // a renamed namespace must not switch the rule off
        var found = those
            .SelectMany(type => type.Dependencies.Where(d => Regex.IsMatch(d.Target.FullName, used)).Select(d => $"{type.FullName} -> {d.Target.FullName}"))
            .Distinct().Order().ToList();
        Assert.True(found.Count == 0, string.Join('\n', found));
    }
}
