using Labeling.AppHost.Starter;

namespace Labeling.AppHost.Tests.Starter;

public sealed class JudgeTests
{
    private static readonly IReadOnlyList<WorldTask> Tasks = new StarterWorld(11).Prompts(WorldSplit.Preferences, 1500);

    /// <summary>Four answers to each task in the writers' styles and right in two of three cases: what a small model that learned from them gives people to rank.</summary>
    private static List<string> Answers(WorldTask task)
    {
        WorldRandom random = WorldRandom.For(11, "answers", task.Prompt);
        return [.. Enumerable.Range(0, 4).Select(_ => (random.Pick(DemonstrationWriter.Everybody).Habits with { Accuracy = 0.75 }).Answer(task, random))];
    }

    [Fact]
    public void Two_judges_agree_on_73_percent_of_the_pairs_that_both_order()
    {
        Judge[] panel = [new("Judge A", 1), new("Judge B", 1), new("Judge C", 1), new("Judge D", 1)];
        int agree = 0, ordered = 0, all = 0, truthOrdered = 0;
        double truthAgrees = 0;
        foreach (WorldTask task in Tasks)
        {
            List<string> answers = Answers(task);
            int[][] ranks = [.. panel.Select(j => j.Rank(task, answers))];
            for (int a = 0; a < 4; a++)
                for (int b = a + 1; b < 4; b++)
                {
                    double truth = Quality.Utility(task, answers[a]) - Quality.Utility(task, answers[b]);
                    for (int j = 0; j < 4; j++)
                    {
                        all++;
                        int mine = ranks[j][b].CompareTo(ranks[j][a]);
                        if (mine != 0)
                        {
                            truthOrdered++;
                            truthAgrees += truth == 0 ? 0.5 : Math.Sign(truth) == mine ? 1 : 0;
                        }
                        for (int k = j + 1; k < 4; k++)
                        {
                            int other = ranks[k][b].CompareTo(ranks[k][a]);
                            if (mine == 0 || other == 0)
                                continue;
                            ordered++;
                            agree += mine == other ? 1 : 0;
                        }
                    }
                }
        }
        double agreement = (double)agree / ordered;
        double ties = 1 - ((double)truthOrdered / all);
        TestContext.Current.SendDiagnosticMessage($"agreement {agreement:F4}, ties {ties:F4}, truth right on {truthAgrees / truthOrdered:F4}");
        Assert.InRange(agreement, 0.72, 0.74);
        Assert.InRange(ties, 0.03, 0.25);
    }

    [Fact]
    public void Ranking_does_not_depend_on_the_order_shown_and_equal_texts_are_tied()
    {
        Judge judge = new("Judge A", 1);
        foreach (WorldTask task in Tasks.Take(200))
        {
            List<string> answers = Answers(task);
            answers.Add(answers[0]);
            int[] ranks = judge.Rank(task, answers);
            Assert.Equal(ranks[0], ranks[4]);
            answers.Reverse();
            int[] reversed = judge.Rank(task, answers);
            Array.Reverse(reversed);
            Assert.Equal(ranks, reversed);
            Assert.Equal(1, ranks.Min());
            Assert.Equal(ranks.Max(), ranks.Distinct().Count());
        }
    }

    [Fact]
    public void Noise_follows_bradley_terry()
    {
        // Between two answers, the difference of two Gumbel draws is logistic: P(better wins) = sigmoid(gap / noise), ties aside.
        WorldTask task = Tasks.First(t => t.Family.Name == "arithmetic");
        string good = $"Sure! The answer is {task.Answer}.";
        string fair = $"The answer is {task.Answer}.";
        const int judges = 20_000;
        int wins = 0, ties = 0;
        double expected = 0, expectedTies = 0;
        for (int seed = 0; seed < judges; seed++)
        {
            Judge judge = new("Judge", seed);
            int[] ranks = judge.Rank(task, [good, fair]);
            wins += ranks[0] < ranks[1] ? 1 : 0;
            ties += ranks[0] == ranks[1] ? 1 : 0;
            double gap = judge.StyleTaste * Quality.StyleWeight * 0.35;
            expected += Sigmoid((gap - Judge.TieGap) / Judge.Noise);
            expectedTies += Sigmoid((gap + Judge.TieGap) / Judge.Noise) - Sigmoid((gap - Judge.TieGap) / Judge.Noise);
        }
        Assert.Equal(expected / judges, (double)wins / judges, 0.01);
        Assert.Equal(expectedTies / judges, (double)ties / judges, 0.01);

        static double Sigmoid(double x) => 1 / (1 + Math.Exp(-x));
    }

    [Fact]
    public void Writers_differ_in_quality_and_leave_headroom()
    {
        Dictionary<string, double> means = DemonstrationWriter.Everybody.ToDictionary(
            w => w.Name, w => Tasks.Average(t => Quality.Utility(t, w.Write(t, 1))));
        Assert.True(means["Ada"] - means["Emil"] > 0.8);
        WorldRandom random = WorldRandom.For(1, "raw");
        double raw = Tasks.Average(t => Quality.Utility(t, AnswerMixture.RawText.Answer(t, random)));
        Assert.True(means.Values.Average() - raw > 0.4, "demonstrations are better than the raw text");
        Assert.True(Quality.Best - means.Values.Average() > 0.8, "the best answers are better than the demonstrations");
    }
}
