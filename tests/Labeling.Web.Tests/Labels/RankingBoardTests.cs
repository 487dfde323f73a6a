using Labeling.Core.Features.Rankings;
using Labeling.Core.Model;
using Labeling.Web.Labels;

namespace Labeling.Web.Tests.Labels;

public sealed class RankingBoardTests
{
    private static readonly Guid[] Ids = [.. Enumerable.Range(1, 9).Select(i => new Guid(i, 0, 0, new byte[8]))];

    private static Guid A => Ids[0];

    private static Guid B => Ids[1];

    private static Guid C => Ids[2];

    private static Guid D => Ids[3];

    private static RankingBoard Board(int count, params int[] places)
    {
        var board = new RankingBoard(Ids[..count]);
        for (var i = 0; i < places.Length; i++)
        {
            if (places[i] > 0)
            {
                board.Put(Ids[i], places[i]);
            }
        }

        return board;
    }

    private static string Places(RankingBoard board) => string.Join(' ', board.Shown.Select(id => board.PlaceOf(id)?.ToString() ?? "-"));

    private static string Ranks(RankingBoard board) => string.Join(' ', board.Ranks().Select(r => r.Rank));

    [Fact]
    public void Two_answers_at_the_same_place_are_tied()
    {
        var board = Board(3, 2, 1, 2);
        Assert.Equal([A, C], board.At(2));
        Assert.Equal("2 1 2", Ranks(board));
        Assert.Null(board.Missing);
    }

    [Fact]
    public void Ranks_leave_no_number_out() => Assert.Equal("1 2 1 3", Ranks(Board(4, 2, 3, 2, 4)));

    [Fact]
    public void An_impossible_place_changes_nothing()
    {
        var board = Board(3, 1);
        Assert.False(board.Put(B, 0));
        Assert.False(board.Put(B, 4));
        Assert.False(board.Insert(B, 4));
        Assert.Equal("1 - -", Places(board));
    }

    [Fact]
    public void Missing_names_the_answers_without_a_place()
    {
        Assert.Equal("Give every answer a place, or say that none is acceptable.", Board(3).Missing);
        Assert.Equal("Still without a place: B, C.", Board(3, 1).Missing);
    }

    [Fact]
    public void When_none_is_acceptable_answers_without_a_place_share_the_last_rank()
    {
        var board = Board(4, 0, 1);
        board.NoneAcceptable = true;
        Assert.Null(board.Missing);
        Assert.Equal("2 1 2 2", Ranks(board));
        board.TakeOut(B);
        Assert.Equal("1 1 1 1", Ranks(board));
    }

    [Theory]
    [InlineData("1 2 3", 2, "2 1 3")] // B passes A
    [InlineData("1 3 -", 2, "1 2 -")] // B goes into the empty place
    [InlineData("1 1 2", 2, "2 1 3")] // B leaves the tie: a place of its own just above
    [InlineData("1 1 1", 2, "2 1 2")]
    [InlineData("2 1 3", 2, "2 1 3")] // best already
    [InlineData("1 1 3", 3, "1 1 2")]
    [InlineData("1 1 2", 3, "2 2 1")] // past a tie as a whole
    [InlineData("1 - 2", 2, "1 3 2")] // from outside: to the end of what is placed
    public void Move_up(string before, int answer, string after) => Moves(before, after, board => board.MoveUp(Ids[answer - 1]));

    [Theory]
    [InlineData("1 2 3", 2, "1 3 2")]
    [InlineData("1 1 -", 1, "2 1 -")]
    [InlineData("1 1 2", 1, "2 1 3")]
    [InlineData("2 3 3", 2, "1 3 2")] // out of a tie at the end: the others make room upwards
    [InlineData("1 2 3", 3, "1 2 3")]
    public void Move_down(string before, int answer, string after) => Moves(before, after, board => board.MoveDown(Ids[answer - 1]));

    [Theory]
    [InlineData("1 2 3", 3, "1 2 2")]
    [InlineData("1 - 3", 3, "1 - 1")] // the nearest one above, whatever lies between
    [InlineData("1 2 -", 3, "1 2 2")] // without a place: with the last one
    [InlineData("1 2 3", 1, "1 2 3")]
    [InlineData("- - -", 1, "- - -")]
    public void Tie_with_above(string before, int answer, string after) => Moves(before, after, board => board.TieWithAbove(Ids[answer - 1]));

