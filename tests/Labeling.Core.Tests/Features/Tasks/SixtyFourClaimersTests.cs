using System.Collections.Concurrent;
using Labeling.Core.Features.Demonstrations;
using Labeling.Core.Features.Rankings;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Npgsql;

namespace Labeling.Core.Tests.Features.Tasks;

/// <summary>
/// 64 people at once on 2,000 tasks. Whoever vanishes (30 % of all claims) never comes back: the lease runs out and a new person sits down in their place.
/// A trigger writes every change of an assignment to an append-only log; the number it draws under the lock of the task gives the true order, and the
/// promises are checked against that log and against what the clients were told.
/// </summary>
public sealed class SixtyFourClaimersTests : InWorld
{
    private const int Seats = 64;

    private TaskCompletionSource _change = new(TaskCreationOptions.RunContinuationsAsynchronously);

    [Theory]
    [InlineData(TaskKind.Demonstration, 1, 2000)]
    [InlineData(TaskKind.Demonstration, 2, 2000)]
    [InlineData(TaskKind.Demonstration, 3, 2000)]
    [InlineData(TaskKind.Ranking, 2, 400)]
    public async Task No_task_is_held_or_finished_beyond_its_overlap_and_every_task_is_finished(TaskKind kind, int overlap, int count)
    {
        var project = await World.ProjectAsync();
        var people = new List<Actor>();
        for (var i = 0; i < Seats; i++) people.Add(await World.PersonAsync());
        if (kind == TaskKind.Demonstration) await World.DemonstrationTasksAsync(project, count, overlap);
        else await World.SaveAsync([.. Enumerable.Range(0, count).SelectMany(i =>
            World.NewRankingTask(project, [people[i % Seats], people[(i * 7 + 1) % Seats], people[(i * 13 + 2) % Seats]], overlap).Nouns)]);
        await World.SqlAsync(
            """
            create table history (n bigserial primary key, task_id uuid not null, user_id uuid not null, state text not null);
            create function keep() returns trigger language plpgsql as $$ begin
                if tg_op = 'INSERT' or old.state <> new.state then insert into history (task_id, user_id, state) values (new.task_id, new.user_id, new.state); end if;
                return new;
            end $$;
            create trigger keep after insert or update on assignments for each row execute function keep();
            """);

        var told = new ConcurrentBag<(Guid Task, Guid Person)>();
        var vanished = 0;
        using var failure = new CancellationTokenSource();
        await Task.WhenAll(people.Select((person, seat) => EndAllOnFailureAsync(SitAsync(person, new Random(seat)))));

        async Task EndAllOnFailureAsync(Task seat)
        {
            try
            {
                await seat;
            }
            catch
            {
                await failure.CancelAsync();
                throw;
            }
        }

        async Task SitAsync(Actor person, Random chance)
        {
            while (true)
            {
                var change = Volatile.Read(ref _change).Task;
                if (await World.ClaimAsync(person, project, kind) is not { } claim)
                {
                    if (!await World.ScalarAsync<bool>("select exists (select from tasks where state = 'open')")) return;
                    await change.WaitAsync(failure.Token);
                    continue;
                }

                if (chance.Next(100) < 30)
                {
                    await World.LapseAsync(claim.AssignmentId);
                    Interlocked.Increment(ref vanished);
                    person = await World.PersonAsync();
                }
                else
                {
                    await SubmitAsync(person, claim);
                    told.Add((claim.TaskId, person.UserId!.Value));
                }

                Interlocked.Exchange(ref _change, new(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
            }
        }

        async Task SubmitAsync(Actor person, ClaimedTask claim)
        {
            if (kind == TaskKind.Demonstration)
            {
                Assert.False((await World.DoAsync(new SubmitDemonstration(person, Guid.CreateVersion7(), claim.AssignmentId, "An answer"))).Surplus);
                return;
            }

            var shown = (await World.DoAsync(new GetAssignment(person, claim.AssignmentId))).Answers;
            var ranks = shown.Select((answer, i) => new RankedAnswer(answer.CompletionId, i + 1)).ToList();
            Assert.False((await World.DoAsync(new SubmitRanking(person, Guid.CreateVersion7(), claim.AssignmentId, ranks))).Surplus);
        }

        Assert.InRange((double)vanished / (vanished + told.Count), 0.25, 0.35);
        Assert.Equal(count * overlap, told.Count);
        Assert.Equal(told.Count, told.Distinct().Count());
        Assert.All(told.GroupBy(t => t.Task), task => Assert.Equal(overlap, task.Count()));
        Assert.Equal(overlap, await HighestOccupationAsync());
        Assert.Equal((long)count, await World.ScalarAsync<long>(
            "select count(*) from tasks where state = 'done' and finished = overlap and taken = overlap and next_lapse_at is null"));
        Assert.Equal((long)vanished, await World.ScalarAsync<long>("select count(*) from assignments where state = 'lapsed'"));
        Assert.Equal(0L, await World.ScalarAsync<long>("select count(*) from (select 1 from history where state = 'active' group by task_id, user_id having count(*) > 1) twice"));
        Assert.Equal(0L, await World.ScalarAsync<long>(
            "select count(*) from assignments a join task_completions s using (task_id) join completions c on c.id = s.completion_id where c.author_id = a.user_id"));
    }

    /// <summary>Replays the log: the most people that ever held or had finished one task at the same time.</summary>
    private async Task<int> HighestOccupationAsync()
    {
        var now = new Dictionary<Guid, HashSet<Guid>>();
        var highest = 0;
        await using var connection = new NpgsqlConnection(World.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand("select task_id, user_id, state from history order by n", connection);
        await using var reader = await command.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            var (task, person, state) = (reader.GetGuid(0), reader.GetGuid(1), reader.GetString(2));
            if (!now.TryGetValue(task, out var people)) now[task] = people = [];
            if (state is "active" or "submitted") people.Add(person);
            else people.Remove(person);
            highest = Math.Max(highest, people.Count);
        }

        return highest;
    }
}
