namespace Labeling.Training.Runs;

/// <summary>
/// The default learning rate for a model of any size: a power law through the rate that the demo's stages do their work with at about a
/// million parameters and the rate the paper used on its large model. Larger models want smaller rates, and between the two points nothing better is known.
/// </summary>
public static class LearningRates
{
    /// <summary>Parameters to which the small rates belong.</summary>
    public const double SmallModel = 1e6;

    /// <summary>Pre-training: 3e-3 at 1M; GPT-3's 2e-4 at 1.3B (arXiv 2005.14165, table 2.1).</summary>
    public static double Pretraining(long parameters) => Scale(parameters, 3e-3, 1.3e9, 2e-4);

    /// <summary>SFT: 1e-3 at 1M; InstructGPT's 9.65e-6 at 1.3B (arXiv 2203.02155, C.1).</summary>
    public static double Sft(long parameters) => Scale(parameters, 1e-3, 1.3e9, 9.65e-6);

    /// <summary>Reward model: 5e-4 at 1M; InstructGPT's 9e-6 at 6B (C.2).</summary>
    public static double Reward(long parameters) => Scale(parameters, 5e-4, 6e9, 9e-6);

    /// <summary>Direct preference methods: 1e-4 at 1M as PPO's policy; DPO's 1e-6 at 2.8B (arXiv 2305.18290, B).</summary>
    public static double Preference(long parameters) => Scale(parameters, 1e-4, 2.8e9, 1e-6);

    /// <summary>PPO policy: 1e-4 at 1M; 5e-6 at 1.3B, inside the range InstructGPT found stable (C.4, E.8: 2.55e-6 to 8.05e-6).</summary>
    public static double Policy(long parameters) => Scale(parameters, 1e-4, 1.3e9, 5e-6);

    /// <summary>PPO value model: 3e-4 at 1M; InstructGPT's 9e-6 at 6B (C.4).</summary>
    public static double Value(long parameters) => Scale(parameters, 3e-4, 6e9, 9e-6);

    /// <summary>
    /// A low-rank adapter, from the rate for all weights: ten times that (LoRA's authors used several times the rate too, arXiv 2106.09685, D), but
    /// no more than 5e-3, above which adapters of small models were seen to learn nothing.
    /// </summary>
    public static double Lora(double full) => Math.Min(10 * full, 5e-3);

    /// <summary>rate(n) = small · (n / 1e6)^(-s) with s chosen so that rate(paperSize) = paperRate; below 100,000 parameters it no longer grows.</summary>
    internal static double Scale(long parameters, double smallRate, double paperSize, double paperRate)
    {
        var slope = Math.Log(smallRate / paperRate) / Math.Log(paperSize / SmallModel);
        return smallRate * Math.Pow(Math.Max(parameters, 1e5) / SmallModel, -slope);
    }
}
