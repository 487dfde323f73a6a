using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Models;

/// <summary>A linear map's product in bfloat16 with a float32 weight, whose conversions there and back <see cref="BFloat16Weight"/> saves.</summary>
static class BFloat16Product
{
    /// <summary>Whether it is there for such inputs.</summary>
    public static bool Serves(Tensor x) => x.dtype == ScalarType.BFloat16 && x.device_type == DeviceType.CPU;

    /// <summary>x·Wᵀ, or x·W where the weight is stored transposed.</summary>
    /// <param name="x">bfloat16 [..., in].</param>
    /// <param name="weight">[out, in], of any number type, which its gradient has too.</param>
    /// <param name="transposed">The weight is [in, out].</param>
    /// <returns>bfloat16 [..., out].</returns>
    public static Tensor Apply(Tensor x, Tensor weight, bool transposed = false)
    {
        using var scope = NewDisposeScope();
        Tensor input, own, output;
        using (no_grad())
        {
            input = x.reshape(-1, x.shape[^1]);
            own = BFloat16Weight.Of(weight);
            output = F.linear(input, transposed ? own.t() : own).view([.. x.shape[..^1], weight.shape[transposed ? 1 : 0]]);
        }
        var (shape, forInput, forWeight) = (x.shape, x.requires_grad, weight.requires_grad);
        return AutogradFunction.Join([x, weight], output, (saved, gradient) =>
        {
            var (input, own, outer) = (saved[0], saved[1], gradient.reshape(-1, gradient.shape[^1]));
            var inward = forInput ? outer.matmul(transposed ? own.t() : own).view(shape) : null;
            if (!forWeight) return [inward, null];
            return [inward, BFloat16Weight.Deliver(weight, transposed ? input.t().matmul(outer) : outer.t().matmul(input))];
        }, input, own).MoveToOuterDisposeScope();
    }
}
