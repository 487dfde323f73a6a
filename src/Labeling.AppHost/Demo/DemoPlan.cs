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
    public int Demonstrations { get; init; } = 2000;

    /// <summary>Prompts whose answers people rank for the reward model.</summary>
    public int RankedPrompts { get; init; } = 3600;

    /// <summary>Of those, held out to measure the reward model on.</summary>
    public int RankedForValidation { get; init; } = 900;

    /// <summary>More prompts nobody labels, for PPO to practise on.</summary>
    public int PracticePrompts { get; init; } = 1500;

    /// <summary>Held-out prompts of the final comparison.</summary>
    public int ComparedPrompts { get; init; } = 600;

    /// <summary>Answers a person ranks at a time.</summary>
    public int AnswersPerPrompt { get; init; } = 6;

    public Dictionary<string, object> Sft { get; init; } = new() { ["epochs"] = 4 };

    public Dictionary<string, object> Sampling => new() { ["answers_per_prompt"] = AnswersPerPrompt, ["max_new_tokens"] = 40 };

    public Dictionary<string, object> Reward { get; init; } = [];

    /// <summary>A reward model of a million parameters has holes: a higher price of leaving the SFT policy than the paper's keeps PPO out of them.</summary>
    public Dictionary<string, object> Ppo { get; init; } = new() { ["episodes"] = 6400, ["kl_coefficient"] = 0.1, ["max_new_tokens"] = 40 };

    public Dictionary<string, object> Comparing { get; init; } = new() { ["answers_per_prompt"] = 1, ["max_new_tokens"] = 40 };
}
