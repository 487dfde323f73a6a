using Labeling.Core.Features.Demonstrations;
using Labeling.Core.Features.Rankings;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Tests.Features.Rankings;

public sealed class SubmitRankingTests : InWorld
{
    private Actor _ann;
    private Guid _project;
    private Guid[] _answers = [];

    private async Task<ClaimedTask> ClaimAsync(int answers = 4)
    {
        (_ann, _project) = (await World.PersonAsync(name: "ann"), await World.ProjectAsync());
        var author = await World.PersonAsync(name: "author");
        (_, _answers) = await World.RankingTaskAsync(_project, [.. Enumerable.Repeat(author, answers)], batch: "b1");
        return (await World.ClaimAsync(_ann, _project, TaskKind.Ranking))!;
    }

    private RankedAnswer[] Ranks(params int[] ranks) => [.. _answers.Zip(ranks, (id, rank) => new RankedAnswer(id, rank))];

    [Theory]
    [InlineData(new[] { 1, 2, 3, 4 }, new[] { 1, 2, 3, 4 })]
    [InlineData(new[] { 1, 1, 3, 3 }, new[] { 1, 1, 2, 2 })]
    [InlineData(new[] { 9, 5, 9, 7 }, new[] { 3, 1, 3, 2 })]
    [InlineData(new[] { 6, 6, 6, 6 }, new[] { 1, 1, 1, 1 })]
    public async Task Ties_are_kept_and_ranks_are_made_dense(int[] given, int[] stored)
    {
        var claim = await ClaimAsync();
        await World.DoAsync(new SubmitRanking(_ann, Guid.CreateVersion7(), claim.AssignmentId, Ranks(given)));
        var ranks = await World.QueryAsync(db => db.RankingEntries.ToDictionaryAsync(e => e.CompletionId, e => e.Rank));
        Assert.Equal(stored, _answers.Select(id => ranks[id]));
    }

    [Fact]
    public async Task Everything_a_ranker_says_is_kept()
    {
        var claim = await ClaimAsync(2);
        var id = Guid.CreateVersion7();
        var ratings = new[] { new AnswerRating(_answers[0], 6, CompletionFlags.None), new AnswerRating(_answers[1], null, CompletionFlags.Hallucination | CompletionFlags.HarmfulAdvice) };
        await World.DoAsync(new SubmitRanking(_ann, id, claim.AssignmentId, Ranks(2, 1), 3, true, "Both poor.\n", ratings, 95));
        var stored = await World.QueryAsync(db => db.Rankings.Include(r => r.Ratings).SingleAsync());
        Assert.Equal((id, (int?)3, true, (string?)"Both poor.\n", (int?)95, false, _ann.UserId), (stored.Id, stored.Strength, stored.NoneAcceptable, stored.Notes, stored.SecondsSpent, stored.Surplus, (Guid?)stored.UserId));
        Assert.Equal((await World.DoAsync(new GetAssignment(_ann, claim.AssignmentId))).Answers.Select(a => a.CompletionId), stored.ShownOrder);
        Assert.Equal(ratings.OrderBy(r => r.CompletionId), stored.Ratings.Select(r => new AnswerRating(r.CompletionId, r.Quality, r.Flags)).OrderBy(r => r.CompletionId));
        Assert.Equal("done", await World.ScalarAsync<string>("select state from tasks"));
    }

    [Fact]
    public async Task Exactly_the_shown_answers_must_be_ranked_and_impossible_values_are_named()
    {
        var claim = await ClaimAsync();
        SubmitRanking With(IReadOnlyList<RankedAnswer> answers, int? strength = null, IReadOnlyList<AnswerRating>? ratings = null) =>
            new(_ann, Guid.CreateVersion7(), claim.AssignmentId, answers, strength, Ratings: ratings);
        await World.RefusedAsync(With(Ranks(1, 2, 3)), ProblemKind.Invalid, "answers");
        await World.RefusedAsync(With([.. Ranks(1, 2, 3, 4), new RankedAnswer(Guid.NewGuid(), 5)]), ProblemKind.Invalid, "answers");
        await World.RefusedAsync(With([.. Ranks(1, 2, 3), new RankedAnswer(Guid.NewGuid(), 4)]), ProblemKind.Invalid, "answers");
        await World.RefusedAsync(With([.. Ranks(1, 2, 3), new RankedAnswer(_answers[0], 4)]), ProblemKind.Invalid, "answers");
        await World.RefusedAsync(With(Ranks(1, 2, 3, 0)), ProblemKind.Invalid, "answers[3].rank");
        await World.RefusedAsync(With(Ranks(1, 2, 3, 4), strength: 5), ProblemKind.Invalid, "strength");
        await World.RefusedAsync(With(Ranks(1, 2, 3, 4), ratings: [new(_answers[0], 8, 0)]), ProblemKind.Invalid, "ratings[0].quality");
        await World.RefusedAsync(With(Ranks(1, 2, 3, 4), ratings: [new(_answers[0], 1, (CompletionFlags)(1 << 20))]), ProblemKind.Invalid, "ratings[0].flags");
        await World.RefusedAsync(With(Ranks(1, 2, 3, 4), ratings: [new(_answers[0], 1, 0), new(_answers[0], 2, 0)]), ProblemKind.Invalid, "ratings");
        await World.RefusedAsync(With(Ranks(1, 2, 3, 4), ratings: [new(Guid.NewGuid(), 1, 0)]), ProblemKind.Invalid, "ratings");
        await World.RefusedAsync(With(null!), ProblemKind.Invalid, "answers");
        await World.RefusedAsync(new SubmitRanking(_ann, Guid.CreateVersion7(), claim.AssignmentId, Ranks(1, 2, 3, 4), Notes: "a\0"), ProblemKind.Invalid, "notes");
        Assert.Equal(0L, await World.ScalarAsync<long>("select count(*) from rankings"));
    }

