using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Models;

/// <summary>
/// The body of a decoder-only transformer: token ids in, hidden states out. One class for all families; what differs is
/// configuration and the name map (<see cref="DecoderLayout"/>). The weights belong to the model around it.
/// </summary>
sealed class Decoder(ModelConfig config, Block[] blocks, Tensor tokenEmbedding)
{
    public Tensor TokenEmbedding => tokenEmbedding;
    public IReadOnlyList<Block> Blocks => blocks;
    public IEnumerable<Linear> Linears => new[] { ProjectIn }.Concat(blocks.SelectMany(b => b.Linears)).Append(ProjectOut).OfType<Linear>();
    public Tensor? PositionEmbedding { get; init; }
    public int PositionOffset { get; init; }
    public Norm? EmbeddingNorm { get; init; }
    /// <summary>Number type that the blocks calculate in. The weights stay float32.</summary>
    public ScalarType ComputeType { get; set; } = ScalarType.Float32;
    public Linear? ProjectIn { get; init; }
    public Linear? ProjectOut { get; init; }
    public Norm? FinalNorm { get; init; }
    public Rotary? Rotary { get; } = config.Positions == PositionKind.Rotary ? new Rotary(config) : null;
    public float[]? AlibiSlopes { get; } = config.Positions == PositionKind.Alibi ? Alibi.Slopes(config.Heads) : null;
    /// <summary>The fused projection holds query, key and value of head 0, then of head 1, ... rather than all queries first.</summary>
    public bool InterleavedHeads { get; init; }
    /// <summary>Positions count padding on the left too, as other software does when it is given no position ids. OPT and ALiBi models never do.</summary>
    public bool CountPadding { get; set; }

    /// <summary>Hidden states [batch, time, width] of token ids [batch, time].</summary>
    /// <param name="ids">int64 [batch, time].</param>
    /// <param name="attentionMask">[batch, time], 1 or true at real tokens; null when all are real.</param>
    /// <param name="cache">Keys and values of earlier tokens, extended by this call.</param>
    /// <param name="segments">int64 [batch, time], the sequence of its row each token belongs to; null when a row is one sequence.</param>
    /// <param name="dropout">What is dropped in this pass; null for nothing.</param>
    public Tensor Forward(Tensor ids, Tensor? attentionMask, KeyValueCache? cache, Tensor? segments = null, Dropout? dropout = null)
    {
        if (ids.dim() != 2) throw new ArgumentException($"ids have shape [{string.Join(", ", ids.shape)}]; [batch, time] is needed.", nameof(ids));
        if (attentionMask is not null && !attentionMask.shape.SequenceEqual(ids.shape))
            throw new ArgumentException($"the attention mask has shape [{string.Join(", ", attentionMask.shape)}], the ids [{string.Join(", ", ids.shape)}].", nameof(attentionMask));
        if (segments is not null && (attentionMask is not null || cache is not null || !segments.shape.SequenceEqual(ids.shape)))
            throw new ArgumentException("segments have the shape of the ids and come without attention mask and cache.", nameof(segments));
        var past = cache?.Length ?? 0;

        using var scope = NewDisposeScope();
        var plan = Plan(config.SlidingWindow);
        var full = config.WindowedLayers is null ? plan : Plan(null);
        if (config.AnglesFollowLength) plan = plan with { Lengths = Lengths(plan, attentionMask, segments) + (cache?.Ahead ?? 0) };
        if (config.Positions != PositionKind.Alibi) CheckLength(plan);
        var (batch, time) = (ids.shape[0], ids.shape[1]);
        var x = Embedding.Rows(tokenEmbedding, ids);
        if (ProjectIn is not null) x = ProjectIn.Apply(x, dropout);
        if (PositionEmbedding is not null) x = x + Positions(plan, batch, time);
        if (EmbeddingNorm is not null) x = EmbeddingNorm.Apply(x);
        x = x.to_type(ComputeType);
        var rotation = Rotary?.At(plan, time);
        for (var i = 0; i < blocks.Length; i++)
        {
            // What the gradients need they keep by themselves; without gradients one block's memory serves the next.
            using var ofBlock = NewDisposeScope();
            x = Run(blocks[i], i, x, config.WindowOf(i) is null ? full : plan, rotation, cache, dropout).MoveToOuterDisposeScope();
        }
        if (FinalNorm is not null) x = FinalNorm.Apply(x);
        if (ProjectOut is not null) x = ProjectOut.Apply(x, dropout);
        cache?.Advance(plan);
        return x.MoveToOuterDisposeScope();

        AttentionPlan Plan(int? window)
        {
            var made = segments is null ? AttentionPlan.Make(config, ids, attentionMask, cache, AlibiSlopes, window) : AttentionPlan.Packed(segments, AlibiSlopes, window);
            return CountPadding && PositionOffset == 0 ? made with { Positions = null } : made;
        }
    }

