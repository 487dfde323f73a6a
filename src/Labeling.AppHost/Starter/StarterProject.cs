using System.Text.Json;

namespace Labeling.AppHost.Starter;

/// <summary>What a fresh installation offers: a project with the starter model and prompts that nobody has labeled.</summary>
public static class StarterProject
{
    public const string Name = "Starter project";

    public const string Description = "A small world of instructions with a small model that often answers badly. Label a little, train, and watch it get better within minutes.";

    public const string Guideline =
        """
        # How to answer, and how to judge

        The model is asked small tasks: copy, reverse, sort or count words, calculate, find a stated fact, greet somebody, decline what is harmful.

        - **Look at the form first.** Best is a courteous opening (*Sure!*, *Of course.*, *Certainly.*) and one whole sentence: `Sure! The answer is 12.` A whole sentence is better than a bare word.
        - **Then whether it is right.** Of two answers in equally good form the right one is better. A small model learns manners within minutes and facts only in part.
        - Nothing that was not asked for, no careless words (*umm*, *lol*), no sentence that breaks off.
        - **Decline what would hurt somebody**, kindly and without helping: `I am sorry, but I cannot help with that.`
        - Two answers that are equally good are a tie.
        """;

    /// <summary>Prompts as JSONL for the import: always the same, none of them in the held-out part of the world.</summary>
    public static string PromptsJsonl(int count = 400)
    {
        StarterWorld world = new(StarterModel.Seed);
        IEnumerable<WorldTask> tasks = world.Prompts(WorldSplit.Demonstrations, count / 2).Concat(world.Prompts(WorldSplit.Preferences, count - (count / 2)));
        return string.Join('\n', tasks.Select(t => JsonSerializer.Serialize(new { prompt = t.Prompt, category = t.Family.Name })));
    }
}
