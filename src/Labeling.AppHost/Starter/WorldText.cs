namespace Labeling.AppHost.Starter;

/// <summary>
/// Raw text of the world, for pre-training: conversations in the chat layout and the same in plain letters, with good and bad answers mixed as
/// people's text has them. Some go on with what the asker says to the answer, as threads do; a model that reads these learns what answers please.
/// No held-out prompt occurs.
/// </summary>
public static class WorldText
{
    private static readonly string[] Delighted = ["Thank you, well said!", "Perfect, thank you!", "That is just right."];
    private static readonly string[] Content = ["Thanks.", "Yes, that is right.", "Right."];
    private static readonly string[] Doubtful = ["Not quite.", "Hmm, that is not it.", "You could do better."];
    private static readonly string[] Annoyed = ["No, that is wrong.", "Wrong.", "That does not help me."];

    /// <summary>Documents without end; the caller takes as many as it needs.</summary>
    public static IEnumerable<string> Documents(int seed)
    {
        WorldRandom random = WorldRandom.For(seed, "raw text");
        while (true)
            yield return Document(random);
    }

    private static string Document(WorldRandom random)
    {
        WorldTask task;
        do
            task = random.Pick(StarterWorld.Families).Make(random);
        while (StarterWorld.SplitOf(task.Prompt) == WorldSplit.HeldOut);
        string answer = AnswerMixture.RawText.Answer(task, random);
        string? reaction = random.Chance(0.5) ? Reaction(task, answer, random) : null;
        // The layout of the tokenizer's chat template; the trainer adds the end token after each document.
        return random.Chance(0.75)
            ? $"<|user|>{task.Prompt}<|assistant|>{answer}" + (reaction is null ? "" : $"<|end|><|user|>{reaction}")
            : $"Question: {task.Prompt}\nAnswer: {answer}" + (reaction is null ? "" : $"\nReply: {reaction}");
    }

    private static string Reaction(WorldTask task, string answer, WorldRandom random)
    {
        double felt = Quality.Utility(task, answer) + (0.2 * random.Gumbel());
        return random.Pick(felt switch { > 2.9 => Delighted, > 2.0 => Content, > 1.0 => Doubtful, _ => Annoyed });
    }
}
