using System.Text.Json;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Checks;

/// <summary>Ids of rendered conversations: template and tokenizer together. Both are found by name in the folders around the golden file.</summary>
internal static class TokenizedCheck
{
    public static List<Comparison> Run(GoldenFile golden)
    {
        var comparison = Comparison.Exact("ids of conversations");
        var tokenizers = new Dictionary<string, Tokenizer>();
        var templates = new Dictionary<string, (ChatTemplate Template, GoldenFile File)>();
        try
        {
            var n = 0;
            foreach (var test in golden.Cases)
            {
                string Text(string field) => test.GetProperty(field).GetString()!;
                if (!tokenizers.TryGetValue(Text("tokenizer"), out var tokenizer))
                {
                    tokenizers[Text("tokenizer")] = tokenizer = Tokenizer.FromFolder(Around(golden, Text("tokenizer"), "tokenizers", Directory.Exists));
                }
                if (!templates.TryGetValue(Text("template"), out var template))
                {
                    var file = GoldenFile.Open(Around(golden, Text("template") + ".json", "chat_templates", File.Exists));
                    templates[Text("template")] = template = (ChatTemplateCheck.Template(file.Root), file);
                }
                var place = $"cases[{n++}] {Text("tokenizer")}/{Text("template")}/{Text("conversation")}";
                var rendered = ChatTemplateCheck.Render(template.Template, Conversation(template.File, test));
                TokenizerCheck.Compare(comparison, TokenizerCheck.Ints(test.GetProperty("ids")), tokenizer.Encode(rendered, allowSpecial: true), place);
            }
        }
        finally
        {
            foreach (var (_, file) in templates.Values)
            {
                file.Dispose();
            }
        }
        return [comparison];
    }

    private static JsonElement Conversation(GoldenFile template, JsonElement test)
    {
        var (name, prompted) = (test.GetProperty("conversation").GetString(), test.GetProperty("add_generation_prompt").GetBoolean());
        foreach (var candidate in template.Cases)
        {
            if (candidate.GetProperty("name").GetString() == name && candidate.GetProperty("add_generation_prompt").GetBoolean() == prompted)
            {
                return candidate;
            }
        }
        throw new BadInputException($"{template.Path}: no case is named '{name}' with add_generation_prompt {(prompted ? "true" : "false")}.");
    }

    private static string Around(GoldenFile golden, string name, string kind, Func<string, bool> exists)
    {
        for (var folder = new DirectoryInfo(golden.Folder); folder is not null; folder = folder.Parent)
        {
            foreach (var candidate in new[] { Path.Combine(folder.FullName, name), Path.Combine(folder.FullName, kind, name) })
            {
                if (exists(candidate))
                {
                    return candidate;
                }
            }
        }
        throw new BadInputException($"{golden.Path}: names '{name}', which is neither beside it nor in a folder '{kind}' above it.");
    }
}
