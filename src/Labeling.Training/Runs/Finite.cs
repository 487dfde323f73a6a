using System.Globalization;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Runs;

/// <summary>Stops a run where a number first stops being one.</summary>
internal static class Finite
{
    private const string Advice = "The last checkpoint before it stands; a smaller learning_rate usually helps.";

    /// <summary>The loss as a number.</summary>
    /// <exception cref="NonFiniteException">It is NaN or infinite.</exception>
    public static double Loss(Tensor loss, int step, string name = "loss") => Loss((double)loss.item<float>(), step, name);

    /// <summary>The loss itself.</summary>
    /// <exception cref="NonFiniteException">It is NaN or infinite.</exception>
    public static double Loss(double value, int step, string name = "loss")
    {
        return double.IsFinite(value) ? value : throw new NonFiniteException($"Step {step}: the {name} is {value.ToString(CultureInfo.InvariantCulture)}. {Advice}");
    }

    /// <summary>Tensors that a step has changed.</summary>
    /// <exception cref="NonFiniteException">One holds NaN or infinity; names it.</exception>
    public static void Tensors(IEnumerable<KeyValuePair<string, Tensor>> tensors, int step)
    {
        if (FirstBad(tensors) is { } name)
        {
            throw new NonFiniteException($"Step {step}: the tensor {name} holds a number that is not finite. {Advice}");
        }
    }

    /// <summary>Name of the first tensor that holds NaN or infinity; null when there is none.</summary>
    public static string? FirstBad(IEnumerable<KeyValuePair<string, Tensor>> tensors)
    {
        using var frozen = no_grad();
        using var scope = NewDisposeScope();
        var all = tensors.ToList();
        // NaN and infinity survive a sum, so one number per tensor tells; only an overflowing sum needs the second look.
        if (all.Count == 0 || stack(all.Select(t => t.Value.detach().sum(ScalarType.Float32))).isfinite().all().ToBoolean())
        {
            return null;
        }
        return all.Where(t => !t.Value.detach().isfinite().all().ToBoolean()).Select(t => t.Key).FirstOrDefault();
    }
}
