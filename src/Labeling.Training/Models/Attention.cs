using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Models;

/// <summary>Scaled dot-product attention (Vaswani et al. 2017, arXiv 1706.03762, equation 1) in whichever form is the fastest here.</summary>
static class Attention
{
    /// <summary>Queries that meet the keys before them in one product; what lies beyond the last of them is not calculated.</summary>
    const long Block = 128;

    /// <summary>Longest sequence whose weights are kept for the backward pass: 2 bytes · length² / 2 for each head and row.</summary>
    const long LongestKept = 2048;

    /// <summary>The values, mixed by how well each query meets the keys. [batch, heads, time, head size].</summary>
    /// <param name="query">[batch, heads, time, head size].</param>
    /// <param name="key">[batch, heads, past + time, head size].</param>
    /// <param name="value">As the keys.</param>
    /// <param name="plan">What hides keys from queries.</param>
    public static Tensor Apply(Tensor query, Tensor key, Tensor value, AttentionPlan plan)
    {
        // libtorch's own bfloat16 backward pass takes up to ten times as long as the products that it is made of.
        var slow = query.dtype == ScalarType.BFloat16 && is_grad_enabled() && query.device_type == TorchSharp.DeviceType.CPU;
        if (slow && plan.Past == 0 && plan.Time <= LongestKept && (plan.Mask is null || plan.Mask.dtype == ScalarType.Bool)) return Products(query, key, value, plan.Mask);
        // A bias of hundreds does not fit into the eight bits of bfloat16.
        if (slow || plan.Mask is { dtype: ScalarType.Float32 })
            return F.scaled_dot_product_attention(query.@float(), key.@float(), value.@float(), plan.Mask, 0, plan.Causal).to_type(query.dtype);
        return F.scaled_dot_product_attention(query, key, value, plan.Mask, 0, plan.Causal);
    }

    static Tensor Products(Tensor query, Tensor key, Tensor value, Tensor? mask)
    {
        var time = query.shape[2];
        var scaled = query * (1 / Math.Sqrt(query.shape[3]));
        var hidden = mask is null ? ones(time, time, ScalarType.Bool, query.device).triu(1).view(1, 1, time, time) : mask.logical_not();
        var parts = new List<Tensor>();
        for (long from = 0; from < time; from += Block)
        {
            var length = Math.Min(Block, time - from);
            var scores = scaled.narrow(2, from, length).matmul(key.narrow(2, 0, from + length).transpose(2, 3));
            // In place: a product does not need its result again.
            scores.masked_fill_(hidden.narrow(2, from, length).narrow(3, 0, from + length), double.NegativeInfinity);
            parts.Add(scores.softmax(-1).matmul(value.narrow(2, 0, from + length)));
        }
        return parts.Count == 1 ? parts[0] : cat(parts, 2);
    }
}
