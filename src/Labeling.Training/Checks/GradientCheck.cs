using System.Text.Json;
using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Checks;

/// <summary>Gradients against golden ones: the norm over all, each tensor's norm, single values.</summary>
internal sealed class GradientCheck
{
    private readonly Comparison total = new("gradients, total norm", 2e-5, 1e-4);
    private readonly Comparison norms = new("gradients, norms", 2e-5, 1e-4);
    private readonly Comparison values = new("gradients, values", 2e-5, 1e-4);

    public IEnumerable<Comparison> Results => [total, norms, values];

    /// <param name="parameters">Trainable tensors by name, with the gradients of one backward pass; they are cleared.</param>
    /// <param name="expected">total_norm, all_norms and tensors.</param>
    /// <param name="place">The case's name.</param>
    public void Compare(IReadOnlyDictionary<string, Tensor> parameters, JsonElement expected, string place)
    {
        var squares = 0.0;
        var measured = new Dictionary<string, double>();
        foreach (var (name, parameter) in parameters)
        {
            // In double: float32 sums over a large embedding lose the digits that are compared here.
            using var gradient = parameter.grad is { } g ? g.to_type(ScalarType.Float64) : zeros(parameter.shape, ScalarType.Float64);
            measured[name] = gradient.norm().ToDouble();
            squares += measured[name] * measured[name];
        }
        if (GoldenFile.Given(expected, "total_norm")) total.Add(expected.GetProperty("total_norm").GetDouble(), Math.Sqrt(squares), place);
        if (GoldenFile.Given(expected, "all_norms"))
        {
            var names = expected.GetProperty("all_norms").EnumerateObject().ToList();
            foreach (var norm in names)
            {
                if (measured.TryGetValue(norm.Name, out var actual)) norms.Add(norm.Value.GetDouble(), actual, $"{place} {norm.Name}");
                else norms.Fail($"{place}: the model has no trainable tensor {norm.Name}");
            }
            foreach (var name in measured.Keys.Except(names.Select(n => n.Name))) norms.Fail($"{place}: the model has a trainable tensor {name}, the golden file has none");
        }
        if (GoldenFile.Given(expected, "tensors"))
        {
            foreach (var entry in expected.GetProperty("tensors").EnumerateObject()) Values(parameters, entry, place);
        }
        foreach (var parameter in parameters.Values) parameter.grad = null;
    }

    void Values(IReadOnlyDictionary<string, Tensor> parameters, JsonProperty entry, string place)
    {
        if (!parameters.TryGetValue(entry.Name, out var parameter))
        {
            values.Fail($"{place}: the model has no trainable tensor {entry.Name}");
            return;
        }
        var shape = entry.Value.GetProperty("shape").EnumerateArray().Select(s => s.GetInt64()).ToArray();
        if (!shape.SequenceEqual(parameter.shape))
        {
            values.Fail($"{place}: {entry.Name} has shape [{string.Join(", ", parameter.shape)}], expected [{string.Join(", ", shape)}]");
            return;
        }
        using var gradient = (parameter.grad ?? zeros_like(parameter)).cpu().contiguous();
        var flat = TensorMemory.Span<float>(gradient);
        foreach (var value in entry.Value.GetProperty("values").EnumerateArray())
        {
            var index = value.GetProperty("index").EnumerateArray().Select(i => i.GetInt32()).ToArray();
            var offset = index.Select((i, d) => i * shape.Skip(d + 1).Aggregate(1L, (a, b) => a * b)).Sum();
            values.Add(value.GetProperty("value").GetDouble(), flat[(int)offset], $"{place} {entry.Name}", index);
        }
    }
}
