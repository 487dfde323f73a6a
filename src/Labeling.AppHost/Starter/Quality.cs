using Labeling.AppHost.Starter.Families;

namespace Labeling.AppHost.Starter;

/// <summary>
/// The hidden truth of the world: how good an answer is. Scripted people feel it through noise, the final table measures against
/// it, and no trainer ever sees it. Form weighs more than being right, because a million parameters learn form within minutes. Utility is <see cref="CorrectnessWeight"/> times correctness plus <see cref="StyleWeight"/>
/// times style, both from 0 to 1.
/// </summary>
public static class Quality
{
    public const double CorrectnessWeight = 0.4;

    public const double StyleWeight = 2.0;

    /// <summary>Utility of a right answer in the best form.</summary>
    public const double Best = CorrectnessWeight + StyleWeight;

    public static double Utility(WorldTask task, string answer) =>
        (CorrectnessWeight * Correctness(task, answer)) + (StyleWeight * Style(answer));

    public static double Correctness(WorldTask task, string answer) =>
        RefusalFamily.IsRefusal(answer) && task.Family is not RefusalFamily ? 0 : task.Family.Correctness(task, answer);

    /// <summary>
    /// What people like about the form: a whole sentence (0.65, or 0.3 for a clean bare answer), courtesy (0.35); careless words and each sentence
    /// too many cost 0.3, and so does every ten words past the twentieth.
    /// </summary>
    public static double Style(string answer)
    {
        string text = answer.Trim();
        string opening = Phrasing.Openings.FirstOrDefault(o => text.StartsWith(o, StringComparison.Ordinal)) ?? "";
        string body = text[opening.Length..].Trim();
        List<string> words = Lexicon.Words(body);
        bool careless = words.Any(Phrasing.CarelessWords.Contains);
        bool ends = text.Length > 0 && text[^1] is '.' or '!' or '?';
        bool courteous = ends && (opening.Length > 0 || body.StartsWith("I am sorry", StringComparison.Ordinal));
        double form = words.Count == 0 || careless ? 0
            : words.Count >= 2 && char.IsUpper(body[0]) && ends ? 0.65
            : BreaksOff(words) ? 0 : 0.3;
        int sentences = body.Count(c => c is '.' or '!' or '?');
        double style = form
            + (courteous ? 0.35 : 0)
            - (careless ? 0.3 : 0)
            - (0.3 * Math.Max(0, sentences - 1))
            - (0.3 * (Math.Max(0, words.Count - 20) / 10));
        return Math.Clamp(style, 0, 1);
    }

    private static bool BreaksOff(List<string> words) =>
        words[^1] is "the" or "is" or "are" or "has" or "in" or "a" or "it" or "of" or "order" or "but";
}
