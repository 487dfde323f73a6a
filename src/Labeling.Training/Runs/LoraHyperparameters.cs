using Labeling.Training.Models;

namespace Labeling.Training.Runs;

/// <summary>Hyperparameters of the stages that can train a low-rank adapter instead of all weights.</summary>
public abstract record LoraHyperparameters
{
    [Hyperparameter("Train a low-rank adapter of this rank on each chosen projection and leave the weights as they are. Needs far less memory; the finished model has the adapter merged in, and the adapter lies beside it in PEFT's format. 0 = train all weights.",
        Source = "LoRA, Hu et al. 2021, arXiv 2106.09685", Min = 0, Max = 4096)]
    public int LoraRank { get; init; }

    [Hyperparameter("Strength of the adapter: its change is multiplied by lora_alpha / lora_rank. Only with lora_rank.", Source = "PEFT's examples: 16", Min = 1e-3, Max = 1e5)]
    public double LoraAlpha { get; init; } = 16;

    [Hyperparameter("Projections that get an adapter: all-linear for every one, default for PEFT's choice for the model's family, or names as PEFT writes them with commas between them, such as q_proj,v_proj. Only with lora_rank.",
        Source = "QLoRA, Dettmers et al. 2023, arXiv 2305.14314: every projection")]
    public string LoraTargetModules { get; init; } = LoraOptions.AllLinear;

    /// <summary>Share of the adapter's input that is dropped in training.</summary>
    private protected virtual double AdapterDropout => 0;

    /// <summary>Adds the adapter, where one is asked for.</summary>
    /// <param name="add">The model's AddLora.</param>
    /// <param name="seed">Seed of the run.</param>
    /// <param name="file">run.json, for errors.</param>
    internal void AddLora(Action<LoraOptions, long> add, long seed, string file)
    {
        if (LoraRank == 0)
        {
            return;
        }
        try
        {
            add(new LoraOptions(LoraRank, LoraAlpha, AdapterDropout, LoraTargetModules), Seeds.Derive(seed, -2));
        }
        catch (LoraException e)
        {
            throw new BadInputException($"{file}: hyperparameter 'lora_target_modules' = \"{LoraTargetModules}\": {e.Message}", e);
        }
    }

    /// <summary>The learning rate of a stage when none was given.</summary>
    /// <param name="full">The rate for training all weights.</param>
    internal double Rate(double full) => LoraRank == 0 ? full : LearningRates.Lora(full);
}

/// <summary>
/// Hyperparameters of those stages that can drop some of the adapter's input. Stages that learn from a model's own answers cannot: the probabilities
/// they were drawn with would not be those of the first pass that learns from them.
/// </summary>
public abstract record LoraDropoutHyperparameters : LoraHyperparameters
{
    [Hyperparameter("Share of the adapter's input that is dropped in training. Only with lora_rank.", Source = "LoRA D: 0 to 0.1", Min = 0, Max = 0.9)]
    public double LoraDropout { get; init; }

    private protected override double AdapterDropout => LoraDropout;
}