    /// <summary>How many tokens the text of each token has so far, int64 [batch or 1, time or 1]. Padding counts where it takes positions.</summary>
    Tensor Lengths(AttentionPlan plan, Tensor? attentionMask, Tensor? segments)
    {
        if (segments is not null) return segments.unsqueeze(2).eq(segments.unsqueeze(1)).sum(2);
        if (!CountPadding && plan.KeyMask is { } real) return real.sum(1, keepdim: true);
        if (!CountPadding && attentionMask is not null) return attentionMask.to_type(ScalarType.Int64).sum(1, keepdim: true) + plan.Past;
        return full([1, 1], plan.Past + plan.Time, ScalarType.Int64);
    }

    /// <summary>Left padding takes no positions, so only the longest row of real tokens counts.</summary>
    void CheckLength(AttentionPlan plan)
    {
        var longest = plan.Positions is null ? plan.Past + plan.Time : plan.LongestRow;
        if (longest > config.MaxPositions)
            throw new ArgumentException($"the sequence has {longest} tokens, but the model only {config.MaxPositions} positions.");
    }

    Tensor Positions(AttentionPlan plan, long batch, long time) => plan.Positions is { } positions
        ? PositionEmbedding!.index_select(0, positions.reshape(-1) + PositionOffset).view(batch, time, -1)
        : PositionEmbedding!.narrow(0, plan.Past + PositionOffset, time);

    Tensor Run(Block block, int index, Tensor x, AttentionPlan plan, Rotary.Rotation? rotation, KeyValueCache? cache, Dropout? dropout)
    {
        Tensor Attended(Tensor input, Tensor residual) => Joined(residual, Attend(block, index, input, plan, rotation, cache, dropout), block.Output.Bias);
        Tensor Fed(Tensor input, Tensor residual) => Joined(residual, FeedForward(block, input, dropout), block.Down.Bias);
        Tensor Joined(Tensor residual, Tensor branch, Tensor? bias) => dropout is null
            ? BiasedRows.Add(residual, branch, bias)
            : residual + dropout.Residual(BiasedRows.Plus(branch, bias));
        if (config.ParallelResidual) return Fed(block.FeedForwardNorm.Apply(x), Attended(block.AttentionNorm.Apply(x), x));
        if (!config.PreNorm)
        {
            x = block.AttentionNorm.Apply(Attended(x, x));
            return block.FeedForwardNorm.Apply(Fed(x, x));
        }
        var normed = block.AttentionNorm.Apply(x);
        x = Attended(normed, config.NormedResidual ? normed : x);
        normed = block.FeedForwardNorm.Apply(x);
        return Fed(normed, config.NormedResidual ? normed : x);
    }

