using System.Text.Json;
using Labeling.AppHost.Starter;
using Labeling.Training.Sampling;

namespace Labeling.Benchmarks.Headline;

/// <summary>What the scripted people of the demo write and how they rank, as rows for the trainer.</summary>
internal sealed class HeadlineRows
{
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private readonly HeadlinePlan _plan;
    private readonly IReadOnlyList<WorldTask> _demonstrated;

    public HeadlineRows(HeadlinePlan plan)
    {
        _plan = plan;
        StarterWorld world = new(plan.Seed);
        _demonstrated = world.Prompts(WorldSplit.Demonstrations, plan.Demonstrations);
        IReadOnlyList<WorldTask> preferences = world.Prompts(WorldSplit.Preferences, plan.RankedPrompts + plan.PracticePrompts);
        Ranked = [.. preferences.Take(plan.RankedPrompts)];
        Practice = [.. preferences.Skip(plan.RankedPrompts)];
        HeldOut = world.Prompts(WorldSplit.HeldOut, plan.ComparedPrompts);
    }

    public IReadOnlyList<WorldTask> Ranked { get; }

    public IReadOnlyList<WorldTask> Practice { get; }

    /// <summary>Prompts that occur in no text, no demonstration and no ranking.</summary>
    public IReadOnlyList<WorldTask> HeldOut { get; }

    /// <summary>Rows of prompts; a prompt is its own id.</summary>
    public IEnumerable<object> Prompts(IEnumerable<WorldTask> tasks) => tasks.Select(t => new { id = t.Prompt, prompt = User(t.Prompt) });

    /// <summary>Each prompt by whichever writer it falls to; every tenth is held out for the validation loss.</summary>
    public IEnumerable<object> Demonstrations(bool valid) => _demonstrated.Where((_, i) => i % 10 == 9 == valid)
        .Select(t => new { id = t.Prompt, prompt = User(t.Prompt), completion = Assistant(Written(t)) });

    /// <summary>The held-out prompts, each after a few of the best demonstrations, as one would prompt a model that was never tuned.</summary>
    public IEnumerable<object> PromptsWithExamples()
    {
        List<(string Prompt, string Answer)> best = [.. _demonstrated.Select(t => (Task: t, Answer: Written(t))).Where(d => Quality.Utility(d.Task, d.Answer) == Quality.Best).Select(d => (d.Task.Prompt, d.Answer))];
        return HeldOut.Select(t => new
        {
            id = t.Prompt,
            prompt = WorldRandom.For(_plan.Seed, "examples", t.Prompt).PickSome(best, _plan.Shots).SelectMany(e => User(e.Prompt).Concat(Assistant(e.Answer))).Concat(User(t.Prompt)),
        });
    }

    /// <summary>Each prompt's different answers as one judge ranks them; where all were the same there is nothing to rank.</summary>
    public IEnumerable<object> Rankings(IEnumerable<SampledAnswer> answers)
    {
        ILookup<string, string> byPrompt = answers.ToLookup(a => a.PromptId, a => a.Completion);
        IReadOnlyList<Judge> panel = Judge.Panel(_plan.Seed);
        foreach (WorldTask task in Ranked)
        {
            string[] different = [.. byPrompt[task.Prompt].Distinct()];
            if (different.Length < 2)
                continue;
            Judge judge = WorldRandom.For(_plan.Seed, "judge", task.Prompt).Pick(panel);
            int[] ranks = judge.Rank(task, different);
            yield return new { id = task.Prompt, prompt = User(task.Prompt), labeler = judge.Name, completions = different.Select((a, i) => new { completion = Assistant(a), rank = ranks[i] }) };
        }
    }

    public static IEnumerable<SampledAnswer> Read(string samples) => File.ReadLines(samples).Select(line => JsonSerializer.Deserialize<SampledAnswer>(line, Json)!);

    private string Written(WorldTask task) => WorldRandom.For(_plan.Seed, "writer", task.Prompt).Pick(DemonstrationWriter.Everybody).Write(task, _plan.Seed);

    private static IEnumerable<object> User(string content) => [new { role = "user", content }];

    private static IEnumerable<object> Assistant(string content) => [new { role = "assistant", content }];
}
