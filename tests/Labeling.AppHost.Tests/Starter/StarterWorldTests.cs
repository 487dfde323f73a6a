using Labeling.AppHost.Starter;

namespace Labeling.AppHost.Tests.Starter;

public sealed class StarterWorldTests
{
    [Fact]
    public void Same_seed_gives_the_same_prompts_and_more_prompts_begin_with_fewer()
    {
        List<string> first = Texts(7, 200);
        Assert.Equal(first, Texts(7, 200));
        Assert.Equal(first.Take(50), Texts(7, 50));
        Assert.NotEqual(first, Texts(8, 200));

        static List<string> Texts(int seed, int count) =>
            [.. new StarterWorld(seed).Prompts(WorldSplit.Preferences, count).Select(t => t.Prompt)];
    }

    [Fact]
    public void World_is_the_one_the_base_model_has_read()
    {
        // Pins the generator: the committed base model belongs to these texts.
        Assert.Equal(
            "How much is 1 plus 2?",
            new StarterWorld(1).Prompts(WorldSplit.Demonstrations, 1)[0].Prompt);
    }

    [Fact]
    public void Splits_share_no_prompt_under_any_seed()
    {
        Dictionary<string, WorldSplit> seen = [];
        foreach (int seed in (int[])[1, 2, 3])
            foreach (WorldSplit split in Enum.GetValues<WorldSplit>())
                foreach (WorldTask task in new StarterWorld(seed).Prompts(split, 400))
                {
                    Assert.Equal(split, StarterWorld.SplitOf(task.Prompt));
                    Assert.Equal(split, seen.GetValueOrDefault(task.Prompt, split));
                    seen[task.Prompt] = split;
                }
    }

    [Fact]
    public void Prompts_are_spread_over_all_families()
    {
        ILookup<string, WorldTask> byFamily = new StarterWorld(3).Prompts(WorldSplit.Preferences, 600).ToLookup(t => t.Family.Name);
        Assert.Equal(StarterWorld.Families.Count, byFamily.Count);
        Assert.All(byFamily, family => Assert.InRange(family.Count(), 10, 120));
    }

    [Fact]
    public void Right_answers_are_right_in_every_style_and_wrong_ones_are_not()
    {
        WorldRandom random = WorldRandom.For(5, "test");
        foreach (WorldTask task in new StarterWorld(5).Prompts(WorldSplit.Demonstrations, 1500))
        {
            foreach (AnswerStyle style in (AnswerStyle[])[AnswerStyle.Courteous, AnswerStyle.Sentence, AnswerStyle.Bare, AnswerStyle.Careless, AnswerStyle.Rambling])
            {
                string answer = Phrasing.Say(task, task.Answer, style, random);
                Assert.True(Quality.Correctness(task, answer) == 1, $"{task.Prompt} -> {answer}");
            }
            string wrong = Phrasing.Say(task, task.Family.Wrong(task, random), AnswerStyle.Sentence, random);
            Assert.True(Quality.Correctness(task, wrong) <= 0.5, $"{task.Prompt} -> {wrong}");
            Assert.Equal(0, Quality.Correctness(task, ""));
        }
    }

    [Fact]
    public void Raw_text_holds_no_held_out_prompt_and_mixes_good_and_bad()
    {
        HashSet<string> heldOut = [.. new StarterWorld(1).Prompts(WorldSplit.HeldOut, 500).Select(t => t.Prompt)];
        List<string> documents = [.. WorldText.Documents(1).Take(4000)];
        Assert.Equal(documents, WorldText.Documents(1).Take(4000));
        foreach (string document in documents)
        {
            string? prompt = document.StartsWith("<|user|>", StringComparison.Ordinal) ? document["<|user|>".Length..document.IndexOf("<|assistant|>", StringComparison.Ordinal)]
                : document.StartsWith("Question: ", StringComparison.Ordinal) ? document["Question: ".Length..document.IndexOf('\n')]
                : null;
            if (prompt is null)
                continue;
            Assert.DoesNotContain(prompt, heldOut);
            Assert.NotEqual(WorldSplit.HeldOut, StarterWorld.SplitOf(prompt));
        }
        Assert.InRange(documents.Count(d => d.StartsWith("Question: ", StringComparison.Ordinal)) / 4000.0, 0.07, 0.11);
    }
}
