using System.Text;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Data;

/// <summary>
/// Conversations to token ids through the model's chat template, rendered once, so that training, sampling and scoring see the very
/// same ids. Control tokens come from the template only: in the people's own text they stay ordinary text.
/// </summary>
public sealed class ChatEncoder
{
    // Two private-use characters around a number stand for special-token text inside a message while the template runs.
    private const char Open = '\uf8f0';
    private const char Close = '\uf8f1';

    private readonly Tokenizer tokenizer;
    private readonly ChatTemplate template;
    private readonly string[] specials;

    /// <summary>Reads tokenizer and template of a model folder.</summary>
    /// <exception cref="BadInputException">No tokenizer, no template, no end token, or padding equal to the end token.</exception>
    public ChatEncoder(string modelFolder)
    {
        try
        {
            tokenizer = Tokenizer.FromFolder(modelFolder);
            template = ChatTemplate.FromFolder(modelFolder);
        }
        catch (Exception e) when (e is InvalidDataException or FileNotFoundException or ChatTemplateException)
        {
            throw new BadInputException(e.Message, e);
        }
        EosId = tokenizer.EosId ?? throw new BadInputException($"The tokenizer of '{modelFolder}' names no eos_token that is in its vocabulary; models could never learn to stop.");
        PadId = tokenizer.PadId ?? EosId;
        specials = [.. tokenizer.AddedTokens.Where(t => t.Special).Select(t => t.Content).OrderByDescending(s => s.Length)];
    }

    /// <summary>The tokenizer.</summary>
    public Tokenizer Tokenizer => tokenizer;

    /// <summary>The token an answer ends with.</summary>
    public int EosId { get; }

    /// <summary>
    /// The token unused places of a batch hold. Masks come from lengths and never from this id, so a model without a padding token of
    /// its own works too.
    /// </summary>
    public int PadId { get; }

    /// <summary>Ids of the prompt up to where the answer begins.</summary>
    /// <exception cref="BadInputException">The template refuses the conversation.</exception>
    public int[] Prompt(IReadOnlyList<ChatMessage> prompt, string where)
    {
        var quoted = new List<string>();
        return Encode(Render(prompt, true, where, quoted), quoted);
    }

    /// <summary>Ids of prompt and answer; the answer ends with <see cref="EosId"/>, once.</summary>
    public (int[] Prompt, int[] Answer) Demonstration(IReadOnlyList<ChatMessage> prompt, ChatMessage answer, string where)
    {
        var quoted = new List<string>();
        var before = Render(prompt, true, where, quoted);
        var quotedBefore = quoted.Count;
        quoted.Clear();
        var (all, generated) = RenderMarked([.. prompt, answer], false, where, quoted);
        if (!all.StartsWith(before, StringComparison.Ordinal))
        {
            // A template that marks the assistant's words says itself where the answer stands.
            if (generated is [.., var marked])
            {
                var spoken = Encode(all[marked.From..marked.To], quoted);
                return (Encode(all[..marked.From], quoted), Ended(spoken));
            }
            throw new BadInputException($"{where}: the chat template does not render the conversation as its prompt followed by the answer, so the answer's tokens cannot be told apart.");
        }
        return (Encode(before, quoted[..quotedBefore]), Ended(Encode(all[before.Length..], quoted)));
    }

    /// <summary>Ids of a whole conversation that ends with an assistant turn; every assistant turn is supervised, up to and with its end token.</summary>
    /// <exception cref="BadInputException">The template refuses the conversation, or renders its earlier turns differently once later ones follow.</exception>
    public Sequence Conversation(IReadOnlyList<ChatMessage> messages, string where)
    {
        var ids = new List<int>();
        var supervised = new List<int>();
        var quoted = new List<string>();
        var all = Render(messages, false, where, quoted);
        var from = 0;
        foreach (var turn in Enumerable.Range(0, messages.Count).Where(i => messages[i].Role == "assistant"))
        {
            // What the template writes before and through the turn must be the beginning of the whole, or its place in it is unknown.
            var before = Render(messages.Take(turn).ToList(), true, where, []);
            var through = Render(messages.Take(turn + 1).ToList(), false, where, []);
            if (!through.StartsWith(before, StringComparison.Ordinal) || !all.StartsWith(through, StringComparison.Ordinal) || before.Length < from)
            {
                throw new BadInputException($"{where}: the chat template does not render messages[{turn}] as a continuation of what comes before it, so the turn's tokens cannot be told apart. Set conversations to \"split\", which renders each turn by itself.");
            }
            ids.AddRange(Encode(all[from..before.Length], quoted));
            var answer = Encode(all[before.Length..through.Length], quoted);
            var end = Array.IndexOf(answer, EosId);
            if (turn == messages.Count - 1)
            {
                answer = end >= 0 ? answer[..(end + 1)] : [.. answer, EosId];
            }
            supervised.AddRange(Enumerable.Range(ids.Count, end >= 0 ? end + 1 : answer.Length));
            ids.AddRange(answer);
            from = through.Length;
        }
        return new Sequence([.. ids], supervised[0]) { Only = [.. supervised] };
    }

