using Labeling.Training.Data;
using Labeling.Training.Generation;
using Labeling.Training.Models;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Evaluation;

/// <summary>A measured question; choices fill the lists, free answers the texts.</summary>
/// <param name="Step">Batch, from 1.</param>
/// <param name="Id">Id of the question.</param>
/// <param name="Examples">Examples that were in context.</param>
/// <param name="Expected">The right answer.</param>
/// <param name="LogProbs">log p of each choice after the question, in nats.</param>
/// <param name="Tokens">Tokens of each choice.</param>
/// <param name="Unconditional">log p of each choice after the bare cue.</param>
/// <param name="RightBySum">The right choice has the largest log p.</param>
/// <param name="RightPerToken">The right choice has the largest log p per token.</param>
/// <param name="RightUnconditional">The right choice gains most over its unconditional log p.</param>
/// <param name="Text">What was generated.</param>
/// <param name="Answer">The answer read from it; null when the marker is missing.</param>
/// <param name="Right">The answer matches.</param>
public sealed record FewShotItem(int Step, string Id, int Examples, string Expected, float[]? LogProbs = null, int[]? Tokens = null, float[]? Unconditional = null,
    bool? RightBySum = null, bool? RightPerToken = null, bool? RightUnconditional = null, string? Text = null, string? Answer = null, bool? Right = null) : IRowOfStep;

/// <summary>
/// Questions after examples in context (Brown et al. 2020, arXiv 2005.14165, 2.4). A choice is scored by the log-probability of its text: as a sum, per token, and relative to
/// its log-probability without the question, log p(choice | question) − log p(choice | "Answer:"). A free answer is decoded greedily and must match after
/// normalisation. Of two equally good choices the first counts.
/// </summary>
internal static class FewShot
{
    public static void Run(RunFolder run, EvaluateHyperparameters settings)
    {
        var folder = run.Spec.RequireBase();
        var tokenizer = ModelFolder.Open(folder, Tokenizer.FromFolder);
        var chat = settings.Format == "chat" ? new ChatEncoder(folder) : null;
        using var model = ModelFolder.Policy(folder, tokenizer);
        var eos = tokenizer.EosId ?? throw new BadInputException($"The tokenizer of '{folder}' names no eos_token; a model could not end its answer.");
        var prompt = new FewShotPrompt(settings, tokenizer, chat, tokenizer.BosId ?? eos);

        var pool = FewShotRows.Read(run.Spec.DataOf("train"), run.Spec.File, required: false);
        var questions = FewShotRows.Read(run.Spec.DataOf("valid"), run.Spec.File, required: false);
        if (questions.Count == 0)
        {
            questions = FewShotRows.Read(run.Spec.DataOf("train"), run.Spec.File);
        }
        CheckPool(run, settings, pool);

        var asked = Examples.Fitting([.. questions.Index()], q => q.Item.Where, q => Ask(prompt, q.Item, pool, settings, model.Config.MaxPositions, Seeds.Derive(run.Spec.Seed, q.Index)),
            a => a.Needed, model.Config.MaxPositions, settings.Overlong, run);
        var batches = asked.Chunk(settings.BatchSize).ToList();
        var most = asked.Max(a => a.Examples.Count);
        run.Log($"{asked.Count} questions with {(asked.Min(a => a.Examples.Count) == most ? $"{most}" : $"up to {most} (as many as there are and fit)")} of {settings.Shots} examples: {batches.Count} batches.");
        RowRun.Run<FewShotItem>(run, "items.jsonl", batches.Count, settings.CheckpointEvery, "evaluating", step =>
            [.. Choose(model, prompt, [.. batches[step].Where(a => Scored(a.Question, settings))], settings, tokenizer.PadId ?? eos, step + 1),
             .. Answer(model, prompt, [.. batches[step].Where(a => !Scored(a.Question, settings))], settings, tokenizer, eos, step + 1)], Describe);
    }

    private sealed record Asked(FewShotRow Question, List<FewShotRow> Examples, int Needed);

    private static bool Scored(FewShotRow question, EvaluateHyperparameters settings) => question.Choices is not null && !settings.ChainOfThought;

    private static void CheckPool(RunFolder run, EvaluateHyperparameters settings, List<FewShotRow> pool)
    {
        if (settings.Shots > 0 && pool.Count == 0)
        {
            throw new BadInputException($"{run.Spec.File}: {settings.Shots} examples in context need rows of the split 'train' to draw them from, and there are none.");
        }
        if (settings is { ChainOfThought: true, Shots: > 0 } && pool.FirstOrDefault(r => r.Rationale is null) is { } silent)
        {
            throw new BadInputException($"{silent.Where}: field 'rationale' is missing; with chain_of_thought every example shows how its answer is found.");
        }
    }

