using System.Text.Json;
using Labeling.Core.Features.Rankings;
using Labeling.Core.Model;

namespace Labeling.Web.Labels;

/// <summary>A half-done ranking as JSON: what a draft holds. Notes are the browser's part and travel beside it.</summary>
public sealed record RankingDraft(
    IReadOnlyDictionary<Guid, int> Places, int? Strength = null, bool NoneAcceptable = false, IReadOnlyList<RankingDraft.Rating>? Ratings = null, string? Notes = null)
{
    public sealed record Rating(Guid Answer, int? Quality, int Flags);

    public static RankingDraft Of(RankingBoard board) => new(
        board.Shown.Where(id => board.PlaceOf(id) is not null).ToDictionary(id => id, id => board.PlaceOf(id)!.Value),
        board.Strength,
        board.NoneAcceptable,
        [.. board.Ratings.Values.Where(IsGiven).Select(r => new Rating(r.CompletionId, r.Quality, (int)r.Flags))]);

    /// <summary>A board from a draft. A draft that cannot be read, or names other answers, gives what it can and never fails.</summary>
    public static RankingBoard Open(string? json, IReadOnlyList<Guid> shown)
    {
        var board = new RankingBoard(shown);
        if (Parse(json) is not { } draft)
        {
            return board;
        }

        foreach (var (answer, place) in draft.Places ?? new Dictionary<Guid, int>())
        {
            board.Restore(answer, place);
        }

        board.NoneAcceptable = draft.NoneAcceptable;
        board.Strength = draft.Strength is >= 1 and <= 4 ? draft.Strength : null;
        foreach (var rating in draft.Ratings ?? [])
        {
            if (shown.Contains(rating.Answer))
            {
                board.Ratings[rating.Answer] =
                    new AnswerRating(rating.Answer, rating.Quality is >= 1 and <= 7 ? rating.Quality : null, (CompletionFlags)rating.Flags & AllFlags);
            }
        }

        return board;
    }

    /// <summary>The order in words, for choosing between two versions: "1: B, 2: A = C, without a place: D".</summary>
    public static string InWords(RankingBoard board)
    {
        var parts = Enumerable.Range(1, board.Count)
            .Where(place => board.At(place).Count > 0)
            .Select(place => $"{place}: {string.Join(" = ", board.At(place).Select(board.LetterOf))}")
            .ToList();
        if (board.Unplaced.Any())
        {
            parts.Add($"without a place: {string.Join(", ", board.Unplaced.Select(board.LetterOf))}");
        }

        return string.Join("; ", parts) + (board.NoneAcceptable ? "; none acceptable" : "");
    }

    public static bool IsGiven(AnswerRating rating) => rating.Quality is not null || rating.Flags != CompletionFlags.None;

    private static readonly CompletionFlags AllFlags = Enum.GetValues<CompletionFlags>().Aggregate((a, b) => a | b);

    private static RankingDraft? Parse(string? json)
    {
        try
        {
            return string.IsNullOrWhiteSpace(json) ? null : JsonSerializer.Deserialize<RankingDraft>(json, JsonSerializerOptions.Web);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
