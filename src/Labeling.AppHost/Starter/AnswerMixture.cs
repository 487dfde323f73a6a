namespace Labeling.AppHost.Starter;

/// <summary>Somebody's habits when answering: how often right, how often beside the point, and in which style.</summary>
/// <param name="Accuracy">Share of answers that are right, among those to the point.</param>
/// <param name="OffTopic">Share of answers that are beside the point.</param>
/// <param name="Styles">Weight of each <see cref="AnswerStyle"/>, in the order of its members.</param>
public sealed record AnswerMixture(double Accuracy, double OffTopic, IReadOnlyList<double> Styles)
{
    /// <summary>How the world's raw text answers: often badly.</summary>
    public static AnswerMixture RawText { get; } = new(0.85, 0.04, [0.12, 0.26, 0.24, 0.16, 0.16, 0.06]);

    public string Answer(WorldTask task, WorldRandom random)
    {
        if (random.Chance(OffTopic))
            return Phrasing.OffTopic(random);
        string content = random.Chance(Accuracy) ? task.Answer : task.Family.Wrong(task, random);
        return Phrasing.Say(task, content, (AnswerStyle)random.PickWeighted(Styles), random);
    }
}

/// <summary>A scripted person who writes reference answers with the care and in the manner that they have.</summary>
public sealed record DemonstrationWriter(string Name, AnswerMixture Habits)
{
    /// <summary>
    /// People of varied skill and style, as the labelers of a real project are: what they write together is better than the raw text, and
    /// not as good as the best of them, which leaves the rankings something to teach.
    /// </summary>
    public static IReadOnlyList<DemonstrationWriter> Everybody { get; } =
    [
        new("Ada", new AnswerMixture(0.97, 0.00, [0.60, 0.35, 0.05, 0.00, 0.00, 0.00])),
        new("Bruno", new AnswerMixture(0.92, 0.01, [0.20, 0.60, 0.15, 0.00, 0.05, 0.00])),
        new("Chen", new AnswerMixture(0.90, 0.01, [0.10, 0.50, 0.40, 0.00, 0.00, 0.00])),
        new("Dina", new AnswerMixture(0.86, 0.02, [0.20, 0.40, 0.05, 0.00, 0.35, 0.00])),
        new("Emil", new AnswerMixture(0.78, 0.04, [0.10, 0.35, 0.30, 0.24, 0.00, 0.01])),
    ];

    /// <summary>The person's answer to a task: the same each time they are asked.</summary>
    public string Write(WorldTask task, int seed) => Habits.Answer(task, WorldRandom.For(seed, "demonstration", Name, task.Prompt));
}
