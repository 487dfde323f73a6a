using System.Text.Json;
using Labeling.Training.Data;
using Labeling.Training.Runs;

namespace Labeling.Training.Evaluation;

/// <summary>A question with its right answer.</summary>
/// <param name="Id">The caller's id, or file:line.</param>
/// <param name="Question">The question, with whatever text it is about.</param>
/// <param name="Choices">Possible answers, of which one is right; null where the answer is free.</param>
/// <param name="Answers">The accepted answers, at least one; of a choice exactly one of them.</param>
/// <param name="Rationale">Steps that lead to the answer, for chains of thought; null when there are none.</param>
/// <param name="Where">file:line.</param>
public sealed record FewShotRow(string Id, string Question, IReadOnlyList<string>? Choices, IReadOnlyList<string> Answers, string? Rationale, string Where);

/// <summary>Reads questions.</summary>
public static class FewShotRows
{
    /// <summary>
    /// Rows {"question", "choices": [texts], "answer": number from 0 or the text of the choice} or {"question", "answer": text or list of accepted texts}; with
    /// "rationale" where there is one.
    /// </summary>
    /// <exception cref="BadInputException">A row is wrong; names file and line.</exception>
    public static List<FewShotRow> Read(IReadOnlyList<string> files, string specFile, bool required = true) =>
        Rows.Read<FewShotRow>(files, specFile, "question", required, (row, where) =>
        {
            var question = Filled(Rows.Text(row, "question"), "question");
            var choices = row.TryGetProperty("choices", out var list) && list.ValueKind != JsonValueKind.Null ? Texts(list, "choices") : null;
            if (choices is not null && choices.Distinct().Count() < Math.Max(2, choices.Count))
            {
                throw new BadInputException("'choices' needs at least two different texts, none of them twice");
            }
            if (!row.TryGetProperty("answer", out var answer))
            {
                throw new BadInputException("field 'answer' is missing; without it no answer can be called right");
            }
            var answers = choices is null ? Free(answer) : [Choice(answer, choices)];
            return [new FewShotRow(Rows.Id(row, where), question, choices, answers, row.TryGetProperty("rationale", out _) ? Filled(Rows.Text(row, "rationale"), "rationale") : null, where)];
        });

    private static List<string> Free(JsonElement answer) => answer.ValueKind switch
    {
        JsonValueKind.String => [Filled(answer.GetString()!, "answer")],
        JsonValueKind.Array when answer.GetArrayLength() > 0 => Texts(answer, "answer"),
        _ => throw new BadInputException("'answer' must be text, or a list of the texts that are accepted"),
    };

    private static string Choice(JsonElement answer, List<string> choices)
    {
        if (answer.ValueKind == JsonValueKind.Number && answer.TryGetInt32(out var number) && number >= 0 && number < choices.Count)
        {
            return choices[number];
        }
        return answer.ValueKind == JsonValueKind.String && choices.Contains(answer.GetString()!)
            ? answer.GetString()!
            : throw new BadInputException($"'answer' must be the number of a choice, 0 to {choices.Count - 1}, or the text of one of them");
    }

    private static List<string> Texts(JsonElement list, string field) => list.ValueKind == JsonValueKind.Array && list.EnumerateArray().All(t => t.ValueKind == JsonValueKind.String)
        ? [.. list.EnumerateArray().Select(t => Filled(t.GetString()!, field))]
        : throw new BadInputException($"'{field}' must be a list of texts");

    private static string Filled(string text, string field) => string.IsNullOrWhiteSpace(text) ? throw new BadInputException($"'{field}' is empty") : text.Trim();
}
