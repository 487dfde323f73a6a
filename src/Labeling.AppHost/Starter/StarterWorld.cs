using Labeling.AppHost.Starter.Families;

namespace Labeling.AppHost.Starter;

/// <summary>What a prompt may be used for. The text alone decides it, so every seed and every text of the world keep to it.</summary>
public enum WorldSplit
{
    Demonstrations,
    Preferences,

    /// <summary>Never in the raw text, never demonstrated, never ranked for training.</summary>
    HeldOut,
}

/// <summary>A small world of instructions with checkable answers, made from a seed.</summary>
public sealed class StarterWorld(int seed)
{
    public static IReadOnlyList<TaskFamily> Families { get; } =
    [
        new CopyFamily(), new ReverseFamily(), new SortFamily(), new EndsFamily(), new ArithmeticFamily(), new CountFamily(), new CompareFamily(),
        new FactFamily(), new CapitalsFamily(), new OppositeFamily(), new GreetingFamily(), new RefusalFamily(),
    ];

    public int Seed => seed;

    public static WorldSplit SplitOf(string prompt) => (WorldRandom.Hash(prompt) % 10) switch
    {
        < 2 => WorldSplit.HeldOut,
        < 6 => WorldSplit.Demonstrations,
        _ => WorldSplit.Preferences,
    };

    /// <summary>Different prompts of a split, spread over the families; always the same ones for a seed, and more of them begin with fewer.</summary>
    public IReadOnlyList<WorldTask> Prompts(WorldSplit split, int count)
    {
        WorldRandom random = WorldRandom.For(seed, "prompts", split.ToString());
        HashSet<string> seen = [];
        List<WorldTask> tasks = [];
        while (tasks.Count < count)
        {
            WorldTask task = random.Pick(Families).Make(random);
            if (SplitOf(task.Prompt) == split && seen.Add(task.Prompt))
                tasks.Add(task);
        }
        return tasks;
    }
}
