using Labeling.Core.Features.Demonstrations;
using Labeling.Core.Features.Projects;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Testing;
using Npgsql;

namespace Labeling.Core.Tests.Pipeline;

public sealed class RetryTests : InWorld
{
    [Fact]
    public async Task A_connection_lost_in_the_middle_of_a_submission_is_not_the_persons_problem()
    {
        var (ann, project) = (await World.PersonAsync(), await World.ProjectAsync());
        await World.DemonstrationTasksAsync(project, 1);
        var claim = (await World.ClaimAsync(ann, project))!;
        await using var connection = new NpgsqlConnection(World.ConnectionString);
        await connection.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using (var hold = new NpgsqlCommand("select 1 from tasks for update", connection, transaction)) await hold.ExecuteNonQueryAsync();
        var submission = World.SendAsync(new SubmitDemonstration(ann, Guid.CreateVersion7(), claim.AssignmentId, "Mine"));

        // Kill the connection that waits for the lock, then let go.
        await using var kill = new NpgsqlCommand(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'", connection, transaction);
        while ((long)(await kill.ExecuteScalarAsync())! == 0) await Task.Yield();
        await transaction.CommitAsync();
        Assert.True((await submission).Ok);
        Assert.Equal(1L, await World.ScalarAsync<long>("select count(*) from completions"));
    }

    [Fact]
    public async Task An_answer_lost_after_the_commit_is_given_again()
    {
        // The row is there, the sender does not know: exactly what a second try must cope with.
        var create = new CreateProject(Actor.System, Guid.CreateVersion7(), "P", "", "", new ProjectRules());
        await World.DoAsync(create);
        Assert.Equal(create.Id, await World.DoAsync(create));
        Assert.Equal(1L, await World.ScalarAsync<long>("select count(*) from guideline_versions"));
    }

    [Fact]
    public async Task Work_goes_on_after_the_database_was_killed_and_started_again()
    {
        await using var server = await PostgresServer.StartAsync();
        await using var world = await World.CreateAsync(server: server);
        var (ann, project) = (await world.PersonAsync(), await world.ProjectAsync());
        await world.DemonstrationTasksAsync(project, 2);
        var claim = (await world.ClaimAsync(ann, project))!;
        await world.DoAsync(new SaveDraft(ann, claim.AssignmentId, 0, "typed before"));
        await server.KillAsync();
        await server.RestartAsync();
        Assert.Equal("typed before", (await world.DoAsync(new GetAssignment(ann, claim.AssignmentId))).Draft);
        await world.DoAsync(new SubmitDemonstration(ann, Guid.CreateVersion7(), claim.AssignmentId, "typed before and after"));
        Assert.Equal(TaskState.Done.ToString().ToLowerInvariant(), await world.ScalarAsync<string>("select state from tasks where id = $1", claim.TaskId));
    }
}
