using System.Text;
using Labeling.Training.Data;
using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Training.Pretraining;

/// <summary>
/// Validation documents, packed once. The stream begins with an end token, so that the first token of the first document is predicted too
/// and every byte of the text is paid for.
/// </summary>
internal sealed class HeldOutText
{
    private readonly List<Sequence[]> batches;
    private readonly List<bool> ends = [];
    private readonly long bytes;

    /// <summary>Packs documents.</summary>
    /// <param name="texts">The documents.</param>
    /// <param name="encode">Text to tokens, without an end token.</param>
    /// <param name="eosId">Put between documents.</param>
    /// <param name="context">Tokens a window reads.</param>
    /// <param name="batchSize">Windows looked at together.</param>
    public HeldOutText(IReadOnlyList<string> texts, Func<string, int[]> encode, int eosId, int context, int batchSize)
    {
        var stream = new List<int> { eosId };
        foreach (var text in texts)
        {
            var ids = encode(text);
            stream.AddRange([.. ids, eosId]);
            ends.AddRange([.. Enumerable.Repeat(false, ids.Length), true]);
            bytes += Encoding.UTF8.GetByteCount(text);
        }
        batches = [.. Enumerable.Range(0, (ends.Count + context - 1) / context)
            .Select(w => new Sequence([.. stream.Skip(w * context).Take(context + 1)], 1))
            .Chunk(batchSize)];
    }

    /// <summary>
    /// Mean loss per token in nats, end tokens included, and bits per byte: what the text's own tokens cost, over the bytes of the text in UTF-8.
    /// Bytes are counted from the text and not from the tokens, so the number can be compared between any two tokenizers.
    /// </summary>
    public (double Loss, double BitsPerByte) Evaluate(CausalLm model, int padId)
    {
        using var frozen = no_grad();
        double nats = 0, textNats = 0;
        var n = 0;
        foreach (var batch in batches)
        {
            using var scope = NewDisposeScope();
            foreach (var loss in NextTokenLoss.Evaluate(model, batch, padId).Losses.cpu().data<float>())
            {
                nats += loss;
                textNats += ends[n++] ? 0 : loss;
            }
        }
        return (nats / n, textNats / Math.Log(2) / Math.Max(1, bytes));
    }
}
