using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Native;
using Labeling.Training.Optim;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.RewardModeling;

/// <summary>One reward model learning from some rankings: the run's own, or one of a fold.</summary>
internal sealed class RewardTraining : IDisposable
{
    private readonly RewardModel model;
    private readonly List<Ranking> rankings;
    private readonly RewardHyperparameters settings;
    private readonly int padId;
    private readonly long seed;
    private readonly BatchPlan plan;
    private readonly LearningRate schedule;

    public RewardTraining(RewardModel model, List<Ranking> rankings, RewardHyperparameters settings, int padId, long seed)
    {
        (this.model, this.rankings, this.settings, this.padId, this.seed) = (model, rankings, settings, padId, seed);
        BatchSize = BatchPlan.SizeFor(settings.BatchSize, rankings.Count, settings.Epochs, paper: 64);
        plan = new BatchPlan([.. rankings.Select(r => r.Longest)], BatchSize, seed);
        Steps = plan.StepsPerEpoch * settings.Epochs;
        PeakLearningRate = settings.LearningRate ?? settings.Rate(LearningRates.Reward(model.Parameters.Values.Sum(p => p.NumberOfElements)));
        schedule = new LearningRate(ScheduleKind.Cosine, PeakLearningRate, Steps, FloorFraction: settings.MinLearningRateRatio);
        Optimizer = new AdamW(model.Trainable, new AdamWOptions(0.9, 0.95, 1e-8, settings.WeightDecay, settings.MaxGradNorm));
    }

    public AdamW Optimizer { get; }

    public int BatchSize { get; }

    public int StepsPerEpoch => plan.StepsPerEpoch;

    /// <summary>Steps of the whole training.</summary>
    public int Steps { get; }

    public double PeakLearningRate { get; }

    /// <summary>Takes a step (counted from 0); its metrics in TRL's names, and the tokens read.</summary>
    public (Dictionary<string, double> Metrics, long Tokens) Step(int step)
    {
        using var scope = NewDisposeScope();
        var batch = plan.Rows(step).Select(i => rankings[i]).ToList();
        var pairs = Rankings.PairsOf(batch);
        var (loss, values) = Backward(model, batch, settings, padId, Seeds.Derive(seed, step, 3), step + 1);
        var learningRate = schedule.At(step);
        var metrics = new Dictionary<string, double> { ["loss"] = loss };
        var strict = pairs.Where(p => !p.Tie).ToList();
        if (strict.Count > 0)
        {
            var margins = RankingLoss.Compute(values, strict, batch.Count).Margins;
            metrics["accuracy"] = margins.gt(0).to(ScalarType.Float32).mean().item<float>();
            metrics["margin"] = margins.mean().item<float>();
        }
        metrics["min_reward"] = values.min().item<float>();
        metrics["mean_reward"] = values.mean().item<float>();
        metrics["max_reward"] = values.max().item<float>();
        metrics["grad_norm"] = Optimizer.Step(learningRate);
        metrics["lr"] = learningRate;
        metrics["epoch"] = (step + 1.0) / plan.StepsPerEpoch;
        return (metrics, batch.Sum(r => r.Answers.Sum(a => (long)a.Length)));
    }

    /// <summary>
    /// Adds the gradients of a step's rankings, micro-batch by micro-batch; the answers to a prompt stay together. The loss is the mean over all rankings,
    /// however they are divided.
    /// </summary>
    /// <param name="model">The reward model.</param>
    /// <param name="batch">The step's rankings, each with at least one comparison.</param>
    /// <param name="settings">How to calculate: micro-batches and dropout.</param>
    /// <param name="padId">What unused places hold.</param>
    /// <param name="seed">Seed of the step's dropout.</param>
    /// <param name="step">Number of the step, for errors.</param>
    /// <returns>The loss, and the score of every answer, ranking by ranking, without gradients [answers].</returns>
    internal static (double Loss, Tensor Scores) Backward(RewardModel model, List<Ranking> batch, RewardHyperparameters settings, int padId, long seed, int step)
    {
        var loss = 0.0;
        var scores = new List<Tensor>();
        foreach (var (micro, part) in BatchPlan.MicroBatches(batch, settings.MicroBatchSize).Index())
        {
            using var scope = NewDisposeScope();
            using var dropout = new Dropout(settings.Dropout, Seeds.Derive(seed, micro));
            var heads = Rankings.HeadScores(model, part, padId, dropout);
            var means = RewardModel.Mean(heads);
            var (sum, _) = RankingLoss.Compute(model.Heads == 1 ? means : heads, Rankings.PairsOf(part), batch.Count);
            loss += Finite.Loss(sum, step);
            AutogradFunction.RunBackward(sum);
            scores.Add(means.detach().MoveToOuterDisposeScope());
        }
        return (loss, cat(scores));
    }

    public void Dispose() => Optimizer.Dispose();
}

/// <summary>A copy of the weights that did best on the validation rankings so far.</summary>
internal sealed class BestWeights : IDisposable
{
    private readonly IReadOnlyDictionary<string, Tensor> live;

    public BestWeights(IReadOnlyDictionary<string, Tensor> live)
    {
        using var frozen = no_grad();
        this.live = live;
        Copy = live.ToDictionary(t => t.Key, t => t.Value.detach().clone().DetachFromDisposeScope());
    }

    /// <summary>The weights to keep, for the checkpoint.</summary>
    public IReadOnlyDictionary<string, Tensor> Copy { get; }

    /// <summary>Their accuracy; below 0 before the first evaluation.</summary>
    public double Accuracy { get; set; } = -1;

    /// <summary>The step they were taken after.</summary>
    public int Step { get; set; }

    /// <summary>Takes the live weights when they do better; equal is not better.</summary>
    public void Consider(double accuracy, int step)
    {
        if (accuracy > Accuracy)
        {
            (Accuracy, Step) = (accuracy, step);
            Move(live, Copy);
        }
    }

    /// <summary>Puts the best weights into the model.</summary>
    public void Restore() => Move(Copy, live);

    public void Dispose()
    {
        foreach (var tensor in Copy.Values)
        {
            tensor.Dispose();
        }
    }

    private static void Move(IReadOnlyDictionary<string, Tensor> from, IReadOnlyDictionary<string, Tensor> to)
    {
        using var frozen = no_grad();
        foreach (var (name, tensor) in to)
        {
            tensor.copy_(from[name]);
        }
    }
}
