using Labeling.Core.Features.Demonstrations;
using Labeling.Core.Features.People;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Labeling.Core.Tests.Features.Tasks;

public sealed class LeaseTests : InWorld
{
    private Actor _ann, _bob;
    private Guid _project;

    private async Task<ClaimedTask> AnnHoldsATaskAsync(int overlap = 1)
    {
        (_ann, _bob) = (await World.PersonAsync(name: "ann"), await World.PersonAsync(name: "bob"));
        _project = await World.ProjectAsync();
        await World.DemonstrationTasksAsync(_project, 1, overlap);
        return (await World.ClaimAsync(_ann, _project))!;
    }

    private Task<SavedDraft> SaveAsync(ClaimedTask claim, int basedOn, string text) => World.DoAsync(new SaveDraft(_ann, claim.AssignmentId, basedOn, text));

    [Fact]
    public async Task A_draft_comes_back_and_renews_the_lease()
    {
        var claim = await AnnHoldsATaskAsync();
        var first = await SaveAsync(claim, 0, "Hello");
        var second = await SaveAsync(claim, first.Version, "Hello, wörld\r\n\t");
        Assert.Equal((1, 2), (first.Version, second.Version));
        Assert.True(second.ExpiresAt > claim.ExpiresAt);
        var view = await World.DoAsync(new GetAssignment(_ann, claim.AssignmentId));
        Assert.Equal(("Hello, wörld\r\n\t", 2, second.SavedAt), (view.Draft, view.DraftVersion, view.DraftSavedAt));
        Assert.True((await World.DoAsync(new GetQueue(_ann))).Mine.Single().HasDraft);
    }

    [Fact]
    public async Task A_second_tab_is_shown_what_the_first_saved_and_overwrites_nothing()
    {
        var claim = await AnnHoldsATaskAsync();
        await SaveAsync(claim, 0, "first tab");
        var conflict = await SaveAsync(claim, 0, "second tab");
        Assert.Equal((true, "first tab", 1), (conflict.Conflict, conflict.StoredText, conflict.Version));
        Assert.Equal("first tab", (await World.DoAsync(new GetAssignment(_ann, claim.AssignmentId))).Draft);
        Assert.False((await SaveAsync(claim, 1, "both")).Conflict);
    }

