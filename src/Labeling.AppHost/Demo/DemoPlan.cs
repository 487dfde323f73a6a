namespace Labeling.AppHost.Demo;

/// <summary>How much is labeled and trained. Found by trying on two cores: every stage does its work with room to spare, within minutes.</summary>
internal sealed record DemoPlan
{
    public static DemoPlan Default { get; } = new();

    /// <summary>The same loop in a minute, to see that everything works together. It is too little to learn from.</summary>
    public static DemoPlan Quick { get; } = new()
    {
        Demonstrations = 40,
        RankedPrompts = 40,
        RankedForValidation = 10,
        PracticePrompts = 40,
        ComparedPrompts = 20,
        Sft = new() { ["epochs"] = 1 },
        Ppo = new() { ["episodes"] = 64, ["batch_size"] = 32, ["max_new_tokens"] = 40 },
    };

    /// <summary>Demonstrations people write.</summary>
    public int Demonstrations { get; init; } = 480;

    /// <summary>Prompts whose answers people rank for the reward model.</summary>
    public int RankedPrompts { get; init; } = 600;

    /// <summary>Of those, held out to measure the reward model on.</summary>
    public int RankedForValidation { get; init; } = 120;

    /// <summary>More prompts nobody labels, for PPO to practise on.</summary>
    public int PracticePrompts { get; init; } = 1500;

    /// <summary>Held-out prompts of the final comparison.</summary>
    public int ComparedPrompts { get; init; } = 400;

    public Dictionary<string, object> Sft { get; init; } = [];

    public Dictionary<string, object> Sampling { get; init; } = new() { ["answers_per_prompt"] = 4, ["max_new_tokens"] = 40 };

    public Dictionary<string, object> Reward { get; init; } = [];

    public Dictionary<string, object> Ppo { get; init; } = new() { ["max_new_tokens"] = 40 };

    public Dictionary<string, object> Comparing { get; init; } = new() { ["answers_per_prompt"] = 1, ["max_new_tokens"] = 40 };
}
