using System.Globalization;
using static TorchSharp.torch;

namespace Labeling.Training.Runs;

/// <summary>Stops a run where a number first stops being one.</summary>
internal static class Finite
{
    /// <summary>The loss as a number.</summary>
    /// <exception cref="NonFiniteException">It is NaN or infinite.</exception>
    public static double Loss(Tensor loss, int step, string name = "loss")
    {
        var value = loss.item<float>();
        return float.IsFinite(value) ? value : throw new NonFiniteException($"Step {step}: the {name} is {value.ToString(CultureInfo.InvariantCulture)}. The last checkpoint before it stands; a smaller learning_rate usually helps.");
    }
}