    [Theory]
    [InlineData("1 2 3 -", 4, 1, "2 3 4 1")] // all make room downwards
    [InlineData("1 2 4 -", 4, 2, "1 3 4 2")] // only as far as the first empty place
    [InlineData("2 3 4 -", 4, 4, "1 2 3 4")] // nothing free below: upwards
    [InlineData("1 1 2 3", 1, 1, "1 2 3 4")]
    public void Insert(string before, int answer, int place, string after) => Moves(before, after, board => board.Insert(Ids[answer - 1], place));

    [Fact]
    public void Undo_goes_back_step_by_step_and_ignores_what_changed_nothing()
    {
        var board = Board(3);
        board.Put(A, 1);
        board.Put(B, 1);
        board.Put(B, 1);
        board.MoveUp(B);
        Assert.Equal("2 1 -", Places(board));
        Assert.True(board.Undo());
        Assert.Equal("1 1 -", Places(board));
        Assert.True(board.Undo());
        Assert.Equal("1 - -", Places(board));
        Assert.True(board.Undo());
        Assert.False(board.Undo());
        Assert.Equal("- - -", Places(board));
    }

    [Fact]
    public void Any_order_of_nine_can_be_reached_and_left_by_the_arrows_alone()
    {
        var board = new RankingBoard(Ids);
        foreach (var id in Ids)
        {
            board.MoveUp(id);
        }

        Assert.Equal("1 2 3 4 5 6 7 8 9", Places(board));
        for (var round = 0; round < 8; round++)
        {
            board.MoveUp(Ids[8]);
        }

        Assert.Equal("2 3 4 5 6 7 8 9 1", Places(board));
    }

    [Fact]
    public void A_draft_gives_the_same_board_back()
    {
        var board = Board(4, 2, 1, 2);
        board.NoneAcceptable = true;
        board.Strength = 3;
        board.Rate(B, 6);
        board.Flag(B, CompletionFlags.Hallucination, true);
        board.Flag(B, CompletionFlags.ExpressesOpinion, true);
        board.Flag(B, CompletionFlags.Hallucination, false);

        var json = System.Text.Json.JsonSerializer.Serialize(RankingDraft.Of(board), System.Text.Json.JsonSerializerOptions.Web);
        var again = RankingDraft.Open(json, Ids[..4]);

        Assert.Equal("2 1 2 -", Places(again));
        Assert.True(again.NoneAcceptable);
        Assert.Equal(3, again.Strength);
        Assert.Equal(new AnswerRating(B, 6, CompletionFlags.ExpressesOpinion), again.RatingOf(B));
        Assert.Equal("1: B; 2: A = C; without a place: D; none acceptable", RankingDraft.InWords(again));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    [InlineData("not json")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"places\":null}")]
    [InlineData("{\"places\":{\"00000009-0000-0000-0000-000000000000\":1}}")] // an answer that is not shown
    [InlineData("{\"places\":{\"00000001-0000-0000-0000-000000000000\":77}}")]
    [InlineData("{\"places\":{},\"strength\":9,\"ratings\":[{\"answer\":\"00000009-0000-0000-0000-000000000000\",\"quality\":3,\"flags\":1}]}")]
    public void A_draft_that_does_not_fit_gives_an_empty_board(string? json)
    {
        var board = RankingDraft.Open(json, Ids[..3]);
        Assert.Equal("- - -", Places(board));
        Assert.Null(board.Strength);
        Assert.Empty(board.Ratings);
    }

    private static void Moves(string before, string after, Func<RankingBoard, bool> act)
    {
        var places = before.Split(' ').Select(p => p == "-" ? 0 : int.Parse(p, System.Globalization.CultureInfo.InvariantCulture)).ToArray();
        var board = Board(places.Length, places);
        var changed = act(board);
        Assert.Equal(after, Places(board));
        Assert.Equal(before != after, changed);
        if (changed)
        {
            board.Undo();
            Assert.Equal(before, Places(board));
        }
    }
}
