using Labeling.Core.Features.Demonstrations;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Tests.Features.Demonstrations;

public sealed class SubmitDemonstrationTests : InWorld
{
    [Fact]
    public async Task Thirty_two_sends_of_one_submission_are_one()
    {
        var (ann, project) = (await World.PersonAsync(), await World.ProjectAsync());
        await World.DemonstrationTasksAsync(project, 1);
        var claim = (await World.ClaimAsync(ann, project))!;
        var id = Guid.CreateVersion7();
        var answers = await Task.WhenAll(Enumerable.Range(0, 32).Select(_ => World.DoAsync(new SubmitDemonstration(ann, id, claim.AssignmentId, "Mine", 12))));
        Assert.All(answers, a => Assert.Equal(new Submitted(id, false), a));
        var stored = await World.QueryAsync(db => db.Completions.SingleAsync());
        Assert.Equal(("Mine", 12, CompletionSource.Human, ann.UserId, claim.AssignmentId), (stored.Text, stored.SecondsSpent, stored.Source, stored.AuthorId, stored.AssignmentId));
        Assert.NotNull(stored.GuidelineVersionId);
    }

    [Fact]
    public async Task Another_text_another_id_or_anothers_id_is_refused_with_the_field_named()
    {
        var (ann, bob, project) = (await World.PersonAsync(), await World.PersonAsync(), await World.ProjectAsync());
        await World.DemonstrationTasksAsync(project, 2);
        var (anns, bobs) = ((await World.ClaimAsync(ann, project))!, (await World.ClaimAsync(bob, project))!);
        var id = Guid.CreateVersion7();
        await World.DoAsync(new SubmitDemonstration(ann, id, anns.AssignmentId, "Mine"));
        await World.RefusedAsync(new SubmitDemonstration(ann, id, anns.AssignmentId, "Other"), ProblemKind.Conflict, "text");
        await World.RefusedAsync(new SubmitDemonstration(ann, Guid.CreateVersion7(), anns.AssignmentId, "Mine"), ProblemKind.Conflict, "assignmentId");
        await World.RefusedAsync(new SubmitDemonstration(bob, id, bobs.AssignmentId, "Mine"), ProblemKind.Conflict, "id");
        await World.RefusedAsync(new SubmitDemonstration(bob, Guid.Empty, bobs.AssignmentId, "Mine"), ProblemKind.Invalid, "id");
        await World.RefusedAsync(new SubmitDemonstration(bob, Guid.CreateVersion7(), bobs.AssignmentId, ""), ProblemKind.Invalid, "text");
        await World.RefusedAsync(new SubmitDemonstration(bob, Guid.CreateVersion7(), bobs.AssignmentId, "x", -1), ProblemKind.Invalid, "secondsSpent");
        Assert.Equal(1L, await World.ScalarAsync<long>("select count(*) from completions"));
    }

    [Fact]
    public async Task A_ranking_task_takes_no_demonstration()
    {
        var (ann, bob, project) = (await World.PersonAsync(), await World.PersonAsync(), await World.ProjectAsync());
        await World.RankingTaskAsync(project, [bob, bob]);
        var claim = (await World.ClaimAsync(ann, project, TaskKind.Ranking))!;
        await World.RefusedAsync(new SubmitDemonstration(ann, Guid.CreateVersion7(), claim.AssignmentId, "x"), ProblemKind.Invalid, "assignmentId");
    }

    [Fact]
    public async Task What_the_database_cannot_hold_is_refused_before_it()
    {
        var (ann, project) = (await World.PersonAsync(), await World.ProjectAsync());
        await World.DemonstrationTasksAsync(project, 1);
        var claim = (await World.ClaimAsync(ann, project))!;
        foreach (var (text, reason) in new[] { ("a\0b", "U+0000"), ("a\ud83d", "surrogate"), ("\ude00b", "surrogate"), ("\ude00\ud83d", "surrogate") })
        {
            var problem = await World.RefusedAsync(new SubmitDemonstration(ann, Guid.CreateVersion7(), claim.AssignmentId, text), ProblemKind.Invalid, "text");
            Assert.Contains(reason, problem.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Two_hundred_thousand_characters_are_stored_byte_for_byte_and_one_more_is_refused()
    {
        var (ann, project) = (await World.PersonAsync(), await World.ProjectAsync());
        await World.DemonstrationTasksAsync(project, 1);
        var claim = (await World.ClaimAsync(ann, project))!;
        var text = " <b>&amp;</b>\u202E\u2066\u200D\uFEFF\r\n'; drop table users; --\\ {0} %s" + new string('ß', 99_900) + string.Concat(Enumerable.Repeat("👩🏽‍🚀", 30_000));
        text = string.Concat(text.EnumerateRunes().Take(199_999).Select(r => r.ToString())) + " ";
        Assert.Equal(200_000, text.EnumerateRunes().Count());
        var id = Guid.CreateVersion7();
        await World.RefusedAsync(new SubmitDemonstration(ann, id, claim.AssignmentId, text + "x"), ProblemKind.Invalid, "text");
        await World.DoAsync(new SubmitDemonstration(ann, id, claim.AssignmentId, text));
        Assert.Equal(text, await World.ScalarAsync<string>("select text from completions where id = $1", id));
    }
}