    [Fact]
    public async Task A_save_sent_twice_is_saved_once_and_no_conflict()
    {
        var claim = await AnnHoldsATaskAsync();
        var saves = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => SaveAsync(claim, 0, "the same")));
        Assert.All(saves, s => Assert.Equal((1, false), (s.Version, s.Conflict)));
    }

    [Fact]
    public async Task Of_eight_different_saves_at_once_one_wins_and_seven_are_told()
    {
        var claim = await AnnHoldsATaskAsync();
        var saves = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => SaveAsync(claim, 0, $"tab {i}")));
        Assert.Equal(1, saves.Count(s => !s.Conflict));
        var stored = (await World.DoAsync(new GetAssignment(_ann, claim.AssignmentId))).Draft;
        Assert.All(saves.Where(s => s.Conflict), s => Assert.Equal(stored, s.StoredText));
    }

    [Fact]
    public async Task A_draft_may_be_longer_than_a_submission_so_that_it_can_be_shortened()
    {
        var claim = await AnnHoldsATaskAsync();
        var text = new string('x', 250_000);
        await SaveAsync(claim, 0, text);
        Assert.Equal(text, (await World.DoAsync(new GetAssignment(_ann, claim.AssignmentId))).Draft);
        await World.RefusedAsync(new SubmitDemonstration(_ann, Guid.CreateVersion7(), claim.AssignmentId, text), ProblemKind.Invalid, "text");
    }

    [Fact]
    public async Task Only_the_holder_may_see_save_renew_skip_or_submit()
    {
        var claim = await AnnHoldsATaskAsync();
        await World.RefusedAsync(new GetAssignment(_bob, claim.AssignmentId), ProblemKind.NotFound);
        await World.RefusedAsync(new SaveDraft(_bob, claim.AssignmentId, 0, "x"), ProblemKind.Forbidden, "assignmentId");
        await World.RefusedAsync(new RenewLease(_bob, claim.AssignmentId), ProblemKind.Forbidden, "assignmentId");
        await World.RefusedAsync(new SkipAssignment(_bob, claim.AssignmentId, "x"), ProblemKind.Forbidden, "assignmentId");
        await World.RefusedAsync(new SubmitDemonstration(_bob, Guid.CreateVersion7(), claim.AssignmentId, "x"), ProblemKind.Forbidden, "assignmentId");
        await World.RefusedAsync(new RenewLease(_ann, Guid.NewGuid()), ProblemKind.NotFound);
    }

    [Fact]
    public async Task A_lapsed_task_is_taken_up_again_while_it_has_room()
    {
        var claim = await AnnHoldsATaskAsync(overlap: 2);
        await SaveAsync(claim, 0, "so far");
        await World.LapseAsync(claim.AssignmentId);
        await World.ClaimAsync(_bob, _project); // notices the lapse, takes a slot
        var mine = (await World.DoAsync(new GetQueue(_ann))).Mine.Single();
        Assert.True(mine.Lapsed && mine.HasDraft);
        Assert.True(await World.DoAsync(new RenewLease(_ann, claim.AssignmentId)) > claim.ExpiresAt);
        Assert.False((await World.DoAsync(new GetQueue(_ann))).Mine.Single().Lapsed);
        Assert.Equal(2L, await World.ScalarAsync<long>("select count(*) from assignments where state = 'active'"));
    }

    [Fact]
    public async Task When_others_have_taken_a_lapsed_task_drafts_and_late_work_are_still_kept()
    {
        var claim = await AnnHoldsATaskAsync();
        await World.LapseAsync(claim.AssignmentId);
        var bobs = (await World.ClaimAsync(_bob, _project))!;
        await World.RefusedAsync(new RenewLease(_ann, claim.AssignmentId), ProblemKind.Conflict);
        Assert.Equal(1, (await SaveAsync(claim, 0, "late")).Version);
        var late = await World.DoAsync(new SubmitDemonstration(_ann, Guid.CreateVersion7(), claim.AssignmentId, "late text"));
        var counted = await World.DoAsync(new SubmitDemonstration(_bob, Guid.CreateVersion7(), bobs.AssignmentId, "in time"));
        Assert.Equal((true, false), (late.Surplus, counted.Surplus));
        var texts = await World.QueryAsync(db => db.Completions.OrderBy(c => c.Text).Select(c => new { c.Text, c.Surplus }).ToListAsync());
        Assert.Equal([("in time", false), ("late text", true)], texts.Select(t => (t.Text, t.Surplus)));
        Assert.Equal(2, (await World.DoAsync(new GetQueue(_ann))).FinishedEver + (await World.DoAsync(new GetQueue(_bob))).FinishedToday);
    }

    [Fact]
    public async Task Late_work_counts_when_nobody_else_has_taken_the_task()
    {
        var claim = await AnnHoldsATaskAsync();
        await World.LapseAsync(claim.AssignmentId);
        Assert.False((await World.DoAsync(new SubmitDemonstration(_ann, Guid.CreateVersion7(), claim.AssignmentId, "late"))).Surplus);
        Assert.Equal("done", await World.ScalarAsync<string>("select state from tasks"));
        Assert.Null(await World.ClaimAsync(_bob, _project));
    }

    [Fact]
    public async Task A_task_given_back_goes_to_another_with_its_reason_kept_and_never_to_the_same_person()
    {
        var claim = await AnnHoldsATaskAsync();
        await World.RefusedAsync(new SkipAssignment(_ann, claim.AssignmentId, " "), ProblemKind.Invalid, "reason");
        await World.DoAsync(new SkipAssignment(_ann, claim.AssignmentId, "I do not know this field."));
        await World.DoAsync(new SkipAssignment(_ann, claim.AssignmentId, "sent again"));
        Assert.Equal("I do not know this field.", await World.ScalarAsync<string>("select skip_reason from assignments"));
        Assert.Null(await World.ClaimAsync(_ann, _project));
        await World.RefusedAsync(new SubmitDemonstration(_ann, Guid.CreateVersion7(), claim.AssignmentId, "x"), ProblemKind.Conflict, "assignmentId");
        Assert.Equal(claim.TaskId, (await World.ClaimAsync(_bob, _project))!.TaskId);
    }

    [Fact]
    public async Task Shutting_a_person_out_ends_their_leases_and_keeps_their_labels()
    {
        var claim = await AnnHoldsATaskAsync();
        var admin = await World.PersonAsync(Roles.Admin);
        await SaveAsync(claim, 0, "unfinished");
        await World.DoAsync(new SetDisabled(admin, _ann.UserId!.Value, true));
        await World.RefusedAsync(new GetQueue(_ann), ProblemKind.Forbidden);
        Assert.Equal(claim.TaskId, (await World.ClaimAsync(_bob, _project))!.TaskId);
        await World.DoAsync(new SetDisabled(admin, _ann.UserId!.Value, false));
        Assert.Equal("unfinished", (await World.DoAsync(new GetAssignment(_ann, claim.AssignmentId))).Draft);
    }

    [Fact]
    public async Task The_tables_themselves_refuse_a_slot_too_many_a_second_holder_and_a_state_without_its_time()
    {
        var claim = await AnnHoldsATaskAsync();
        const string insert = "insert into assignments (id, task_id, user_id, state, overlap, slot, lease_token, expires_at, draft_version) values (gen_random_uuid(), $1, $2, 'active', $3, $4, gen_random_uuid(), now(), 0)";
        var (task, bob) = (claim.TaskId, _bob.UserId!.Value);
        async Task RefusedBy(string constraint, string sql, params object[] values) =>
            Assert.Equal(constraint, (await Assert.ThrowsAsync<PostgresException>(() => World.SqlAsync(sql, values))).ConstraintName);
        await RefusedBy("ix_assignments_task_id_slot", insert, task, bob, 1, 1);
        await RefusedBy("ck_assignments_slot", insert, task, bob, 1, 2);
        await RefusedBy("fk_assignments_tasks_task_id_overlap", insert, task, bob, 2, 2);
        await RefusedBy("ix_assignments_task_id_user_id", insert.Replace("'active'", "'lapsed'").Replace("$4", "nullif($4, 1)"), task, _ann.UserId!.Value, 1, 1);
        await RefusedBy("ck_assignments_finished_at", "update assignments set state = 'submitted'");
        await RefusedBy("ck_assignments_slot_held", "update assignments set state = 'lapsed'");
        await RefusedBy("ck_tasks_counts", "update tasks set taken = 2");
        await RefusedBy("ck_tasks_done", "update tasks set state = 'done'");
        await RefusedBy("ck_tasks_state", "update tasks set state = 'stuck'");
    }
}