    /// <summary>Without the bias of the last map, like <see cref="FeedForward"/>: it is added with the residual.</summary>
    Tensor Attend(Block block, int index, Tensor x, AttentionPlan plan, Rotary.Rotation? rotation, KeyValueCache? cache, Dropout? dropout)
    {
        if (block is { QueryKeyValue: { } fused, QueryNorm: null, KeyNorm: null } && rotation is null && cache is null && config.ScoreFactor(index) == 1)
            return block.Output.Product(Attention.Apply(fused.Product(x, dropout), fused.Bias, Split, plan), dropout);
        var (query, key, value) = Heads(block, x, dropout);
        if (block.QueryNorm is not null) query = block.QueryNorm.Apply(query);
        if (block.KeyNorm is not null) key = block.KeyNorm.Apply(key);
        if (rotation is not null) (query, key) = (rotation.Apply(query), rotation.Apply(key));
        if (config.ScoreFactor(index) is var factor && factor != 1) query = query * factor;
        if (cache is not null) (key, value) = cache.Append(index, key, value);
        return block.Output.Product(Attention.Apply(query, key, value, plan), dropout);
    }

    /// <summary>Queries, keys and values, each [batch, heads, time, head size].</summary>
    (Tensor Query, Tensor Key, Tensor Value) Heads(Block block, Tensor x, Dropout? dropout)
    {
        if (block.QueryKeyValue is { } fused) return Split(fused.Apply(x, dropout));
        Tensor ByHead(Linear projection, int heads) => projection.Apply(x, dropout).view(x.shape[0], x.shape[1], heads, config.HeadSize).transpose(1, 2);
        return (ByHead(block.Query!, config.Heads), ByHead(block.Key!, config.KeyValueHeads), ByHead(block.Value!, config.KeyValueHeads));
    }

    /// <summary>The three parts of a fused projection [batch, time, 3 · width].</summary>
    (Tensor Query, Tensor Key, Tensor Value) Split(Tensor all)
    {
        var (batch, time) = (all.shape[0], all.shape[1]);
        // Parted where they lie, the gradients are joined in one copy.
        var parts = InterleavedHeads
            ? all.view(batch, time, config.Heads, 3, config.HeadSize).unbind(3)
            : all.view(batch, time, 3, config.Heads, config.HeadSize).unbind(2);
        return (parts[0].transpose(1, 2), parts[1].transpose(1, 2), parts[2].transpose(1, 2));
    }

    Tensor FeedForward(Block block, Tensor x, Dropout? dropout)
    {
        var wide = block.Gate is { } gate
            ? BiasedRows.Gate(config.Activation, gate.Apply(x, dropout), block.Up.Apply(x, dropout))
            : BiasedRows.Activate(config.Activation, block.Up.Product(x, dropout), block.Up.Bias);
        return block.Down.Product(wide, dropout);
    }
}

/// <summary>What a forward pass knows about padding and the past, made once for all layers.</summary>
/// <param name="Past">Tokens already in the cache.</param>
/// <param name="Time">Tokens of this pass.</param>
/// <param name="Positions">int64 [batch, time]; null when they are past, past + 1, ... in every row.</param>
/// <param name="Mask">bool or float [batch or 1, heads or 1, time, past + time]; null when nothing but the causal order hides a token.</param>
/// <param name="Causal">Whether attention applies the causal order itself.</param>
/// <param name="KeyMask">bool [batch, past + time], false at padding; null without left padding.</param>
sealed record AttentionPlan(long Past, long Time, Tensor? Positions, Tensor? Mask, bool Causal, Tensor? KeyMask)
{
    /// <summary>int64 [batch or 1, time or 1], tokens of the text that each token belongs to; null where the rotary angles do not depend on it.</summary>
    public Tensor? Lengths { get; init; }

    /// <summary>Most real tokens of a row that was given at once; a cached row's length is watched by whoever decodes.</summary>
    public long LongestRow => Past > 0 ? 0 : KeyMask is null ? Positions!.max().ToInt64() + 1 : KeyMask.sum(1).max().ToInt64();