    /// <summary>Draws the examples of a question from the pool, without itself, and drops the first ones until all fits.</summary>
    private static Asked Ask(FewShotPrompt prompt, FewShotRow question, List<FewShotRow> pool, EvaluateHyperparameters settings, int context, long seed)
    {
        List<FewShotRow> examples = [.. Seeds.Permutation(pool.Count, seed).Select(i => pool[i]).Where(e => e.Question != question.Question).Take(settings.Shots)];
        int Length() => Scored(question, settings)
            ? question.Choices!.Max(c => prompt.Answered(examples, question, c).Ids.Length)
            : prompt.Context(examples, question).Length + 1;
        // A free answer needs its room; without any example it takes what there is.
        var room = Scored(question, settings) ? 0 : settings.MaxNewTokens - 1;
        var needed = Length();
        while (examples.Count > 0 && needed + room > context)
        {
            examples.RemoveAt(0);
            needed = Length();
        }
        return new Asked(question, examples, needed);
    }

    private static IEnumerable<FewShotItem> Choose(CausalLm model, FewShotPrompt prompt, List<Asked> asked, EvaluateHyperparameters settings, int padId, int step)
    {
        if (asked.Count == 0)
        {
            return [];
        }
        var conditional = asked.SelectMany(a => a.Question.Choices!.Select(c => prompt.Answered(a.Examples, a.Question, c))).ToList();
        var unconditional = asked.SelectMany(a => a.Question.Choices!.Select(c => prompt.Unconditional(c, a.Question.Where))).ToList();
        var logProbs = AnswerLogProbs.Of(model, [.. conditional, .. unconditional], settings.BatchSize, padId);
        var at = 0;
        return [.. asked.Select(a =>
        {
            var (span, right) = (at..(at += a.Question.Choices!.Count), a.Question.Choices!.ToList().IndexOf(a.Question.Answers[0]));
            var (sums, bare, tokens) = (logProbs[span], logProbs[conditional.Count..][span], conditional[span].Select(s => s.Supervised).ToArray());
            return new FewShotItem(step, a.Question.Id, a.Examples.Count, a.Question.Answers[0], sums, tokens, bare,
                Best(sums) == right, Best(sums.Zip(tokens, (p, n) => p / n)) == right, Best(sums.Zip(bare, (p, q) => p - q)) == right);
        })];
    }

    private static IEnumerable<FewShotItem> Answer(CausalLm model, FewShotPrompt prompt, List<Asked> asked, EvaluateHyperparameters settings, Tokenizer tokenizer, int eos, int step)
    {
        var generated = BatchGenerator.Generate(model, [.. asked.Select(a => prompt.Context(a.Examples, a.Question))], [.. asked.Select(_ => 0UL)], settings.MaxNewTokens,
            new SamplingOptions(Temperature: 0), [eos, .. model.Config.EosTokenIds]);
        return asked.Zip(generated, (a, g) =>
        {
            var text = tokenizer.Decode(g.FinishReason == FinishReason.Stop ? g.Tokens[..^1] : g.Tokens);
            // A model of plain text goes on with questions of its own; an empty line ends what belongs to this one.
            text = text.Split("\n\n")[0].Trim();
            var answer = settings.ChainOfThought ? AnswerText.After(text, settings.AnswerMarker) : AnswerText.FirstLine(text);
            return new FewShotItem(step, a.Question.Id, a.Examples.Count, a.Question.Answers[0], Text: text, Answer: answer, Right: answer is not null && AnswerText.Matches(answer, a.Question.Answers));
        });
    }

    private static int Best(IEnumerable<float> scores) => scores.Select((s, i) => (Score: s, Index: i)).MaxBy(x => x.Score).Index;

    private static Dictionary<string, double> Describe(IReadOnlyList<FewShotItem> items)
    {
        var metrics = new Dictionary<string, double> { ["num_questions"] = items.Count, ["examples_in_context"] = items.Average(i => (double)i.Examples) };
        var (chosen, free) = (items.Where(i => i.LogProbs is not null).ToList(), items.Where(i => i.Text is not null).ToList());
        if (chosen.Count > 0)
        {
            metrics["accuracy/sum"] = chosen.Average(i => i.RightBySum!.Value ? 1.0 : 0);
            metrics["accuracy/per_token"] = chosen.Average(i => i.RightPerToken!.Value ? 1.0 : 0);
            metrics["accuracy/unconditional"] = chosen.Average(i => i.RightUnconditional!.Value ? 1.0 : 0);
            metrics["accuracy/chance"] = chosen.Average(i => 1.0 / i.LogProbs!.Length);
        }
        if (free.Count > 0)
        {
            metrics["exact_match"] = free.Average(i => i.Right!.Value ? 1.0 : 0);
            metrics["answered"] = free.Average(i => i.Answer is null ? 0.0 : 1);
        }
        return metrics;
    }
}
