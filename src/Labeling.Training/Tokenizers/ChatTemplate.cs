using System.Text.Json;

namespace Labeling.Training.Tokenizers;

/// <summary>One turn of a conversation, as chat templates see it.</summary>
/// <param name="Role">Who speaks: <c>system</c>, <c>user</c> or <c>assistant</c> in most templates.</param>
/// <param name="Content">What was said, unchanged.</param>
public sealed record ChatMessage(string Role, string Content);

/// <summary>A chat template cannot be read, or refuses the conversation it was given.</summary>
public sealed class ChatTemplateException : Exception
{
    /// <summary>Creates the exception with a sentence that says what is wrong and, where known, on which line.</summary>
    /// <param name="message">The sentence.</param>
    public ChatTemplateException(string message) : base(message) { }
}

/// <summary>
/// Turns a conversation into the text a model was trained on, by the Jinja template that Hugging Face checkpoints carry in
/// <c>tokenizer_config.json</c>. Whitespace follows the settings those templates are written for: <c>trim_blocks</c> and
/// <c>lstrip_blocks</c> on. The language is the part of Jinja that published chat templates use; anything else is refused
/// with its line when the template is read, not when a conversation meets it. Instances are immutable and thread safe.
/// </summary>
public sealed class ChatTemplate
{
    private static readonly string[] TokenNames =
        ["bos_token", "eos_token", "unk_token", "pad_token", "sep_token", "cls_token", "mask_token"];

    private readonly IReadOnlyList<TemplateNode> _nodes;
    private readonly IReadOnlyDictionary<string, string> _specialTokens;

    /// <summary>Reads a template.</summary>
    /// <param name="template">The Jinja source.</param>
    /// <param name="bosToken">Text of the beginning-of-sequence token; null leaves the variable undefined.</param>
    /// <param name="eosToken">Text of the end-of-sequence token; null leaves the variable undefined.</param>
    /// <exception cref="ChatTemplateException">The source is not valid, or uses a part of Jinja that is not supported.</exception>
    public ChatTemplate(string template, string? bosToken, string? eosToken)
        : this(template, Tokens(bosToken, eosToken)) { }

    /// <summary>Reads a template.</summary>
    /// <param name="template">The Jinja source.</param>
    /// <param name="specialTokens">Variables for special tokens: <c>bos_token</c>, <c>eos_token</c>, ...</param>
    /// <exception cref="ChatTemplateException">The source is not valid, or uses a part of Jinja that is not supported.</exception>
    public ChatTemplate(string template, IReadOnlyDictionary<string, string> specialTokens)
    {
        ArgumentNullException.ThrowIfNull(template);
        Source = template;
        _specialTokens = specialTokens;
        _nodes = new ChatTemplateParser(ChatTemplateLexer.Read(template)).ParseTemplate();
    }

    /// <summary>The Jinja source, as given.</summary>
    public string Source { get; }

    /// <summary>
    /// Reads the template of a Hugging Face folder: <c>chat_template.jinja</c> where there is one, else <c>chat_template</c> of
    /// <c>tokenizer_config.json</c> (a text, or a list of named templates of which <c>default</c> is taken).
    /// </summary>
    /// <param name="folder">The folder that holds <c>tokenizer_config.json</c>.</param>
    /// <exception cref="FileNotFoundException">There is no <c>tokenizer_config.json</c>.</exception>
    /// <exception cref="ChatTemplateException">The file is broken, has no template, or the template cannot be read.</exception>
    public static ChatTemplate FromFolder(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        string path = Path.Combine(folder, "tokenizer_config.json");
        if (!File.Exists(path))
            throw new FileNotFoundException($"{path} does not exist: a chat template is read from there.", path);
        try
        {
            using JsonDocument document = JsonDocument.Parse(File.ReadAllText(path));
            JsonElement root = document.RootElement;
            if (root.ValueKind != JsonValueKind.Object)
                throw new ChatTemplateException($"{path} must hold a JSON object.");
            Dictionary<string, string> tokens = [];
            foreach (string name in TokenNames)
                if (TokenText(root, name) is { } text)
                    tokens[name] = text;
            string jinja = Path.Combine(folder, "chat_template.jinja");
            string template = File.Exists(jinja) ? File.ReadAllText(jinja) : TemplateText(root, path);
            return new ChatTemplate(template, tokens);
        }
        catch (JsonException e)
        {
            throw new ChatTemplateException($"{path} is not valid JSON: {e.Message}");
        }
    }

