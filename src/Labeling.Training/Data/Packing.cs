using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Training.Data;

/// <summary>
/// Several sequences side by side in one row, so that short ones do not compute on padding. Attention is block-diagonal and positions begin
/// anew with each sequence, so every loss and gradient is what it would be with a row for each (Krell et al. 2021, arXiv 2107.02027).
/// </summary>
internal static class Packing
{
    /// <summary>Fills rows as long as the longest sequence: the longest first, each into the first row with room.</summary>
    public static List<List<Sequence>> Rows(IReadOnlyList<Sequence> sequences)
    {
        var capacity = sequences.Max(s => s.Ids.Length - 1);
        var rows = new List<(List<Sequence> Sequences, int Used)>();
        foreach (var sequence in sequences.OrderByDescending(s => s.Ids.Length))
        {
            var inputs = sequence.Ids.Length - 1;
            var place = rows.FindIndex(r => r.Used + inputs <= capacity);
            if (place < 0)
            {
                rows.Add(([], 0));
                place = rows.Count - 1;
            }
            rows[place].Sequences.Add(sequence);
            rows[place] = (rows[place].Sequences, rows[place].Used + inputs);
        }
        return [.. rows.Select(r => r.Sequences)];
    }

    /// <summary>Hidden states that predict the supervised tokens [supervised, hidden], in the order of the rows and of the sequences in them.</summary>
    public static Tensor Hidden(CausalLm model, IReadOnlyList<List<Sequence>> rows, int padId, Dropout? dropout = null)
    {
        var time = TokenBatch.Time(model, rows.Max(r => r.Sum(s => s.Ids.Length - 1)));
        var segments = new long[rows.Count * time];
        var positions = new List<long>();
        for (var r = 0; r < rows.Count; r++)
        {
            var at = r * time;
            for (var s = 0; s < rows[r].Count; s++)
            {
                var (start, sequence) = (at, rows[r][s]);
                // Number 0 stays with the padding at the end of a row.
                segments.AsSpan(start, sequence.Ids.Length - 1).Fill(s + 1);
                positions.AddRange(sequence.Predicted.Select(t => (long)start + t - 1));
                at += sequence.Ids.Length - 1;
            }
        }
        var ids = TokenBatch.Ids([.. rows.Select(r => r.SelectMany(s => s.Ids.SkipLast(1)).ToArray())], padId, time);
        var hidden = model.Hidden(ids, segments: tensor(segments, [rows.Count, time]), dropout: dropout);
        return hidden.reshape(-1, hidden.shape[2]).index_select(0, tensor(positions.ToArray()));
    }
}