    /// <summary>Prompt and answer as one sequence, supervised from the answer's first token to its end token.</summary>
    /// <exception cref="BadInputException">The template refuses the conversation.</exception>
    public Sequence Supervised(IReadOnlyList<ChatMessage> prompt, ChatMessage answer, string where)
    {
        var (before, after) = Demonstration(prompt, answer, where);
        return new Sequence([.. before, .. after], before.Length);
    }

    /// <summary>Text of an answer's ids, up to and without the end token.</summary>
    public string Text(ReadOnlySpan<int> answer)
    {
        var end = answer.IndexOf(EosId);
        return tokenizer.Decode((end < 0 ? answer : answer[..end]).ToArray());
    }

    /// <summary>Cut behind the first end token, or with one added.</summary>
    private int[] Ended(int[] answer) => Array.IndexOf(answer, EosId) is var end and >= 0 ? answer[..(end + 1)] : [.. answer, EosId];

    private string Render(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt, string where, List<string> quoted) =>
        RenderMarked(messages, addGenerationPrompt, where, quoted).Text;

    private (string Text, IReadOnlyList<(int From, int To)> Generated) RenderMarked(IReadOnlyList<ChatMessage> messages, bool addGenerationPrompt, string where, List<string> quoted)
    {
        var safe = messages.Select(m => m with { Content = Quote(m.Content, quoted) }).ToList();
        try
        {
            return template.RenderMarked(safe, addGenerationPrompt);
        }
        catch (ChatTemplateException e)
        {
            throw new BadInputException($"{where}: the chat template cannot render this conversation: {e.Message}", e);
        }
    }

    private string Quote(string content, List<string> quoted)
    {
        // Where normalisation can turn other text into a special token, its places in the text are not known.
        if (tokenizer.NormalisesSpecial && Array.Exists(tokenizer.Encode(content, allowSpecial: true), tokenizer.IsSpecial))
        {
            quoted.Add(content);
            return $"{Open}{quoted.Count - 1}{Close}";
        }
        var found = specials.Any(s => content.Contains(s, StringComparison.Ordinal)) || content.Contains(Open, StringComparison.Ordinal);
        if (!found)
        {
            return content;
        }
        var safe = new StringBuilder(content.Length);
        for (var i = 0; i < content.Length;)
        {
            var special = content[i] == Open ? content[i].ToString() : Array.Find(specials, s => string.CompareOrdinal(content, i, s, 0, s.Length) == 0);
            if (special is null)
            {
                safe.Append(content[i++]);
                continue;
            }
            safe.Append(Open).Append(quoted.Count).Append(Close);
            quoted.Add(special);
            i += special.Length;
        }
        return safe.ToString();
    }

    private int[] Encode(string rendered, List<string> quoted)
    {
        if (quoted.Count == 0)
        {
            return tokenizer.Encode(rendered, allowSpecial: true);
        }
        var text = new StringBuilder(rendered.Length);
        var ordinary = new List<(int From, int To)>();
        var from = 0;
        for (var open = rendered.IndexOf(Open); open >= 0; open = rendered.IndexOf(Open, from))
        {
            var close = rendered.IndexOf(Close, open);
            text.Append(rendered, from, open - from);
            var start = text.Length;
            text.Append(quoted[int.Parse(rendered.AsSpan(open + 1, close - open - 1), System.Globalization.CultureInfo.InvariantCulture)]);
            ordinary.Add((start, text.Length));
            from = close + 1;
        }
        text.Append(rendered, from, rendered.Length - from);
        return tokenizer.Encode(text.ToString(), allowSpecial: true, ordinary);
    }
}
