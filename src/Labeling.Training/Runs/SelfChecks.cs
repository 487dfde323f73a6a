using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Native;
using static TorchSharp.torch;

namespace Labeling.Training.Runs;

/// <summary>
/// Looks at a few short rows in several ways that must give the same: one by one, together, with more padding, with the padding on the
/// other side, with an end token inside. A model or a collation that reads padding, or the wrong token, is found here and not after days.
/// </summary>
internal static class SelfChecks
{
    /// <summary>Relative difference that rounding explains.</summary>
    private const double Tolerance = 1e-3;

    /// <summary>Lengths of the rows that are looked at; the most padded batch of them is one longer.</summary>
    private static readonly int[] Lengths = [3, 5, 7];

    /// <summary>Checks the language-model loss.</summary>
    /// <param name="model">Its gradients are dropped.</param>
    /// <param name="ids">Some real tokens.</param>
    /// <param name="eosId">Put inside the rows.</param>
    /// <param name="padId">Fills unused places.</param>
    /// <exception cref="SelfCheckException">Two ways differ.</exception>
    public static void Padding(CausalLm model, IReadOnlyList<int> ids, int eosId, int padId)
    {
        var rows = Rows(ids, eosId);
        Same("the language model's loss", model.Config, model.Trainable, [
            ("each row alone", () => rows.Select(r => Collated([r])).Aggregate((a, b) => a + b)),
            ("all rows together", () => Collated(rows)),
            ("more padding on the right", () => Masked(Lengths[^1] + 1, left: false)),
            ("padding on the left", () => Masked(Lengths[^1] + 2, left: true))]);

        Tensor Collated(IReadOnlyList<int[]> some)
        {
            var sequences = some.Select(r => new Sequence(r, 1)).ToList();
            return nn.functional.cross_entropy(TokenBatch.Logits(model, sequences, padId), TokenBatch.Targets(sequences), reduction: nn.Reduction.Sum);
        }

        Tensor Masked(int time, bool left)
        {
            var (placed, mask) = Place(rows, time, left, padId);
            var hidden = model.Hidden(placed, mask);
            var (from, targets) = (Positions(rows, time, left, drop: 1), TokenBatch.Targets([.. rows.Select(r => new Sequence(r, 1))]));
            return nn.functional.cross_entropy(model.Logits(hidden.reshape(-1, hidden.shape[2]).index_select(0, from)), targets, reduction: nn.Reduction.Sum);
        }
    }

    /// <summary>Checks the score at the last token.</summary>
    /// <inheritdoc cref="Padding(CausalLm, IReadOnlyList{int}, int, int)"/>
    public static void Padding(RewardModel model, IReadOnlyList<int> ids, int eosId, int padId)
    {
        var rows = Rows(ids, eosId);
        Same("the reward model's score", model.Config, model.Trainable, [
            ("each row alone", () => rows.Select(r => model.Rewards(TokenBatch.Ids([r], padId)).sum()).Aggregate((a, b) => a + b)),
            ("all rows together", () => model.Rewards(TokenBatch.Ids(rows, padId), TokenBatch.Mask(rows)).sum()),
            ("more padding on the right", () => Placed(Lengths[^1] + 1, left: false)),
            ("padding on the left", () => Placed(Lengths[^1] + 2, left: true))]);

        Tensor Placed(int time, bool left)
        {
            var (placed, mask) = Place(rows, time, left, padId);
            return model.Rewards(placed, mask).sum();
        }
    }

    /// <summary>Checks the values of all tokens.</summary>
    /// <inheritdoc cref="Padding(CausalLm, IReadOnlyList{int}, int, int)"/>
    public static void Padding(ValueModel model, IReadOnlyList<int> ids, int eosId, int padId)
    {
        var rows = Rows(ids, eosId);
        Same("the value model's values", model.Config, model.Trainable, [
            ("each row alone", () => rows.Select(r => model.Values(TokenBatch.Ids([r], padId)).square().sum()).Aggregate((a, b) => a + b)),
            ("all rows together", () => Placed(Lengths[^1], left: false)),
            ("more padding on the right", () => Placed(Lengths[^1] + 1, left: false)),
            ("padding on the left", () => Placed(Lengths[^1] + 2, left: true))]);

        Tensor Placed(int time, bool left)
        {
            var (placed, mask) = Place(rows, time, left, padId);
            return model.Values(placed, mask).reshape(-1).index_select(0, Positions(rows, time, left, drop: 0)).square().sum();
        }
    }

