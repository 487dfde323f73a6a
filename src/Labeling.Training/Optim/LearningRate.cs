namespace Labeling.Training.Optim;

/// <summary>Shape of a learning-rate schedule after its warm-up.</summary>
public enum ScheduleKind
{
    /// <summary>Stays at the peak.</summary>
    Constant,
    /// <summary>Falls in a straight line to the floor.</summary>
    Linear,
    /// <summary>Falls along half a cosine to the floor (Loshchilov and Hutter 2017, arXiv 1608.03983); InstructGPT's SFT and reward models end at a floor of 0.1.</summary>
    Cosine,
}

/// <summary>A learning-rate schedule: a pure function of the step, so resuming needs no state.</summary>
/// <param name="Kind">Shape after the warm-up.</param>
/// <param name="Peak">Highest learning rate.</param>
/// <param name="TotalSteps">Steps of the whole run.</param>
/// <param name="WarmupSteps">Steps of the linear rise.</param>
/// <param name="FloorFraction">Share of the peak at the last step (linear and cosine).</param>
/// <param name="WarmupStartFraction">Share of the peak before the first step; InstructGPT's PPO begins at 0.1.</param>
public sealed record LearningRate(ScheduleKind Kind, double Peak, long TotalSteps, long WarmupSteps = 0, double FloorFraction = 0, double WarmupStartFraction = 0)
{
    /// <summary>Learning rate of a step.</summary>
    /// <param name="step">Steps already done: 0 for the first.</param>
    public double At(long step)
    {
        // The warm-up's last step has the full rate, and its first one is not wasted at 0.
        if (step < WarmupSteps) return Peak * (WarmupStartFraction + (1 - WarmupStartFraction) * (step + 1) / WarmupSteps);
        if (Kind == ScheduleKind.Constant) return Peak;
        var falling = Math.Max(1, TotalSteps - WarmupSteps);
        var progress = Math.Clamp((double)(step - WarmupSteps) / falling, 0, 1);
        var share = Kind == ScheduleKind.Linear ? 1 - progress : 0.5 * (1 + Math.Cos(Math.PI * progress));
        return Peak * (FloorFraction + (1 - FloorFraction) * share);
    }
}
