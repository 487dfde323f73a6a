using Labeling.Training.Models;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.Data;

/// <summary>log π(answer | prompt) of whole answers: the sum over their tokens, the end token included.</summary>
internal static class AnswerLogProbs
{
    /// <summary>With gradients. [sequences].</summary>
    public static Tensor Sums(CausalLm model, IReadOnlyList<Sequence> rows, int padId, Dropout? dropout = null)
    {
        using var scope = NewDisposeScope();
        var logProbs = TokenBatch.LogProbs(TokenBatch.Logits(model, rows, padId, dropout), TokenBatch.Targets(rows));
        var owners = tensor(rows.SelectMany((r, i) => Enumerable.Repeat((long)i, r.Supervised)).ToArray());
        return zeros(rows.Count).index_add(0, owners, logProbs, 1).MoveToOuterDisposeScope();
    }

    /// <summary>Of all rows, without gradients; see <see cref="PerToken"/>.</summary>
    public static float[] Of(CausalLm model, IReadOnlyList<Sequence> rows, int batchSize, int padId, CancellationToken stop = default) =>
        [.. PerToken(model, rows, batchSize, padId, stop).Select(tokens => (float)tokens.Sum(p => (double)p))];

    /// <summary>
    /// Log-probability of every supervised token of all rows, without gradients, in batches of similar length. Which rows share a batch depends on the
    /// rows alone, so a resumed run gets the very same numbers.
    /// </summary>
    /// <exception cref="RunStoppedException">Asked to stop.</exception>
    public static float[][] PerToken(CausalLm model, IReadOnlyList<Sequence> rows, int batchSize, int padId, CancellationToken stop = default)
    {
        using var frozen = no_grad();
        var tokens = new float[rows.Count][];
        foreach (var indices in BatchPlan.InOrderOfLength([.. rows.Select(r => r.Ids.Length)], batchSize))
        {
            if (stop.IsCancellationRequested)
            {
                throw new RunStoppedException("Stopped before the first step of this start; the same command goes on from the newest checkpoint.");
            }
            using var scope = NewDisposeScope();
            var batch = indices.Select(i => rows[i]).ToList();
            var values = NextTokenLoss.Evaluate(model, batch, padId).Losses.neg_().cpu().data<float>().ToArray();
            var at = 0;
            foreach (var i in indices)
            {
                tokens[i] = values[at..(at += rows[i].Supervised)];
            }
        }
        return tokens;
    }
}