    /// <summary>Several sequences side by side in each row: a token sees its own sequence up to itself, and positions begin anew with each.</summary>
    /// <param name="segments">int64 [batch, time], equal for the adjacent tokens of one sequence.</param>
    /// <param name="alibiSlopes">Slopes of the heads; null without ALiBi.</param>
    /// <param name="slidingWindow">How many last tokens are seen; null for all.</param>
    public static AttentionPlan Packed(Tensor segments, float[]? alibiSlopes, int? slidingWindow)
    {
        var (batch, time) = (segments.shape[0], segments.shape[1]);
        var visible = segments.unsqueeze(2).eq(segments.unsqueeze(1)).tril();
        var positions = visible.sum(2) - 1;
        if (slidingWindow is { } window && time > window) visible = visible.triu(1 - window);
        var mask = visible.unsqueeze(1);
        if (alibiSlopes is null) return new AttentionPlan(0, time, positions, mask, false, null);
        var slopes = tensor(alibiSlopes, device: segments.device).view(1, -1, 1, 1);
        var bias = (slopes * positions.to_type(ScalarType.Float32).view(batch, 1, 1, time)).masked_fill(mask.logical_not(), float.NegativeInfinity);
        return new AttentionPlan(0, time, positions, bias, false, null);
    }

    public static AttentionPlan Make(ModelConfig config, Tensor ids, Tensor? attentionMask, KeyValueCache? cache, float[]? alibiSlopes, int? slidingWindow)
    {
        var past = cache?.Length ?? 0;
        var (batch, time) = (ids.shape[0], ids.shape[1]);
        var total = past + time;
        var real = attentionMask is null || IsRightPadded(attentionMask) ? null : attentionMask.to_type(ScalarType.Bool);
        if (real is null && cache?.Mask is { } before) real = cat([before, ones(batch, time, ScalarType.Bool, ids.device)], 1);
        else if (real is not null && past > 0) real = cat([cache!.Mask ?? ones(batch, past, ScalarType.Bool, ids.device), real], 1);

        Tensor? positions = null;
        // Rows that have ended stay in a decoding batch for a while and run past the last position; their output is not used.
        if (real is not null) positions = (real.cumsum(1) - 1).clamp(0, config.MaxPositions - 1).narrow(1, past, time);

        var windowed = total > slidingWindow;
        if (real is null && alibiSlopes is null && !windowed && (past == 0 || time == 1))
            return new AttentionPlan(past, time, positions, null, time > 1, real);
        if (real is not null && time == 1 && alibiSlopes is null && !windowed)
            return new AttentionPlan(past, time, positions, real.view(batch, 1, 1, total), false, real);

        var visible = ones(time, total, ScalarType.Bool, ids.device).tril(past);
        if (windowed) visible = visible.triu(past - slidingWindow!.Value + 1);
        if (real is not null)
        {
            // A padding query sees itself: a row without any visible key would be NaN.
            var self = eye(total, total, ScalarType.Bool, ids.device).narrow(0, past, time);
            visible = visible.logical_and(real.view(batch, 1, 1, total)).logical_or(self);
        }
        else
        {
            visible = visible.view(1, 1, time, total);
        }
        if (alibiSlopes is null) return new AttentionPlan(past, time, positions, visible, false, real);

        var slopes = tensor(alibiSlopes, device: ids.device).view(1, -1, 1, 1);
        var distances = real is null
            ? arange(total, ScalarType.Float32, ids.device).view(1, 1, 1, total)
            : ((real.cumsum(1) - 1) * real).to_type(ScalarType.Float32).view(batch, 1, 1, total);
        var bias = (slopes * distances).masked_fill(visible.logical_not(), float.NegativeInfinity);
        return new AttentionPlan(past, time, positions, bias, false, real);
    }

    /// <summary>Padding after the last real token is invisible to every real token already by causality.</summary>
    static bool IsRightPadded(Tensor mask)
    {
        if (mask.device_type != DeviceType.CPU) return false;
        using var scope = NewDisposeScope();
        var flags = mask.to_type(ScalarType.Bool).contiguous();
        var values = TensorMemory.Span<bool>(flags);
        var time = (int)mask.shape[1];
        for (var row = 0; row < values.Length; row += time)
        {
            var firstPadding = values.Slice(row, time).IndexOf(false);
            if (firstPadding >= 0 && values.Slice(row + firstPadding, time - firstPadding).Contains(true)) return false;
        }
        return true;
    }
}
