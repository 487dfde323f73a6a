namespace Labeling.AppHost.Starter;

/// <summary>One instruction of the world: what is asked, what it is about, and the right answer in its barest form.</summary>
/// <param name="Family">The kind of task, which knows how to grade an answer.</param>
/// <param name="Prompt">The instruction as a person would type it.</param>
/// <param name="Given">The words or numbers the instruction is about, in the order a family documents.</param>
/// <param name="Answer">The right answer without any sentence around it.</param>
public sealed record WorldTask(TaskFamily Family, string Prompt, IReadOnlyList<string> Given, string Answer);

/// <summary>A kind of task: how it is asked, how it is answered well and badly, and how right an answer is.</summary>
public abstract class TaskFamily
{
    public abstract string Name { get; }

    /// <summary>A new task in one of several wordings.</summary>
    public abstract WorldTask Make(WorldRandom random);

    /// <summary>A plausible wrong answer in its barest form.</summary>
    public abstract string Wrong(WorldTask task, WorldRandom random);

    /// <summary>A full sentence that gives <paramref name="content"/>, right or wrong, as the answer.</summary>
    public abstract string Sentence(WorldTask task, string content, WorldRandom random);

    /// <summary>How right an answer is, whatever its form: from 0 (wrong) to 1 (right), with part marks between.</summary>
    public abstract double Correctness(WorldTask task, string answer);
}