    /// <summary>Renders a conversation.</summary>
    /// <param name="messages">The turns, oldest first.</param>
    /// <param name="addGenerationPrompt">Whether to end with the opening of the assistant's turn, so that a model answers.</param>
    /// <returns>The text to tokenize. Special tokens stand in it as text; no others must be added by the tokenizer.</returns>
    /// <exception cref="ChatTemplateException">The template refuses the conversation, for instance because roles do not alternate.</exception>
    public string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt)
    {
        ArgumentNullException.ThrowIfNull(messages);
        return Render(messages.Select(object? (m) => new TemplateMap { ["role"] = m.Role, ["content"] = m.Content }).ToList(), addGenerationPrompt, null).Text;
    }

    /// <summary>Renders a conversation with whatever else the template knows: tool calls, parts of content, tools, documents, dates, switches.</summary>
    /// <param name="messages">A JSON array of messages, oldest first.</param>
    /// <param name="addGenerationPrompt">Whether to end with the opening of the assistant's turn.</param>
    /// <param name="variables">More variables by name, for example <c>tools</c>, <c>documents</c>, <c>date_string</c>, <c>enable_thinking</c>.</param>
    /// <returns>The text to tokenize.</returns>
    /// <exception cref="ChatTemplateException">The template refuses the conversation.</exception>
    public string Render(JsonElement messages, bool addGenerationPrompt, IReadOnlyDictionary<string, JsonElement>? variables = null) =>
        Render(ChatTemplateJson.Read(messages), addGenerationPrompt, variables).Text;

    /// <summary>Renders a conversation and says which of its text the assistant wrote.</summary>
    /// <param name="messages">The turns, oldest first.</param>
    /// <param name="addGenerationPrompt">Whether to end with the opening of the assistant's turn.</param>
    /// <returns>The text, and the stretches (start and end) that the template puts between <c>generation</c> and <c>endgeneration</c>.</returns>
    /// <exception cref="ChatTemplateException">The template refuses the conversation.</exception>
    internal (string Text, IReadOnlyList<(int From, int To)> Generated) RenderMarked(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt) =>
        Render(messages.Select(object? (m) => new TemplateMap { ["role"] = m.Role, ["content"] = m.Content }).ToList(), addGenerationPrompt, null);

    private (string Text, IReadOnlyList<(int From, int To)> Generated) Render(object? messages, bool addGenerationPrompt, IReadOnlyDictionary<string, JsonElement>? variables)
    {
        TemplateScope globals = new(null);
        foreach ((string name, TemplateFunction function) in ChatTemplateFunctions.All)
            globals.Set(name, function);
        foreach ((string name, string text) in _specialTokens)
            globals.Set(name, text);
        globals.Set("tools", null);
        globals.Set("documents", null);
        foreach ((string name, JsonElement value) in variables ?? new Dictionary<string, JsonElement>())
            globals.Set(name, ChatTemplateJson.Read(value));
        globals.Set("messages", messages);
        globals.Set("add_generation_prompt", addGenerationPrompt);
        ChatTemplateEvaluator evaluator = new();
        return (evaluator.Render(_nodes, globals), evaluator.Generated);
    }

    private static Dictionary<string, string> Tokens(string? bos, string? eos)
    {
        Dictionary<string, string> tokens = [];
        if (bos is not null)
            tokens["bos_token"] = bos;
        if (eos is not null)
            tokens["eos_token"] = eos;
        return tokens;
    }

    private static string? TokenText(JsonElement root, string name)
    {
        if (!root.TryGetProperty(name, out JsonElement token))
            return null;
        if (token.ValueKind == JsonValueKind.Object && token.TryGetProperty("content", out JsonElement content))
            token = content;
        return token.ValueKind == JsonValueKind.String ? token.GetString() : null;
    }

    private static string TemplateText(JsonElement root, string path)
    {
        if (root.TryGetProperty("chat_template", out JsonElement template))
        {
            if (template.ValueKind == JsonValueKind.String)
                return template.GetString()!;
            if (template.ValueKind == JsonValueKind.Array)
            {
                foreach (JsonElement named in template.EnumerateArray())
                    if (named.ValueKind == JsonValueKind.Object
                        && named.TryGetProperty("name", out JsonElement name) && name.ValueEquals("default")
                        && named.TryGetProperty("template", out JsonElement text) && text.ValueKind == JsonValueKind.String)
                        return text.GetString()!;
                throw new ChatTemplateException($"{path} lists chat templates, but none is named \"default\".");
            }
        }
        throw new ChatTemplateException(
            $"{path} has no chat_template: add one, or use a model that was trained on conversations.");
    }
}
