using Labeling.Training.Data;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Evaluation;

/// <summary>Puts examples and a question before a model: as plain text, or as turns of its chat template.</summary>
internal sealed class FewShotPrompt
{
    private const string AnswerCue = "Answer:";

    private readonly EvaluateHyperparameters settings;
    private readonly Tokenizer tokenizer;
    private readonly ChatEncoder? chat;
    private readonly int start;

    /// <param name="settings">Format and marker.</param>
    /// <param name="tokenizer">The model's tokenizer.</param>
    /// <param name="chat">Its chat template; null for plain text.</param>
    /// <param name="start">Token a text begins after.</param>
    public FewShotPrompt(EvaluateHyperparameters settings, Tokenizer tokenizer, ChatEncoder? chat, int start) =>
        (this.settings, this.tokenizer, this.chat, this.start) = (settings, tokenizer, chat, start);

    /// <summary>Everything before the answer.</summary>
    public int[] Context(IReadOnlyList<FewShotRow> examples, FewShotRow question) => chat is null
        ? [start, .. tokenizer.Encode(Text(examples, question))]
        : chat.Prompt(Messages(examples, question), question.Where);

    /// <summary>The same followed by an answer, which is supervised without an end token.</summary>
    public Sequence Answered(IReadOnlyList<FewShotRow> examples, FewShotRow question, string answer) => chat is null
        ? Plain([start, .. tokenizer.Encode(Text(examples, question))], answer)
        : Turn(Messages(examples, question), answer, question.Where);

    /// <summary>An answer to nothing in particular: what GPT-3 divides by to not favour answers that are likely anyway (arXiv 2005.14165, 2.4).</summary>
    public Sequence Unconditional(string answer, string where) => chat is null
        ? Plain([start, .. tokenizer.Encode(AnswerCue)], answer)
        : Turn([new ChatMessage("user", AnswerCue)], answer, where);

    private Sequence Plain(int[] context, string answer) => new([.. context, .. tokenizer.Encode(" " + answer)], context.Length);

    private Sequence Turn(List<ChatMessage> messages, string answer, string where)
    {
        var (ids, from) = chat!.Supervised(messages, new ChatMessage("assistant", answer), where);
        return new Sequence(ids[..^1], from);
    }

    private string Text(IReadOnlyList<FewShotRow> examples, FewShotRow question) =>
        string.Concat(examples.Select(e => $"Question: {e.Question}\n{AnswerCue} {AnswerOf(e)}\n\n")) + $"Question: {question.Question}\n{AnswerCue}";

    private List<ChatMessage> Messages(IReadOnlyList<FewShotRow> examples, FewShotRow question) =>
        [.. examples.SelectMany(e => new[] { new ChatMessage("user", e.Question), new ChatMessage("assistant", AnswerOf(e)) }), new ChatMessage("user", question.Question)];

    private string AnswerOf(FewShotRow example) => settings.ChainOfThought ? $"{example.Rationale} {settings.AnswerMarker} {example.Answers[0]}." : example.Answers[0];
}
