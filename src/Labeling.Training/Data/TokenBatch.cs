using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Training.Data;

/// <summary>A sequence and where its supervised part begins.</summary>
/// <param name="Ids">All tokens.</param>
/// <param name="From">First position that is predicted (1 for plain text, the answer's first token in a conversation).</param>
public readonly record struct Sequence(int[] Ids, int From)
{
    /// <summary>The predicted positions, ascending, where there are gaps between them (a conversation's assistant turns); null when it is all from <see cref="From"/> on.</summary>
    public int[]? Only { get; init; }

    /// <summary>Number of predicted tokens.</summary>
    public int Supervised => Only?.Length ?? Ids.Length - From;

    /// <summary>The predicted positions, ascending.</summary>
    public IEnumerable<int> Predicted => Only ?? Enumerable.Range(From, Ids.Length - From);
}

/// <summary>
/// Collation: sequences padded on the right. Behind a causal model's last real token padding changes nothing, so language models need no
/// mask unless the length of a row counts; scores are taken at positions known from the lengths, never by looking for a padding id.
/// </summary>
internal static class TokenBatch
{
    /// <summary>Token ids, int64 [batch, time]; the longest row gives the time where none is given.</summary>
    public static Tensor Ids(IReadOnlyList<int[]> rows, int padId, int? padTo = null)
    {
        var time = padTo ?? rows.Max(r => r.Length);
        var flat = new long[rows.Count * time];
        for (var r = 0; r < rows.Count; r++)
        {
            for (var t = 0; t < time; t++)
            {
                flat[(r * time) + t] = t < rows[r].Length ? rows[r][t] : padId;
            }
        }
        return tensor(flat, [rows.Count, time]);
    }

    /// <summary>Attention mask, bool [batch, time], as <see cref="Ids"/>: true at real tokens.</summary>
    public static Tensor Mask(IReadOnlyList<int[]> rows, int? padTo = null)
    {
        var time = padTo ?? rows.Max(r => r.Length);
        var flat = new bool[rows.Count * time];
        for (var r = 0; r < rows.Count; r++)
        {
            flat.AsSpan(r * time, rows[r].Length).Fill(true);
        }
        return tensor(flat, [rows.Count, time]);
    }

    /// <summary>The <see cref="Mask"/> for a model whose rotary angles follow the length of each row; null for every other.</summary>
    public static Tensor? MaskFor(ModelConfig config, IReadOnlyList<int[]> rows, int? padTo = null) => config.AnglesFollowLength ? Mask(rows, padTo) : null;

    /// <summary>What the model reads to predict the supervised tokens: all but the last token of each row. int64 [batch, longest − 1].</summary>
    public static Tensor Inputs(IReadOnlyList<Sequence> rows, int padId) => Ids(Read(rows), padId);

    /// <summary>The mask of <see cref="Inputs"/> where the model needs one.</summary>
    public static Tensor? InputMask(ModelConfig config, IReadOnlyList<Sequence> rows) => MaskFor(config, Read(rows));

    private static List<int[]> Read(IReadOnlyList<Sequence> rows) => [.. rows.Select(r => r.Ids[..^1])];

    /// <summary>
    /// Flat positions (row · (longest − 1) + t) in <see cref="Inputs"/> that predict the supervised tokens, i.e. one before each. int64 [supervised].
    /// </summary>
    public static Tensor PredictingPositions(IReadOnlyList<Sequence> rows) => PredictingPositions(rows, rows.Max(r => r.Ids.Length) - 1);

    private static Tensor PredictingPositions(IReadOnlyList<Sequence> rows, int time) =>
        tensor(rows.SelectMany((row, r) => row.Predicted.Select(t => ((long)r * time) + t - 1)).ToArray());

    /// <summary>The supervised tokens of all rows, one after the other. int64 [supervised].</summary>
    public static Tensor Targets(IReadOnlyList<Sequence> rows) =>
        tensor(rows.SelectMany(r => r.Predicted.Select(t => (long)r.Ids[t])).ToArray());

    /// <summary>Logits of the supervised tokens only [supervised, vocabulary]: the head is the larger part of the work.</summary>
    public static Tensor Logits(CausalLm model, IReadOnlyList<Sequence> rows, int padId, Dropout? dropout = null) => model.Logits(Hidden(model, rows, padId, dropout));

    /// <summary>Hidden states that predict the supervised tokens. [supervised, hidden].</summary>
    public static Tensor Hidden(CausalLm model, IReadOnlyList<Sequence> rows, int padId, Dropout? dropout = null)
    {
        var read = Read(rows);
        var time = Time(model, read.Max(r => r.Length));
        var hidden = model.Hidden(Ids(read, padId, time), MaskFor(model.Config, read, time), dropout: dropout);
        return hidden.reshape(-1, hidden.shape[2]).index_select(0, PredictingPositions(rows, time));
    }

    /// <summary>Tokens that a row is padded to, where the longest has so many.</summary>
    public static int Time(CausalLm model, int longest) => Math.Max(longest, Math.Min(ProductSizes.Padded(model.ComputeType, longest), model.Config.MaxPositions));

    /// <summary>Log-probability of each supervised token under softmax(logits / temperature). [supervised].</summary>
    public static Tensor LogProbs(Tensor logits, Tensor targets, double temperature = 1)
    {
        var scaled = temperature == 1 ? logits : logits / temperature;
        return -nn.functional.cross_entropy(scaled, targets, reduction: nn.Reduction.None);
    }

    /// <summary>Share of supervised tokens that are the model's first choice.</summary>
    public static double Accuracy(Tensor logits, Tensor targets)
    {
        using var scope = NewDisposeScope();
        return logits.detach().argmax(1).eq(targets).sum().item<long>() / (double)targets.shape[0];
    }
}
