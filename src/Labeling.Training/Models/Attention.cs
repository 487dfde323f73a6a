using System.Runtime.Intrinsics;
using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Models;

/// <summary>Queries, keys and values in a tensor that holds the three: [batch, time, 3 · width] as three times [batch, heads, time, head size].</summary>
delegate (Tensor Query, Tensor Key, Tensor Value) HeadSplit(Tensor all);

/// <summary>Scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762, equation 1) in whichever form is the fastest here.</summary>
static class Attention
{
    /// <summary>The values, mixed by how well each query meets the keys. [batch, time, heads · head size].</summary>
    /// <param name="query">[batch, heads, time, head size].</param>
    /// <param name="key">[batch, key-value heads, past + time, head size].</param>
    /// <param name="value">As the keys.</param>
    /// <param name="plan">What hides keys from queries.</param>
    public static Tensor Apply(Tensor query, Tensor key, Tensor value, AttentionPlan plan) =>
        IsOwn(query, plan) ? Own([query, key, value], t => (t[0], t[1], t[2]), null, plan) : ByLibTorch(query, key, value, plan);

    /// <summary>The same of queries, keys and values in one tensor, where their gradients meet as they are calculated.</summary>
    /// <param name="all">[batch, time, 3 · width].</param>
    /// <param name="bias">float32 [3 · width], added to all tokens; null for nothing.</param>
    /// <param name="split">How the three lie in such a tensor.</param>
    /// <param name="plan">What hides keys from queries.</param>
    public static Tensor Apply(Tensor all, Tensor? bias, HeadSplit split, AttentionPlan plan)
    {
        if (IsOwn(all, plan)) return Own([all], t => split(t[0]), bias, plan);
        var (query, key, value) = split(BiasedRows.Plus(all, bias));
        return ByLibTorch(query, key, value, plan);
    }

    static bool IsOwn(Tensor x, AttentionPlan plan) =>
        plan.Past == 0 && x.device_type == DeviceType.CPU && x.dtype is ScalarType.Float32 or ScalarType.BFloat16 && Vector512.IsHardwareAccelerated;

    static Tensor ByLibTorch(Tensor query, Tensor key, Tensor value, AttentionPlan plan)
    {
        var groups = query.shape[1] / key.shape[1];
        if (groups > 1) (key, value) = (key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1));
        // libtorch's own bfloat16 backward pass takes up to ten times as long as the products that it is made of, and a bias of hundreds does not fit into the
        // eight bits of bfloat16.
        var wide = query.dtype == ScalarType.BFloat16 && (plan.Mask is { dtype: ScalarType.Float32 } || (is_grad_enabled() && query.device_type == DeviceType.CPU));
        var mixed = wide
            ? F.scaled_dot_product_attention(query.@float(), key.@float(), value.@float(), plan.Mask, 0, plan.Causal).to_type(query.dtype)
            : F.scaled_dot_product_attention(query, key, value, plan.Mask, 0, plan.Causal);
        return mixed.transpose(1, 2).reshape(query.shape[0], query.shape[2], -1);
    }

    static Tensor Own(Tensor[] tensors, Func<Tensor[], (Tensor, Tensor, Tensor)> views, Tensor? bias, AttentionPlan plan) => tensors[0].dtype == ScalarType.Float32
        ? Own<Float32Format>(tensors, views, bias, plan.Mask)
        : Own<BFloat16Format>(tensors, views, bias, plan.Mask);

    static Tensor Own<T>(Tensor[] tensors, Func<Tensor[], (Tensor Query, Tensor Key, Tensor Value)> views, Tensor? bias, Tensor? mask) where T : IFloatFormat
    {
        using var scope = NewDisposeScope();
        Tensor output, logSums;
        using (no_grad())
        {
            var (query, key, _) = views(tensors);
            var (batch, heads, time, size) = (query.shape[0], query.shape[1], query.shape[2], query.shape[3]);
            output = empty([batch, time, heads * size], query.dtype);
            logSums = empty([batch, heads, time]);
            AttentionKernel.Forward<T>(Problem(query, key, Biases(bias), mask, logSums), Three(views(tensors)), Vectors(ByHead(output, heads)));
        }
        Tensor[] biases = bias is null ? [] : [bias], masks = mask is null ? [] : [mask];
        return AutogradFunction.Join([.. tensors, .. biases], output, (saved, gradient) =>
        {
            var (inputs, output, logSums) = (saved[..tensors.Length], saved[tensors.Length], saved[tensors.Length + 1]);
            var (bias, mask) = (biases.Length == 0 ? null : saved[tensors.Length + 2], masks.Length == 0 ? null : saved[^1]);
            var (query, key, _) = views(inputs);
            var gradients = inputs.Select(t => empty_like(t)).ToArray();
            // One row's after another's: rows are calculated at the same time.
            var biasGradients = bias is null ? null : empty(query.shape[0], 1, bias.shape[0]);
            AttentionKernel.Backward<T>(Problem(query, key, Biases(bias), mask, logSums), Three(views(inputs)), Vectors(ByHead(output, query.shape[1])),
                Vectors(ByHead(gradient.contiguous(), query.shape[1])), Three(views(gradients)), biasGradients is null ? default : Three(views([biasGradients])));
            return biasGradients is null ? gradients : [.. gradients, biasGradients.sum([0, 1])];
        }, [.. tensors, output, logSums, .. biases, .. masks]).MoveToOuterDisposeScope();

        AttentionKernel.Three Biases(Tensor? added) => added is null ? default : Three(views([added.view(1, 1, -1)]));

        static AttentionKernel.Problem Problem(Tensor query, Tensor key, AttentionKernel.Three biases, Tensor? mask, Tensor logSums)
        {
            var (batch, heads, time, size) = ((int)query.shape[0], (int)query.shape[1], (int)query.shape[2], (int)query.shape[3]);
            return new(batch, heads, (int)key.shape[1], time, size, (float)(1 / Math.Sqrt(size)), mask is null ? default : Hidden(mask), TensorMemory.Address(logSums), biases);
        }
    }

    static Tensor ByHead(Tensor x, long heads) => x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2);

    static AttentionKernel.Mask Hidden(Tensor mask)
    {
        var (shape, strides) = (mask.shape, Strides(mask));
        // One mask may serve all rows, or all heads.
        return new(TensorMemory.Address(mask), mask.dtype == ScalarType.Bool, shape[0] == 1 ? 0 : strides[0], shape[1] == 1 ? 0 : strides[1], strides[2]);
    }

    static AttentionKernel.Three Three((Tensor Query, Tensor Key, Tensor Value) parts) => new(Vectors(parts.Query), Vectors(parts.Key), Vectors(parts.Value));

    static AttentionKernel.Vectors Vectors(Tensor x)
    {
        var strides = Strides(x);
        return new(TensorMemory.Address(x), strides[0], strides[1], strides[2]);
    }

    /// <exception cref="ArgumentException">The last dimension's numbers are apart, which the kernels do not look for.</exception>
    static long[] Strides(Tensor x)
    {
        var strides = x.stride();
        if (strides[^1] != 1 && x.shape[^1] != 1) throw new ArgumentException($"the numbers of a [{string.Join(", ", x.shape)}] tensor lie {strides[^1]} apart; 1 is needed.", nameof(x));
        return strides;
    }
}
