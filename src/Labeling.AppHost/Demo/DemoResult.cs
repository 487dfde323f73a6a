using System.Text.Json;

namespace Labeling.AppHost.Demo;

/// <summary>What a played loop measured.</summary>
/// <param name="RewardAccuracy">Of held-out noisy labels, the share the reward model orders as the person did.</param>
/// <param name="RewardAccuracyOfTruth">What the hidden truth reaches on the same labels.</param>
/// <param name="RewardAccuracyAgainstTruth">Of held-out pairs that differ in truth, the share the reward model orders by it.</param>
/// <param name="SftWinRate">SFT over base, blind, on held-out prompts.</param>
/// <param name="PpoWinRate">PPO over SFT, the same.</param>
/// <param name="Kl">Divergence of the PPO policy from the SFT policy, nats per answer.</param>
/// <param name="Truth">Mean hidden utility of base, SFT and PPO on the held-out prompts, of at most <see cref="Starter.Quality.Best"/>.</param>
/// <param name="Seconds">Wall time by stage, and <c>total</c>.</param>
public sealed record DemoResult(
    Interval RewardAccuracy, Interval RewardAccuracyOfTruth, Interval RewardAccuracyAgainstTruth, Interval SftWinRate, Interval PpoWinRate, double Kl,
    IReadOnlyDictionary<string, double> Truth, IReadOnlyDictionary<string, double> Seconds)
{
    /// <summary>A reward model has done its work when it comes this near to what the truth reaches on the same labels.</summary>
    public const double NearTruth = 0.95;

    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        WriteIndented = true,
    };

    /// <summary>What did not work, in words; empty when each stage did its work.</summary>
    public IReadOnlyList<string> Failures()
    {
        List<string> failures = [];
        if (SftWinRate.Low <= 0.5)
            failures.Add($"SFT does not clearly beat the base model: {SftWinRate.Value:P1} [{SftWinRate.Low:P1}, {SftWinRate.High:P1}].");
        if (RewardAccuracy.Value < NearTruth * RewardAccuracyOfTruth.Value)
            failures.Add($"The reward model orders {RewardAccuracy.Value:P1} of the held-out labels right; {NearTruth:P0} of what the truth reaches would be {NearTruth * RewardAccuracyOfTruth.Value:P1}.");
        if (PpoWinRate.Low <= 0.5)
            failures.Add($"PPO does not clearly beat SFT: {PpoWinRate.Value:P1} [{PpoWinRate.Low:P1}, {PpoWinRate.High:P1}].");
        return failures;
    }

    public string ToJson() => JsonSerializer.Serialize(this, Json);
}
