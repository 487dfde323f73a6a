using System.Text.Json;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Checks;

/// <summary>A chat template against texts rendered, and errors raised, by another implementation of Jinja.</summary>
internal static class ChatTemplateCheck
{
    private static readonly HashSet<string> OwnFields = new(StringComparer.Ordinal) { "name", "messages", "add_generation_prompt", "expected", "error", "note" };

    /// <summary>Fields whose members are variables of the template themselves.</summary>
    private static readonly HashSet<string> Bundles = new(StringComparer.Ordinal) { "variables", "kwargs", "template_kwargs", "chat_template_kwargs", "extra_context" };

    public static List<Comparison> Run(GoldenFile golden)
    {
        var template = Template(golden.Root);
        var (texts, errors) = (Comparison.Exact("rendered text"), Comparison.Exact("expected errors"));
        var n = 0;
        foreach (var test in golden.Cases)
        {
            var place = $"cases[{n++}]" + (GoldenFile.Given(test, "name") ? " " + test.GetProperty("name").GetString() : "");
            string? rendered = null, refused = null;
            try
            {
                rendered = Render(template, test);
            }
            catch (ChatTemplateException e)
            {
                refused = e.Message;
            }
            if (GoldenFile.Given(test, "error"))
            {
                TokenizerCheck.Compare(errors, test.GetProperty("error").GetString()!, refused ?? "no error", place);
            }
            else if (rendered is null)
            {
                texts.Fail($"{place}: {refused}");
            }
            else
            {
                TokenizerCheck.Compare(texts, test.GetProperty("expected").GetString()!, rendered, place);
            }
        }
        return [texts, errors];
    }

    /// <summary>The template of a golden file with the special tokens it names.</summary>
    public static ChatTemplate Template(JsonElement root) => new(root.GetProperty("chat_template").GetString()!,
        root.EnumerateObject().Where(p => p.Name.EndsWith("_token", StringComparison.Ordinal) && p.Value.ValueKind == JsonValueKind.String)
            .ToDictionary(p => p.Name, p => p.Value.GetString()!));

    /// <summary>Renders a case; what it has besides messages and expectation are variables (tools, documents, date_string, ...).</summary>
    public static string Render(ChatTemplate template, JsonElement test)
    {
        var variables = new Dictionary<string, JsonElement>();
        foreach (var property in test.EnumerateObject().Where(p => !OwnFields.Contains(p.Name)))
        {
            if (Bundles.Contains(property.Name) && property.Value.ValueKind == JsonValueKind.Object)
            {
                foreach (var variable in property.Value.EnumerateObject())
                {
                    variables[variable.Name] = variable.Value;
                }
            }
            else
            {
                variables[property.Name] = property.Value;
            }
        }
        var addGenerationPrompt = GoldenFile.Given(test, "add_generation_prompt") && test.GetProperty("add_generation_prompt").GetBoolean();
        return template.Render(test.GetProperty("messages"), addGenerationPrompt, variables);
    }
}
