using System.Text.Json;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Tests.Tokenizers;

public sealed class ChatTemplateTests
{
    private static readonly string Golden = Path.Combine(AppContext.BaseDirectory, "Golden");

    public static TheoryData<string> Templates()
    {
        TheoryData<string> names = [];
        foreach (string file in Directory.EnumerateFiles(Path.Combine(Golden, "chat_templates"), "*.json").Order(StringComparer.Ordinal))
            names.Add(Path.GetFileNameWithoutExtension(file));
        return names;
    }

    [Theory]
    [MemberData(nameof(Templates))]
    public void Published_template_renders_as_jinja2_does(string name)
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllText(Path.Combine(Golden, "chat_templates", name + ".json")));
        JsonElement root = golden.RootElement;
        ChatTemplate template = new(
            root.GetProperty("chat_template").GetString()!, root.GetProperty("bos_token").GetString(), root.GetProperty("eos_token").GetString());
        int cases = 0;
        foreach (JsonElement test in root.GetProperty("cases").EnumerateArray())
        {
            List<ChatMessage> messages = [.. test.GetProperty("messages").EnumerateArray().Select(m =>
                new ChatMessage(m.GetProperty("role").GetString()!, m.GetProperty("content").GetString()!))];
            bool addGenerationPrompt = test.GetProperty("add_generation_prompt").GetBoolean();
            if (test.TryGetProperty("error", out JsonElement error))
                Assert.Equal(error.GetString(), Assert.Throws<ChatTemplateException>(() => template.Render(messages, addGenerationPrompt)).Message);
            else
                Assert.Equal(test.GetProperty("expected").GetString(), template.Render(messages, addGenerationPrompt));
            cases++;
        }
        Assert.Equal(24, cases);
    }

    public static TheoryData<string, string> Language()
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllText(Path.Combine(Golden, "jinja_language.json")));
        TheoryData<string, string> cases = [];
        foreach (JsonElement test in golden.RootElement.GetProperty("cases").EnumerateArray())
            cases.Add(test.GetProperty("template").GetString()!, test.GetProperty("expected").GetString()!);
        return cases;
    }

    [Theory]
    [MemberData(nameof(Language))]
    public void Language_follows_jinja2(string template, string expected) =>
        Assert.Equal(expected, new ChatTemplate(template, null, null).Render([], addGenerationPrompt: false));

    [Theory]
    [InlineData("{% if x %}open", "line 1: 'if' is not closed with 'endif'")]
    [InlineData("a\nb {{ 1 + }}", "line 2: expected a value, found '}}'")]
    [InlineData("{{ 'open }}", "a string is not closed")]
    [InlineData("{{ 1 ", "a tag is not closed")]
    [InlineData("{% include 'x' %}", "the statement 'include' is not supported")]
    [InlineData("{{ 1|frobnicate }}", "the filter 'frobnicate' is not supported")]
    [InlineData("{{ 1 is frobnicated }}", "the test 'frobnicated' is not supported")]
    [InlineData("{% endif %}", "'endif' opens nothing")]
    [InlineData("{% break %}", "outside of a loop")]
    [InlineData("{{ (1] }}", "closes nothing")]
    public void Broken_template_is_refused_when_read(string template, string reason) =>
        Assert.Contains(reason, Assert.Throws<ChatTemplateException>(() => new ChatTemplate(template, null, null)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("{{ missing.attribute }}", "'missing' is undefined")]
    [InlineData("{{ 'a' + missing }}", "'missing' is undefined")]
    [InlineData("{{ 'a' + 1 }}", "'+' does not work between string and integer")]
    [InlineData("{{ frobnicate() }}", "'frobnicate' is not a function")]
    [InlineData("{{ 'x' * 1000000000 }}", "may not grow past")]
    [InlineData("{% for i in range(1000000000) %}x{% endfor %}", "may not have more than")]
    [InlineData("{% for i in 5 %}x{% endfor %}", "cannot be walked through")]
    [InlineData("{% set x.y = 1 %}", "only attributes of a namespace()")]
    [InlineData("{{ 9223372036854775807 + 1 }}", "too large")]
    [InlineData("{{ 1 // 0 }}", "division by zero")]
    [InlineData("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "too deeply nested")]
    public void Impossible_computation_is_refused_when_rendered(string template, string reason) =>
        Assert.Contains(
            reason,
            Assert.Throws<ChatTemplateException>(() => new ChatTemplate(template, null, null).Render([], addGenerationPrompt: false)).Message,
            StringComparison.Ordinal);

    [Theory]
    [InlineData("(", ")")]
    [InlineData("not ", "")]
    [InlineData("1 + ", "")]
    [InlineData("[", "]")]
    public void Hostile_nesting_ends_in_an_error_and_not_in_a_crash(string open, string close)
    {
        const int times = 100_000;
        string template = "{{ " + string.Concat(Enumerable.Repeat(open, times)) + "1" + string.Concat(Enumerable.Repeat(close, times)) + " }}";
        string message = Assert.Throws<ChatTemplateException>(() => new ChatTemplate(template, null, null).Render([], addGenerationPrompt: false)).Message;
        Assert.Contains("too deeply nested", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Folder_gives_template_and_tokens_in_all_published_layouts()
    {
        ChatMessage[] messages = [new("user", "hi")];
        Assert.Equal("<s>hi</s>", FromConfig("""
            {"chat_template": "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}", "bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>"}
            """).Render(messages, false));
        Assert.Equal("hi", FromConfig("""
            {"chat_template": [{"name": "tool_use", "template": "no"}, {"name": "default", "template": "{{ messages[0].content }}{{ bos_token }}"}], "bos_token": null}
            """).Render(messages, false));
        Assert.Equal("file hi", FromConfig("{}", "file {{ messages[0].content }}").Render(messages, false));
    }

    [Theory]
    [InlineData("{}", "has no chat_template")]
    [InlineData("""{"chat_template": [{"name": "rag", "template": "x"}]}""", "none is named \"default\"")]
    [InlineData("[1]", "must hold a JSON object")]
    [InlineData("{\"chat_template\": ", "is not valid JSON")]
    public void Folder_without_a_usable_template_says_so(string config, string reason) =>
        Assert.Contains(reason, Assert.Throws<ChatTemplateException>(() => FromConfig(config)).Message, StringComparison.Ordinal);

    [Fact]
    public void Folder_without_config_names_the_file() =>
        Assert.Contains("tokenizer_config.json", Assert.Throws<FileNotFoundException>(() => ChatTemplate.FromFolder(Path.GetTempPath() + Guid.NewGuid())).Message, StringComparison.Ordinal);

    private static ChatTemplate FromConfig(string config, string? jinja = null)
    {
        string folder = Directory.CreateTempSubdirectory("chat-template-").FullName;
        try
        {
            File.WriteAllText(Path.Combine(folder, "tokenizer_config.json"), config);
            if (jinja is not null)
                File.WriteAllText(Path.Combine(folder, "chat_template.jinja"), jinja);
            return ChatTemplate.FromFolder(folder);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }
}
