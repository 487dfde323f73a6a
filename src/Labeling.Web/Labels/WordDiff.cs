using DiffPlex.Chunkers;
using DiffPlex.DiffBuilder;
using DiffPlex.DiffBuilder.Model;

namespace Labeling.Web.Labels;

/// <summary>Two texts word by word: which pieces only the one has.</summary>
public static class WordDiff
{
    /// <summary>The work grows with length times difference; beyond this two long answers would hold up the server.</summary>
    public const int MaxCharacters = 40_000;

    public sealed record Piece(string Text, bool OnlyHere);

    /// <summary>Null when a text is too long to compare.</summary>
    public static (IReadOnlyList<Piece> Left, IReadOnlyList<Piece> Right)? Between(string left, string right)
    {
        if (left.Length > MaxCharacters || right.Length > MaxCharacters)
        {
            return null;
        }

        var lines = InlineDiffBuilder.Diff(left, right, ignoreWhiteSpace: false, ignoreCase: false, new WordChunker()).Lines;
        return (Side(lines, ChangeType.Deleted), Side(lines, ChangeType.Inserted));
    }

    private static List<Piece> Side(IEnumerable<DiffPiece> lines, ChangeType own)
    {
        var pieces = new List<Piece>();
        foreach (var line in lines.Where(line => line.Type == own || line.Type == ChangeType.Unchanged))
        {
            var onlyHere = line.Type == own;
            if (pieces is [.., var last] && last.OnlyHere == onlyHere)
            {
                pieces[^1] = last with { Text = last.Text + line.Text };
            }
            else
            {
                pieces.Add(new Piece(line.Text ?? "", onlyHere));
            }
        }

        return pieces;
    }
}
