using System.Text.Json;
using Labeling.Core.Model;
using Labeling.Core.Runs;

namespace Labeling.Core.Tests.Runs;

public sealed class StageCatalogTests
{
    private const string Sample =
        """
        [{"stage":"sft","summary":"Teaches.","hyperparameters":[
          {"name":"learning_rate","type":"float","default":0.001,"min":1e-08,"max":1,"choices":null,"unit":"","help":"Step size.","source":"paper"},
          {"name":"epochs","type":"int","default":2,"min":1,"max":1000,"choices":null,"unit":"epochs","help":"Passes.","source":""},
          {"name":"schedule","type":"choice","default":"cosine","min":null,"max":null,"choices":["cosine","constant","linear"],"unit":"","help":"Decay.","source":""},
          {"name":"dropout","type":"float","default":null,"min":0,"max":0.9,"choices":null,"unit":"","help":"From the model.","source":""},
          {"name":"packing","type":"bool","default":false,"min":null,"max":null,"choices":null,"unit":"","help":"Packs.","source":""}]}]
        """;

    private static readonly StageCatalog Catalog = StageCatalog.Parse(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(Sample)));

    private static string Mistake(string name, object? value)
    {
        var problem = Catalog.Check(RunStage.Sft, new Dictionary<string, object?> { [name] = value }).Problem;
        return Assert.Single(Assert.Single(problem!.Fields!, field => field.Key == $"hyperparameters.{name}").Value);
    }

    [Fact]
    public void The_form_sees_defaults_limits_and_help()
    {
        var views = Catalog.Hyperparameters(RunStage.Sft);

        Assert.Equal(["learning_rate", "epochs", "schedule", "dropout", "packing"], views.Select(view => view.Name));
        Assert.Equal(["0.001", "2", "cosine", null, "false"], views.Select(view => view.Default));
        Assert.Equal(("epochs", 1, 1000), (views[1].Unit, views[1].Min, views[1].Max));
        Assert.Null(views[0].Unit);
    }

    [Fact]
    public void Values_from_a_form_and_from_JSON_become_the_same_run_json()
    {
        var form = new Dictionary<string, object?> { ["learning_rate"] = "1e-4", ["epochs"] = "3", ["schedule"] = "linear", ["packing"] = true, ["dropout"] = "" };
        var json = JsonSerializer.Deserialize<Dictionary<string, object?>>("""{"learning_rate":1e-4,"epochs":3.0,"schedule":"linear","packing":true,"dropout":null}""")!;

        const string expected = """{"learning_rate":0.0001,"epochs":3,"schedule":"linear","packing":true}""";
        Assert.Equal(expected, Catalog.Check(RunStage.Sft, form).Value.ToJsonString());
        Assert.Equal(expected, Catalog.Check(RunStage.Sft, json).Value.ToJsonString());
    }

    [Theory]
    [InlineData("learning_rat", 1, "did you mean learning_rate?")]
    [InlineData("LearningRate", 1, "did you mean learning_rate?")]
    [InlineData("learning_rate", 5.0, "nearest valid value is 1.")]
    [InlineData("epochs", 0, "nearest valid value is 1.")]
    [InlineData("epochs", 99999999999L, "nearest valid value is 1000.")]
    [InlineData("epochs", 2.4, "the nearest is 2.")]
    [InlineData("epochs", "many", "whole number")]
    [InlineData("learning_rate", "NaN", "must be a number")]
    [InlineData("schedule", "cosin", "the nearest is cosine.")]
    [InlineData("packing", "yes", "true or false")]
    public void A_mistake_names_the_field_and_the_nearest_valid_value(string name, object value, string expected) =>
        Assert.Contains(expected, Mistake(name, value), StringComparison.Ordinal);

    [Fact]
    public void All_mistakes_are_told_at_once()
    {
        var problem = Catalog.Check(RunStage.Sft, new Dictionary<string, object?> { ["epochs"] = -1, ["x"] = 1 }).Problem!;
        Assert.Equal(["hyperparameters.epochs", "hyperparameters.x"], problem.Fields!.Keys.Order());
    }
}