    [Fact]
    public async Task Sixteen_sends_of_one_ranking_are_one_and_another_content_is_refused()
    {
        var claim = await ClaimAsync();
        var id = Guid.CreateVersion7();
        var send = new SubmitRanking(_ann, id, claim.AssignmentId, Ranks(1, 2, 3, 4), 2, Notes: "n", Ratings: [new(_answers[0], 7, 0)]);
        var answers = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => World.DoAsync(send)));
        Assert.All(answers, a => Assert.Equal(new Submitted(id, false), a));
        Assert.Equal(1L, await World.ScalarAsync<long>("select count(*) from rankings"));
        await World.DoAsync(send with { Answers = Ranks(10, 20, 30, 40) }); // the same order in other numbers
        await World.RefusedAsync(send with { Answers = Ranks(2, 1, 3, 4) }, ProblemKind.Conflict, "answers");
        await World.RefusedAsync(send with { Strength = 1 }, ProblemKind.Conflict, "strength");
        await World.RefusedAsync(send with { Notes = null }, ProblemKind.Conflict, "notes");
        await World.RefusedAsync(send with { NoneAcceptable = true }, ProblemKind.Conflict, "noneAcceptable");
        await World.RefusedAsync(send with { Ratings = null }, ProblemKind.Conflict, "ratings");
        await World.RefusedAsync(send with { Id = Guid.CreateVersion7() }, ProblemKind.Conflict, "assignmentId");
    }

    [Fact]
    public async Task A_demonstration_task_takes_no_ranking()
    {
        await ClaimAsync();
        await World.DemonstrationTasksAsync(_project, 1);
        var claim = (await World.ClaimAsync(_ann, _project))!;
        await World.RefusedAsync(new SubmitRanking(_ann, Guid.CreateVersion7(), claim.AssignmentId, Ranks(1, 2, 3, 4)), ProblemKind.Invalid, "assignmentId");
    }

    [Fact]
    public async Task An_admin_reads_finished_rankings_page_by_page()
    {
        var claim = await ClaimAsync(2);
        await World.DoAsync(new SubmitRanking(_ann, Guid.CreateVersion7(), claim.AssignmentId, Ranks(2, 1)));
        var (admin, author) = (await World.PersonAsync(Roles.Admin), await World.PersonAsync());
        for (var i = 0; i < 4; i++)
        {
            var (_, answers) = await World.RankingTaskAsync(_project, [author, author]);
            var next = (await World.ClaimAsync(_ann, _project, TaskKind.Ranking))!;
            await World.DoAsync(new SubmitRanking(_ann, Guid.CreateVersion7(), next.AssignmentId, [.. answers.Select(a => new RankedAnswer(a, 1))]));
        }

        var batch = await World.DoAsync(new ListRankings(admin, _project, "b1"));
        var only = Assert.Single(batch.Items);
        Assert.Equal(("ann", claim.TaskId, false), (only.Labeler, only.TaskId, only.Surplus));
        Assert.Equal([(_answers[1], 1, "Answer 1"), (_answers[0], 2, "Answer 0")], only.Answers.Select(a => (a.CompletionId, a.Rank, a.Text)));
        Assert.Equal([1, 2], only.Answers.Select(a => a.Shown).Order());

        var seen = new List<Guid>();
        string? after = null;
        do
        {
            var page = await World.DoAsync(new ListRankings(admin, _project, After: after, Size: 2));
            Assert.InRange(page.Items.Count, 1, 2);
            seen.AddRange(page.Items.Select(r => r.Id));
            after = page.Next;
        }
        while (after is not null);
        Assert.Equal(5, seen.Distinct().Count());
        Assert.Equal(5, seen.Count);
        await World.RefusedAsync(new ListRankings(_ann, _project), ProblemKind.Forbidden);
    }
}
