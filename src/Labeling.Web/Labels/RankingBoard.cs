using Labeling.Core.Features.Rankings;
using Labeling.Core.Model;

namespace Labeling.Web.Labels;

/// <summary>
/// Where each answer of one ranking stands: as many places as answers, 1 is best, answers at the same place are tied, places may stay empty.
/// Every change can be undone.
/// </summary>
public sealed class RankingBoard
{
    private readonly Stack<int?[]> _history = new();
    private readonly int?[] _places;

    public RankingBoard(IReadOnlyList<Guid> shown)
    {
        Shown = shown;
        _places = new int?[shown.Count];
    }

    /// <summary>The answers in the order they are on the screen.</summary>
    public IReadOnlyList<Guid> Shown { get; }

    public int Count => Shown.Count;

    public bool NoneAcceptable { get; set; }

    public int? Strength { get; set; }

    public Dictionary<Guid, AnswerRating> Ratings { get; } = [];

    public bool CanUndo => _history.Count > 0;

    public IEnumerable<Guid> Unplaced => Shown.Where(id => PlaceOf(id) is null);

    /// <summary>What stands between the person and submitting, in words; null when nothing does.</summary>
    public string? Missing
    {
        get
        {
            var left = Unplaced.Select(LetterOf).ToList();
            return left.Count == 0 || NoneAcceptable
                ? null
                : left.Count == Count
                    ? "Give every answer a place, or say that none is acceptable."
                    : $"Still without a place: {string.Join(", ", left)}.";
        }
    }

    public int? PlaceOf(Guid answer) => _places[IndexOf(answer)];

    public IReadOnlyList<Guid> At(int place) => [.. Shown.Where(id => PlaceOf(id) == place)];

    /// <summary>The answers are called A, B, C... on the screen: a name that says nothing of where they come from.</summary>
    public string LetterOf(Guid answer) => ((char)('A' + IndexOf(answer))).ToString();

    /// <summary>Puts an answer at a place; whoever is there already is tied with it.</summary>
    public bool Put(Guid answer, int place) => place >= 1 && place <= Count && Change(() => _places[IndexOf(answer)] = place);

    public bool TakeOut(Guid answer) => Change(() => _places[IndexOf(answer)] = null);

    /// <summary>Gives an answer a place of its own; the others make room.</summary>
    public bool Insert(Guid answer, int place) => place >= 1 && place <= Count && Change(() =>
    {
        _places[IndexOf(answer)] = null;
        MakeRoom(place);
        _places[IndexOf(answer)] = place;
    });

    /// <summary>One step better: out of a tie first, then into an empty place, else past the answers above.</summary>
    public bool MoveUp(Guid answer) => Move(answer, -1);

    public bool MoveDown(Guid answer) => Move(answer, +1);

    /// <summary>Ties an answer with the nearest better-placed one; an unplaced answer with the last placed one.</summary>
    public bool TieWithAbove(Guid answer)
    {
        var own = PlaceOf(answer) ?? Count + 1;
        var above = _places.Where(p => p < own).Max();
        return above is { } place && Put(answer, place);
    }

    public bool Undo()
    {
        if (!_history.TryPop(out var before))
        {
            return false;
        }

        before.CopyTo(_places, 0);
        return true;
    }

    /// <summary>The weak order with dense ranks (1, 1, 2). When none is acceptable, answers without a place share the last one.</summary>
    public IReadOnlyList<RankedAnswer> Ranks()
    {
        var used = _places.Select(p => p ?? Count + 1).Distinct().Order().ToList();
        return [.. Shown.Select((id, i) => new RankedAnswer(id, used.IndexOf(_places[i] ?? Count + 1) + 1))];
    }

    public void Rate(Guid answer, int? quality) => Ratings[answer] = RatingOf(answer) with { Quality = quality };

    public void Flag(Guid answer, CompletionFlags flag, bool on)
    {
        var rating = RatingOf(answer);
        Ratings[answer] = rating with { Flags = on ? rating.Flags | flag : rating.Flags & ~flag };
    }

    public AnswerRating RatingOf(Guid answer) => Ratings.GetValueOrDefault(answer) ?? new AnswerRating(answer, null, CompletionFlags.None);

    /// <summary>Places without history, e.g. from a draft. What does not fit is left out.</summary>
    internal void Restore(Guid answer, int? place)
    {
        var index = Shown.ToList().IndexOf(answer);
        if (index >= 0 && (place is null || (place >= 1 && place <= Count)))
        {
            _places[index] = place;
        }
    }

    private bool Move(Guid answer, int step)
    {
        if (PlaceOf(answer) is not { } own)
        {
            // From outside the board the way leads to its end: the first free place after the last one in use.
            return Put(answer, Math.Min(Count, (_places.Max() ?? 0) + 1));
        }

        var target = own + step;
        if (At(own).Count > 1)
        {
            return step < 0 ? Insert(answer, own) : Insert(answer, Math.Min(target, Count));
        }

        return target >= 1 && target <= Count && Change(() =>
        {
            foreach (var passed in At(target))
            {
                _places[IndexOf(passed)] = own;
            }

            _places[IndexOf(answer)] = target;
        });
    }

    /// <summary>Empties a place by moving it and what follows one place down as far as needed, or up when there is no free place below.</summary>
    private void MakeRoom(int place)
    {
        var free = Enumerable.Range(place, Count - place + 1).Where(p => At(p).Count == 0).DefaultIfEmpty(0).First();
        var step = 1;
        if (free == 0)
        {
            free = Enumerable.Range(1, place - 1).Last(p => At(p).Count == 0);
            step = -1;
        }

        for (var i = 0; i < Count; i++)
        {
            if (step > 0 ? _places[i] >= place && _places[i] < free : _places[i] <= place && _places[i] > free)
            {
                _places[i] += step;
            }
        }
    }

    private bool Change(Action change)
    {
        var before = (int?[])_places.Clone();
        change();
        if (before.SequenceEqual(_places))
        {
            return false;
        }

        _history.Push(before);
        return true;
    }

    private int IndexOf(Guid answer)
    {
        for (var i = 0; i < Shown.Count; i++)
        {
            if (Shown[i] == answer)
            {
                return i;
            }
        }

        throw new ArgumentException("The answer is not part of this ranking.", nameof(answer));
    }
}
