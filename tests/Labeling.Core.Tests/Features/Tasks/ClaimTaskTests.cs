using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;
using Npgsql;

namespace Labeling.Core.Tests.Features.Tasks;

public sealed class ClaimTaskTests : InWorld
{
    [Fact]
    public async Task A_person_gets_back_what_they_hold_before_anything_new()
    {
        var (ann, project) = (await World.PersonAsync(), await World.ProjectAsync());
        await World.DemonstrationTasksAsync(project, 3);
        var first = await World.ClaimAsync(ann, project);
        var again = await World.ClaimAsync(ann, project);
        Assert.Equal(first!.AssignmentId, again!.AssignmentId);
        Assert.Equal(first.LeaseToken, again.LeaseToken);
        Assert.True(again.ExpiresAt > first.ExpiresAt);
    }

    [Fact]
    public async Task Twenty_tabs_of_one_person_are_given_the_same_task()
    {
        var (ann, project) = (await World.PersonAsync(), await World.ProjectAsync());
        await World.DemonstrationTasksAsync(project, 30);
        var claims = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => World.ClaimAsync(ann, project)));
        Assert.Single(claims.Select(c => c!.AssignmentId).Distinct());
        Assert.Equal(1L, await World.ScalarAsync<long>("select count(*) from assignments"));
    }

    [Fact]
    public async Task Nothing_waits_when_all_is_taken_and_the_queue_says_so()
    {
        var (ann, bob, project) = (await World.PersonAsync(), await World.PersonAsync(), await World.ProjectAsync());
        await World.DemonstrationTasksAsync(project, 1);
        Assert.Equal(1, (await World.DoAsync(new GetQueue(bob))).Projects.Single().DemonstrationsWaiting);
        Assert.NotNull(await World.ClaimAsync(ann, project));
        Assert.Null(await World.ClaimAsync(bob, project));
        Assert.Equal(0, (await World.DoAsync(new GetQueue(bob))).Projects.Single().DemonstrationsWaiting);
    }

    [Fact]
    public async Task A_higher_priority_goes_first_then_the_older_task()
    {
        var project = await World.ProjectAsync();
        var tasks = await World.DemonstrationTasksAsync(project, 3);
        await World.SqlAsync("update tasks set priority = 5 where id = $1", tasks[2]);
        await World.SqlAsync("update tasks set created_at = created_at - interval '1 hour' where id = $1", tasks[1]);
        var given = new List<Guid>();
        for (var i = 0; i < 3; i++) given.Add((await World.ClaimAsync(await World.PersonAsync(), project))!.TaskId);
        Assert.Equal([tasks[2], tasks[1], tasks[0]], given);
    }

    [Fact]
    public async Task The_lease_lasts_as_long_as_the_project_says_by_the_database_clock()
    {
        var (ann, project) = (await World.PersonAsync(), await World.ProjectAsync());
        await World.SqlAsync("update projects set lease_minutes = 7");
        await World.DemonstrationTasksAsync(project, 1);
        var before = await World.ScalarAsync<DateTime>("select clock_timestamp()");
        var claim = await World.ClaimAsync(ann, project);
        var after = await World.ScalarAsync<DateTime>("select clock_timestamp()");
        Assert.InRange(claim!.ExpiresAt.UtcDateTime, before.AddMinutes(7), after.AddMinutes(7));
    }

    [Fact]
    public async Task A_lapsed_lease_frees_its_slot_for_another_and_not_for_the_same_person()
    {
        var (ann, bob, project) = (await World.PersonAsync(), await World.PersonAsync(), await World.ProjectAsync());
        await World.DemonstrationTasksAsync(project, 1);
        var lost = await World.ClaimAsync(ann, project);
        await World.LapseAsync(lost!.AssignmentId);
        var taken = await World.ClaimAsync(bob, project);
        Assert.Equal(lost.TaskId, taken!.TaskId);
        Assert.Null(await World.ClaimAsync(ann, project));
        Assert.Equal(["active", "lapsed"], await StatesAsync(lost.TaskId));
    }

    [Fact]
    public async Task A_lease_that_ran_out_unnoticed_is_renewed_when_its_person_comes_back()
    {
        var (ann, project) = (await World.PersonAsync(), await World.ProjectAsync());
        await World.DemonstrationTasksAsync(project, 1);
        var claim = await World.ClaimAsync(ann, project);
        await World.LapseAsync(claim!.AssignmentId);
        Assert.Equal(claim.AssignmentId, (await World.ClaimAsync(ann, project))!.AssignmentId);
    }

    [Fact]
    public async Task Nobody_ranks_answers_of_their_own()
    {
        var (ann, bob, project) = (await World.PersonAsync(), await World.PersonAsync(), await World.ProjectAsync());
        var stranger = await World.PersonAsync();
        await World.RankingTaskAsync(project, [ann, stranger]);
        Assert.Equal(0, (await World.DoAsync(new GetQueue(ann))).Projects.Single().RankingsWaiting);
        Assert.Null(await World.ClaimAsync(ann, project, TaskKind.Ranking));
        Assert.NotNull(await World.ClaimAsync(bob, project, TaskKind.Ranking));
    }

    [Fact]
    public async Task The_order_on_screen_is_random_stored_and_the_same_after_a_reload()
    {
        var (author, project) = (await World.PersonAsync(), await World.ProjectAsync(rankingOverlap: 20));
        var (_, answers) = await World.RankingTaskAsync(project, [.. Enumerable.Repeat(author, 5)], overlap: 20);
        var orders = new HashSet<string>();
        for (var i = 0; i < 20; i++)
        {
            var person = await World.PersonAsync();
            var claim = await World.ClaimAsync(person, project, TaskKind.Ranking);
            var shown = (await World.DoAsync(new GetAssignment(person, claim!.AssignmentId))).Answers.Select(a => a.CompletionId).ToList();
            Assert.Equal(answers.Order(), shown.Order());
            Assert.Equal(shown, (await World.DoAsync(new GetAssignment(person, claim.AssignmentId))).Answers.Select(a => a.CompletionId));
            orders.Add(string.Join(' ', shown));
        }

        // Twenty draws out of 120 orders: fewer than five different ones happens less than once in 10^20.
        Assert.InRange(orders.Count, 5, 20);
    }

    [Fact]
    public async Task Roles_decide_which_kind_a_person_may_take()
    {
        var (annotator, ranker, project) = (await World.PersonAsync(Roles.Annotator), await World.PersonAsync(Roles.Ranker), await World.ProjectAsync());
        await World.RefusedAsync(new ClaimTask(annotator, project, TaskKind.Ranking), ProblemKind.Forbidden, "kind");
        await World.RefusedAsync(new ClaimTask(ranker, project, TaskKind.Demonstration), ProblemKind.Forbidden, "kind");
        var queue = (await World.DoAsync(new GetQueue(ranker))).Projects.Single();
        Assert.Null(queue.DemonstrationsWaiting);
        Assert.Equal(0, queue.RankingsWaiting);
        await World.RefusedAsync(new ClaimTask(ranker, Guid.NewGuid(), TaskKind.Ranking), ProblemKind.NotFound);
    }

    [Fact]
    public async Task The_last_task_is_waited_for_when_somebody_is_just_touching_it()
    {
        var (bob, project) = (await World.PersonAsync(), await World.ProjectAsync());
        var task = (await World.DemonstrationTasksAsync(project, 1, overlap: 2))[0];
        await using var connection = new NpgsqlConnection(World.ConnectionString);
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var hold = new NpgsqlCommand("select 1 from tasks where id = $1 for update", connection, transaction) { Parameters = { new() { Value = task } } };
        await hold.ExecuteNonQueryAsync();
        var claim = World.ClaimAsync(bob, project);
        while (!claim.IsCompleted && await World.ScalarAsync<long>("select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'") == 0) await Task.Yield();
        Assert.False(claim.IsCompleted);
        await transaction.CommitAsync();
        Assert.Equal(task, (await claim)!.TaskId);
    }

    private Task<List<string>> StatesAsync(Guid taskId) => World.QueryAsync(async db =>
        (await db.Assignments.Where(a => a.TaskId == taskId).Select(a => a.State).ToListAsync()).Select(s => s.ToString().ToLowerInvariant()).Order().ToList());
}
