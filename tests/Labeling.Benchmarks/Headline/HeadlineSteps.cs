using Labeling.AppHost.Starter;
using Labeling.Training.Sampling;

namespace Labeling.Benchmarks.Headline;

/// <summary>One run of the trainer.</summary>
/// <param name="Name">Also the name of its folder.</param>
/// <param name="Minutes">About how long it takes on two quiet cores in bfloat16: its share of the whole.</param>
/// <param name="Prepare">Writes its data into the folder it is given and answers run.json.</param>
internal sealed record HeadlineStep(string Name, string Stage, double Minutes, Func<string, Dictionary<string, object>> Prepare);

/// <summary>
/// The two ways to a model that answers. The small one learns from people: pre-training, SFT, rankings, reward model, PPO. The large one is pre-trained on the same text
/// and nothing else. Labels come from the demo's people; held-out prompts occur in the comparison alone.
/// </summary>
internal sealed class HeadlineSteps(HeadlinePlan plan, string root)
{
    public const string SmallBase = "small-base", LargeBase = "large-base", Sft = "sft", Reward = "reward", Ppo = "ppo", Comparison = "comparison", Prompted = "prompted";

    private const string Answers = "answers";
    private const int LongestAnswer = 40;

    private readonly HeadlineRows _rows = new(plan);

    public IReadOnlyList<HeadlineStep> All =>
    [
        new("small-primer", "pretrain", 1, folder => Primer(folder, plan.Small)),
        new(SmallBase, "pretrain", 2, folder => RawText(folder, "small-primer", plan.Small)),
        new(Sft, "sft", 1, folder => Spec(new() { ["epochs"] = plan.SftEpochs },
            [TrainerRun.WriteRows(folder, "train", _rows.Demonstrations(valid: false)), TrainerRun.WriteRows(folder, "valid", _rows.Demonstrations(valid: true))], SmallBase)),
        new(Answers, "sample", 0.5, folder => Sampling(folder, plan.AnswersPerPrompt, _rows.Prompts(_rows.Ranked), Sft)),
        new(Reward, "reward", 2, RewardModel),
        new(Ppo, "ppo", 4, PolicyOptimization),
        new("large-primer", "pretrain", 21, folder => Primer(folder, plan.Large)),
        new(LargeBase, "pretrain", 59, folder => RawText(folder, "large-primer", plan.Large)),
        new(Comparison, "sample", 1, folder => Sampling(folder, 1, _rows.Prompts(_rows.HeldOut), SmallBase, Sft, Ppo, LargeBase)),
        new(Prompted, "sample", 1, folder => Sampling(folder, 1, _rows.PromptsWithExamples(), LargeBase)),
    ];

    /// <summary>Answers of a finished sampling step, by model and prompt.</summary>
    public IEnumerable<SampledAnswer> SampledBy(string step) => HeadlineRows.Read(Path.Combine(root, step, "samples.jsonl"));

    private Dictionary<string, object> Primer(string folder, ModelShape shape)
    {
        Dictionary<string, object> settings = Pretraining(StarterModel.PrimerSettings, shape);
        settings["hidden_size"] = shape.Hidden;
        settings["layers"] = shape.Layers;
        settings["heads"] = shape.Heads;
        settings["max_steps"] = plan.PrimerSteps;
        Dictionary<string, object> spec = Spec(settings, [TrainerRun.WriteRows(folder, "train", WorldText.Primer(plan.Seed).Take(plan.PrimerPages).Select(text => new { text }))]);
        spec["tokenizer"] = StarterModel.Folder;
        return spec;
    }

    private Dictionary<string, object> RawText(string folder, string from, ModelShape shape)
    {
        List<string> texts = [.. WorldText.Documents(plan.Seed).Take(plan.Documents + plan.ValidationDocuments)];
        return Spec(Pretraining(StarterModel.RawTextSettings, shape),
            [TrainerRun.WriteRows(folder, "train", texts.Take(plan.Documents).Select(text => new { text })), TrainerRun.WriteRows(folder, "valid", texts.Skip(plan.Documents).Select(text => new { text }))],
            from);
    }

    /// <summary>The starter's recipe; the learning rate follows from the size of the model.</summary>
    private Dictionary<string, object> Pretraining(IReadOnlyDictionary<string, object> recipe, ModelShape shape)
    {
        Dictionary<string, object> settings = new(recipe);
        settings.Remove("learning_rate");
        settings.Remove("store_as");
        if (shape == plan.Large)
        {
            settings["precision"] = plan.Precision;
            settings["checkpoint_every"] = plan.CheckpointEvery;
        }
        return settings;
    }

    /// <summary>As in the paper, whose policies of every size learned from one reward model of 6 B, it need not be as small as the policy: it starts from the model that ships.</summary>
    private Dictionary<string, object> RewardModel(string folder)
    {
        List<object> rankings = [.. _rows.Rankings(SampledBy(Answers))];
        int training = rankings.Count * (plan.RankedPrompts - plan.RankedForValidation) / plan.RankedPrompts;
        Dictionary<string, object> spec = Spec([], [TrainerRun.WriteRows(folder, "train", rankings.Take(training)), TrainerRun.WriteRows(folder, "valid", rankings.Skip(training))]);
        spec["base"] = StarterModel.Folder;
        return spec;
    }

    private Dictionary<string, object> PolicyOptimization(string folder)
    {
        // The value model has the reward model's size, not the policy's, from which the default would follow.
        Dictionary<string, object> spec = Spec(
            new() { ["episodes"] = plan.Episodes, ["kl_coefficient"] = 0.1, ["max_new_tokens"] = LongestAnswer, ["value_learning_rate"] = 3e-4 },
            [TrainerRun.WriteRows(folder, "train", _rows.Prompts(_rows.Practice))], Sft);
        spec["reward_model"] = Output(Reward);
        return spec;
    }

    private Dictionary<string, object> Sampling(string folder, int answers, IEnumerable<object> prompts, params string[] models)
    {
        Dictionary<string, object> spec = Spec(new() { ["answers_per_prompt"] = answers, ["max_new_tokens"] = LongestAnswer }, [TrainerRun.WriteRows(folder, "train", prompts)]);
        spec["models"] = models.Select(m => new Dictionary<string, object> { ["id"] = m, ["path"] = Output(m) });
        return spec;
    }

    private Dictionary<string, object> Spec(Dictionary<string, object> settings, object[] data, string? from = null)
    {
        Dictionary<string, object> spec = new() { ["seed"] = plan.Seed, ["threads"] = 2, ["hyperparameters"] = settings, ["data"] = data };
        if (from is not null)
            spec["base"] = Output(from);
        return spec;
    }

    /// <summary>Where a step's model lies, from the folder of another step.</summary>
    private static string Output(string step) => $"../{step}/output";
}
