// Stage "reward": the reward model, step 2 of InstructGPT (Ouyang et al. 2022, arXiv 2203.02155, sections 3.5, C.2, eq. 1).
//
// The model starts as the SFT model with its unembedding replaced by one number at the last token of (prompt, answer). A ranking of K answers is ONE
// batch element: K forward passes give all C(K,2) comparisons, which are averaged, so that no answer is learned from many times in separate
// steps; that is what let the paper train without over-fitting. Ties are dropped. One epoch, cosine learning rate down to a tenth.
// After training, a constant is added so that labeler demonstrations score 0 on average.
//
// Deliberate deviations: batches are smaller than 64 rankings when the data are few; rankings of similar length share a batch; where no answer is
// marked as a demonstration, the best-ranked training answers score 0 on average. Ties, margins by strength, several heads, dropout and
// choosing the best weights are off unless asked for.

using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Optim;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.RewardModeling;

/// <summary>A line of scores.jsonl.</summary>
/// <param name="RankingId">Id of the ranking row.</param>
/// <param name="CompletionId">Id of the answer.</param>
/// <param name="Split">train or valid.</param>
/// <param name="Score">Shifted score after training.</param>
/// <param name="Rank">The person's rank.</param>
/// <param name="Uncertainty">Standard deviation of the heads' scores; absent with one head.</param>
public sealed record ScoredCompletion(string RankingId, string CompletionId, string Split, double Score, int Rank,
    [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? Uncertainty = null);

/// <summary>Trains a reward model on rankings.</summary>
public static class RewardStage
{
    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">The run, its rankings or its base model cannot be used.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<RewardHyperparameters>();
        var folder = run.Spec.RequireBase();
        run.Progress(0, 0, "loading");
        var chat = new ChatEncoder(folder);
        ModelFolder.RequirePadApart(chat.Tokenizer, folder);
        RewardModel NewModel(long seed) => FromPolicy(folder, chat, seed, settings, run);
        using var model = NewModel(run.Spec.Seed);
        var train = Rankings.Read(run, chat, model.Config.MaxPositions, "train", settings);
        var valid = Rankings.Read(run, chat, model.Config.MaxPositions, "valid", settings);
        var usable = train.Where(r => r.Pairs.Count > 0).ToList();
        if (usable.Count == 0)
        {
            throw new BadInputException($"{train[0].Row.Where}: all {train.Count} training rankings are nothing but ties; there is no preference to learn. At least one must prefer an answer over another.");
        }
        if (usable.Count < train.Count)
        {
            run.Log($"{train.Count - usable.Count} of {train.Count} training rankings are nothing but ties and teach nothing.");
        }
        SelfChecks.Padding(model, usable[0].Answers[0], chat.EosId, chat.PadId);
        if (settings.Keep == "best" && valid.All(r => r.Strict == 0))
        {
            throw new BadInputException($"{run.Spec.File}: keep is \"best\", but there are no validation rankings with a preference to tell which weights are. Add a data file with the split 'valid', or set keep to \"last\".");
        }
        var folds = settings.LabelerFolds == 0 ? [] : RewardFolds.Run(run, settings, NewModel, train, valid, chat.PadId);

        using var training = new RewardTraining(model, usable, settings, chat.PadId, run.Spec.Seed);
        var total = training.Steps;
        var evalEvery = settings.EvalEvery > 0 ? settings.EvalEvery : training.StepsPerEpoch;
        using var best = settings.Keep == "best" ? new BestWeights(model.Trainable) : null;
        var parts = new Dictionary<string, IEnumerable<KeyValuePair<string, Tensor>>> { ["model"] = model.Trainable };
        if (best is not null)
        {
            parts["best"] = best.Copy;
        }
        var checkpoints = new RunCheckpoints(run, settings.CheckpointEvery, parts, new Dictionary<string, AdamW> { ["optimizer"] = training.Optimizer });
        var (step, state) = checkpoints.Resume();
        var tokens = state["num_tokens"]?.GetValue<long>() ?? 0;
        if (best is not null && step > 0)
        {
            (best.Accuracy, best.Step) = (state["best_accuracy"]!.GetValue<double>(), state["best_step"]!.GetValue<int>());
        }
        run.Log($"Reward model of {model.Parameters.Values.Sum(p => p.NumberOfElements):N0} parameters on {usable.Count} rankings with {usable.Sum(r => RankingLoss.Comparisons(r.Pairs))} comparisons ({valid.Count} rankings for validation): {total} steps of {training.BatchSize}, learning rate {training.PeakLearningRate:G3}.");

        while (step < total)
        {
            run.Progress(step, total, "training");
            var (metrics, read) = training.Step(step);
            metrics["num_tokens"] = tokens += read;
            step++;
            if (step % evalEvery == 0 || step == total)
            {
                run.Progress(step, total, "evaluating");
                if (Rankings.Evaluate(valid, Rankings.ScoreAll(model, valid, training.BatchSize, chat.PadId)) is { } evaluated)
                {
                    (metrics["eval/loss"], metrics["eval/accuracy"], metrics["eval/margin"]) = evaluated;
                    best?.Consider(evaluated.Accuracy, step);
                }
            }
            if (step == total)
            {
                foreach (var (name, figure) in folds)
                {
                    metrics[name] = figure;
                }
            }
            run.Metrics(step, metrics);
            checkpoints.AfterStep(step, total, () =>
            {
                var numbers = new JsonObject { ["num_tokens"] = tokens };
                if (best is not null)
                {
                    (numbers["best_accuracy"], numbers["best_step"]) = (best.Accuracy, best.Step);
                }
                return numbers;
            });
        }
        run.Progress(total, total, "scoring");
        var final = run.LastMetrics();
        if (best is not null)
        {
            best.Restore();
            final["best_step"] = best.Step;
            run.Log($"Kept the weights after step {best.Step}, with accuracy {best.Accuracy:F3} on the validation rankings.");
        }
        var trainScores = Rankings.ScoreAll(model, train, training.BatchSize, chat.PadId);
        var shift = -ZeroPoint(train, trainScores);
        model.SetShift(shift);
        var validScores = Rankings.ScoreAll(model, valid, training.BatchSize, chat.PadId);
        if (best is not null && Rankings.Evaluate(valid, validScores) is { } kept)
        {
            (final["eval/loss"], final["eval/accuracy"], final["eval/margin"]) = kept;
        }
        File.Delete(run.In("scores.jsonl"));
        WriteScores(run, train, trainScores, "train", shift);
        WriteScores(run, valid, validScores, "valid", 0);
        WriteReliability(run, [("train", train, trainScores), ("valid", valid, validScores)], final);
        run.WriteOutput(output => model.Save(output, folder));
        final["reward_shift"] = shift;
        run.Finish(total, final);
        run.Progress(total, total, "done");
    }

    private static RewardModel FromPolicy(string folder, ChatEncoder chat, long seed, RewardHyperparameters settings, RunFolder run)
    {
        using var policy = ModelFolder.Policy(folder, chat.Tokenizer);
        var model = RewardModel.From(policy, Seeds.Derive(seed, -1), settings.Heads);
        settings.AddLora(model.AddLora, seed, run.Spec.File);
        return model;
    }

    /// <summary>Mean score of the demonstrations among the answers, or of the best-ranked answers when none is marked as one.</summary>
    private static double ZeroPoint(List<Ranking> rankings, List<RankingScores> scores)
    {
        var answers = rankings.Zip(scores).SelectMany(x => x.First.Row.Completions.Zip(x.Second.Scores, (c, s) => (c.Rank, c.Demonstration, Score: s, Best: x.First.Row.Completions.Min(o => o.Rank)))).ToList();
        return (answers.Exists(a => a.Demonstration) ? answers.Where(a => a.Demonstration) : answers.Where(a => a.Rank == a.Best)).Average(a => a.Score);
    }

    /// <summary>Adds to scores.jsonl; <paramref name="shift"/> is what is not yet in the scores.</summary>
    private static void WriteScores(RunFolder run, List<Ranking> rankings, List<RankingScores> scores, string split, double shift) =>
        run.AppendRows("scores.jsonl", rankings.Zip(scores).SelectMany(x => x.First.Row.Completions.Select((c, i) =>
            new ScoredCompletion(x.First.Row.Id, c.Id, split, x.Second.Scores[i] + shift, c.Rank, x.Second.Spread?[i]))));

    private static void WriteReliability(RunFolder run, (string Split, List<Ranking> Rankings, List<RankingScores> Scores)[] splits, Dictionary<string, double> final)
    {
        File.Delete(run.In("reliability.jsonl"));
        foreach (var (split, rankings, scores) in splits)
        {
            var table = Calibration.Table(split, rankings.Zip(scores).SelectMany(x => x.First.Pairs.Where(p => !p.Tie)
                .Select(p => (double)x.Second.Scores[p.Better] - x.Second.Scores[p.Worse])));
            run.AppendRows("reliability.jsonl", table);
            if (split == "valid" && table.Count > 0)
            {
                final["eval/ece"] = Calibration.Error(table);
            }
        }
    }
}