    /// <summary>Compares the loss and the gradients of several ways to compute one thing with those of the first way.</summary>
    /// <exception cref="SelfCheckException">One differs by more than rounding.</exception>
    public static void Same(string what, ModelConfig config, IReadOnlyDictionary<string, Tensor> parameters, IReadOnlyList<(string How, Func<Tensor> Loss)> ways)
    {
        if (config.MaxPositions <= Lengths[^1])
        {
            return;
        }
        using var scope = NewDisposeScope();
        var first = Compute(ways[0].Loss, parameters);
        if (!double.IsFinite(first.Loss))
        {
            return; // A broken model is named by whoever looks at its weights.
        }
        foreach (var (how, compute) in ways.Skip(1))
        {
            using var inner = NewDisposeScope();
            var (loss, gradients) = Compute(compute, parameters);
            var gap = Math.Abs(loss - first.Loss) / (1 + Math.Abs(first.Loss));
            if (!(gap <= Tolerance))
            {
                throw Different($"{first.Loss:G6} and {loss:G6}", how);
            }
            var size = Math.Sqrt(first.Gradients.Values.Sum(g => g.square().sum().item<float>()));
            var distance = Math.Sqrt(gradients.Sum(g => (g.Value - first.Gradients[g.Key]).square().sum().item<float>()));
            if (!(distance <= Tolerance * (1e-3 + size)))
            {
                throw Different($"gradients that are {distance:G3} apart at a length of {size:G3}", how);
            }
        }

        SelfCheckException Different(FormattableString numbers, string how) =>
            new(FormattableString.Invariant($"Self-check: {what} must not depend on how rows are batched and padded, but '{ways[0].How}' and '{how}' give {FormattableString.Invariant(numbers)}. This is a defect of the trainer, not of your data."));
    }

    private static (double Loss, Dictionary<string, Tensor> Gradients) Compute(Func<Tensor> compute, IReadOnlyDictionary<string, Tensor> parameters)
    {
        var loss = compute();
        if (loss.requires_grad)
        {
            AutogradFunction.RunBackward(loss);
        }
        foreach (var parameter in parameters.Values)
        {
            BFloat16Weight.Settle(parameter);
        }
        var gradients = parameters.Select(p => (p.Key, Gradient: p.Value.grad)).Where(p => p.Gradient is not null).ToDictionary(p => p.Key, p => p.Gradient!.clone());
        foreach (var parameter in parameters.Values)
        {
            parameter.grad = null;
        }
        return (loss.item<float>(), gradients);
    }

    /// <summary>Rows of the fixed lengths from real tokens, each with an end token inside.</summary>
    private static List<int[]> Rows(IReadOnlyList<int> ids, int eosId) =>
        [.. Lengths.Select((length, row) => Enumerable.Range(0, length).Select(t => t == length / 2 ? eosId : ids[(t + row) % ids.Count]).ToArray())];

    private static (Tensor Ids, Tensor Mask) Place(List<int[]> rows, int time, bool left, int padId)
    {
        var ids = Enumerable.Repeat((long)padId, rows.Count * time).ToArray();
        var mask = new bool[ids.Length];
        for (var r = 0; r < rows.Count; r++)
        {
            var from = (r * time) + (left ? time - rows[r].Length : 0);
            for (var t = 0; t < rows[r].Length; t++)
            {
                (ids[from + t], mask[from + t]) = (rows[r][t], true);
            }
        }
        return (tensor(ids, [rows.Count, time]), tensor(mask, [rows.Count, time]));
    }

    /// <summary>Flat positions of the rows' real tokens without the last <paramref name="drop"/> of each.</summary>
    private static Tensor Positions(List<int[]> rows, int time, bool left, int drop) =>
        tensor(rows.SelectMany((row, r) => Enumerable.Range(0, row.Length - drop).Select(t => (long)(r * time) + (left ? time - row.Length : 0) + t)).ToArray());
}
