using System.Runtime.Intrinsics;
using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Models;

/// <summary>Queries, keys and values as views of the tensors they are in, each [batch, heads, time, head size].</summary>
delegate (Tensor Query, Tensor Key, Tensor Value) HeadViews(Tensor[] tensors);

/// <summary>Scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762, equation 1) in whichever form is the fastest here.</summary>
static class Attention
{
    /// <summary>The values, mixed by how well each query meets the keys. [batch, time, heads · head size].</summary>
    /// <param name="tensors">What gradients go to.</param>
    /// <param name="views">Queries [batch, heads, time, head size], and keys and values [batch, key-value heads, past + time, head size], in these tensors.</param>
    /// <param name="plan">What hides keys from queries.</param>
    public static Tensor Apply(Tensor[] tensors, HeadViews views, AttentionPlan plan)
    {
        var (query, key, value) = views(tensors);
        if (plan.Past == 0 && query.device_type == DeviceType.CPU && Vector512.IsHardwareAccelerated)
        {
            if (query.dtype == ScalarType.Float32) return Own<Float32Format>(tensors, views, plan);
            if (query.dtype == ScalarType.BFloat16) return Own<BFloat16Format>(tensors, views, plan);
        }
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

    static Tensor Own<T>(Tensor[] tensors, HeadViews views, AttentionPlan plan) where T : IFloatFormat
    {
        Tensor output, logSums;
        using (no_grad())
        {
            var (query, key, value) = views(tensors);
            var (batch, heads, time, size) = (query.shape[0], query.shape[1], query.shape[2], query.shape[3]);
            output = empty([batch, time, heads * size], query.dtype);
            logSums = empty([batch, heads, time]);
            AttentionKernel.Forward<T>(Describe(query, key, plan.Mask, logSums), Vectors(query), Vectors(key), Vectors(value), Vectors(ByHead(output, heads)));
        }
        Tensor[] mask = plan.Mask is null ? [] : [plan.Mask];
        return AutogradFunction.Join(tensors, output, (saved, gradient) =>
        {
            var gradients = saved[..tensors.Length].Select(t => empty_like(t)).ToArray();
            var (query, key, value) = views(saved[..tensors.Length]);
            var (queryGradient, keyGradient, valueGradient) = views(gradients);
            var problem = Describe(query, key, saved.Length > tensors.Length + 2 ? saved[^1] : null, saved[tensors.Length + 1]);
            AttentionKernel.Backward<T>(problem, Vectors(query), Vectors(key), Vectors(value), Vectors(ByHead(saved[tensors.Length], query.shape[1])),
                Vectors(ByHead(gradient.contiguous(), query.shape[1])), Vectors(queryGradient), Vectors(keyGradient), Vectors(valueGradient));
            return gradients;
        }, [.. tensors, output, logSums, .. mask]);
    }

    static Tensor ByHead(Tensor x, long heads) => x.view(x.shape[0], x.shape[1], heads, -1).transpose(1, 2);

    static AttentionKernel.Problem Describe(Tensor query, Tensor key, Tensor? mask, Tensor logSums)
    {
        var (batch, heads, time, size) = ((int)query.shape[0], (int)query.shape[1], (int)query.shape[2], (int)query.shape[3]);
        return new(batch, heads, (int)key.shape[1], time, size, (float)(1 / Math.Sqrt(size)), mask is null ? default : Hidden(mask), TensorMemory.Address(logSums));
    }

    static AttentionKernel.Mask Hidden(Tensor mask)
    {
        var (shape, strides) = (mask.shape, mask.stride());
        // One mask may serve all rows, or all heads.
        return new(TensorMemory.Address(mask), mask.dtype == ScalarType.Bool, shape[0] == 1 ? 0 : strides[0], shape[1] == 1 ? 0 : strides[1], strides[2]);
    }

    static AttentionKernel.Vectors Vectors(Tensor x)
    {
        var strides = x.stride();
        return new(TensorMemory.Address(x), strides[0], strides[1], strides[2]);
    }
}
