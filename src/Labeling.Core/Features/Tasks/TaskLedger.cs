using Labeling.Core.Data;
using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Features.Tasks;

/// <summary>
/// Who holds and who has finished which task. The only code that writes the state of an assignment and the counters of a task.
/// <para>
/// Every change first locks the task's row, then looks at its assignments, writes, and counts anew: what it counts is committed and cannot move. Each step is a
/// statement of its own, because under READ COMMITTED a statement sees the data as it was when the statement began, and one that waited for the lock would
/// see too little. Time is the database's clock. Order of locks, so that nobody waits in a circle: person, then task (several: by id).
/// </para>
/// <para>Should all this be wrong, the constraints of the table assignments refuse the write: one row per task and person, one row per slot, slots up to the overlap.</para>
/// </summary>
public sealed class TaskLedger(LabelingDbContext db)
{
    /// <summary>Takes the next task for a person, or gives back the one they hold. Call it inside a transaction. Null when nothing waits.</summary>
    public async Task<ClaimedTask?> ClaimAsync(Guid userId, Guid projectId, TaskKind kind, CancellationToken cancellation)
    {
        // Two tabs of one person ask one after the other, and the second finds what the first was given.
        await db.Database.ExecuteSqlAsync($"select 1 from users where id = {userId} for no key update", cancellation);
        var holding = await db.Assignments
            .Where(a => a.UserId == userId && a.State == AssignmentState.Active && a.Task!.ProjectId == projectId && a.Task.Kind == kind)
            .OrderBy(a => a.ClaimedAt).Select(a => (Guid?)a.Id).FirstOrDefaultAsync(cancellation);
        if (holding is { } id && await LockAsync(id, cancellation) is { State: AssignmentState.Active } held)
        {
            var (_, expiresAt) = await RenewAsync(held, cancellation);
            return new ClaimedTask(held.Id, held.TaskId, held.LeaseToken, expiresAt);
        }

        // Pass over tasks that others are taking at this moment; only when no other is left, wait for those.
        var taskId = await PickUnlockedAsync(userId, projectId, kind, cancellation) ?? await PickAsync(PickOrWait, userId, projectId, kind, cancellation);
        if (taskId is not { } picked) return null;
        await LapseAsync(picked, except: null, cancellation);
        var claimed = await db.Database.SqlQuery<ClaimedTask>(
            $"""
            insert into assignments (id, task_id, user_id, state, overlap, slot, lease_token, expires_at, guideline_version_id, shown_order, draft_version)
            select {Guid.CreateVersion7()}, t.id, {userId}, 'active', t.overlap,
                (select min(n) from generate_series(1, t.overlap) n where not exists (select from assignments a where a.task_id = t.id and a.slot = n)),
                {Guid.NewGuid()}, clock_timestamp() + make_interval(mins => p.lease_minutes),
                (select g.id from guideline_versions g where g.project_id = p.id order by g.number desc limit 1),
                (select array_agg(s.completion_id order by random()) from task_completions s where s.task_id = t.id),
                0
            from tasks t join projects p on p.id = t.project_id
            where t.id = {picked}
            returning id as assignment_id, task_id, lease_token, expires_at
            """).ToListAsync(cancellation);
        await CountAsync(picked, cancellation);
        return claimed.Single();
    }

    /// <summary>Tasks a person could claim now: the same conditions as <see cref="PickOrWait"/>, for counting.</summary>
    public IQueryable<LabelingTask> WaitingFor(Guid userId) => db.Tasks.Where(task =>
        task.State == TaskState.Open
        && (task.Taken < task.Overlap || task.NextLapseAt <= DateTimeOffset.UtcNow)
        && !db.Assignments.Any(a => a.TaskId == task.Id && a.UserId == userId)
        && !task.Completions.Any(shown => shown.Completion!.AuthorId == userId));

    /// <summary>Locks the task of an assignment and reads the assignment as it is under that lock. Null when there is no such assignment.</summary>
    public async Task<HeldAssignment?> LockAsync(Guid assignmentId, CancellationToken cancellation)
    {
        await db.Database.ExecuteSqlAsync(
            $"select 1 from tasks where id = (select task_id from assignments where id = {assignmentId}) for no key update", cancellation);
        return await db.Assignments.Where(a => a.Id == assignmentId)
            .Select(a => new HeldAssignment(
                a.Id, a.TaskId, a.UserId, a.State, a.ExpiresAt, a.LeaseToken, a.Task!.Kind, a.Task.PromptId, a.GuidelineVersionId, a.ShownOrder, a.DraftVersion, a.DraftSavedAt))
            .SingleOrDefaultAsync(cancellation);
    }

    /// <summary>Makes the lease last from now. A lapsed assignment becomes active again when its task has room; the answer says what it is.</summary>
    public async Task<(AssignmentState State, DateTimeOffset ExpiresAt)> RenewAsync(HeldAssignment held, CancellationToken cancellation)
    {
        if (held.State is not (AssignmentState.Active or AssignmentState.Lapsed)) return (held.State, held.ExpiresAt);
        await LapseAsync(held.TaskId, except: held.Id, cancellation);
        if (held.State == AssignmentState.Lapsed) await TakeFreeSlotAsync(held, cancellation);
        var renewed = await db.Database.SqlQuery<DateTimeOffset>(
            $"""
            update assignments a set expires_at = clock_timestamp() + make_interval(mins => p.lease_minutes)
            from tasks t join projects p on p.id = t.project_id
            where a.id = {held.Id} and a.state = 'active' and t.id = a.task_id
            returning a.expires_at
            """).ToListAsync(cancellation);
        await CountAsync(held.TaskId, cancellation);
        return renewed.Count == 1 ? (AssignmentState.Active, renewed[0]) : (AssignmentState.Lapsed, held.ExpiresAt);
    }

    /// <summary>Marks the work of an active or lapsed assignment as done. True when it is surplus: its task was full, or no longer wanted.</summary>
    public async Task<bool> FinishAsync(HeldAssignment held, CancellationToken cancellation)
    {
        await LapseAsync(held.TaskId, except: held.Id, cancellation);
        if (held.State == AssignmentState.Lapsed) await TakeFreeSlotAsync(held, cancellation);
        await db.Database.ExecuteSqlAsync(
            $"update assignments set state = case when slot is null then 'surplus' else 'submitted' end, finished_at = clock_timestamp() where id = {held.Id}", cancellation);
        await CountAsync(held.TaskId, cancellation);
        return await db.Assignments.AnyAsync(a => a.Id == held.Id && a.State == AssignmentState.Surplus, cancellation);
    }

    /// <summary>Gives the task back for good; its slot is free for somebody else.</summary>
    public async Task SkipAsync(HeldAssignment held, string reason, CancellationToken cancellation)
    {
        await db.Database.ExecuteSqlAsync(
            $"update assignments set state = 'skipped', slot = null, finished_at = clock_timestamp(), skip_reason = {reason} where id = {held.Id}", cancellation);
        await CountAsync(held.TaskId, cancellation);
    }

    /// <summary>Ends everything a person holds at this moment.</summary>
    public async Task EndLeasesOfAsync(Guid userId, CancellationToken cancellation)
    {
        var holding = await db.Assignments.Where(a => a.UserId == userId && a.State == AssignmentState.Active)
            .OrderBy(a => a.TaskId).Select(a => a.Id).ToListAsync(cancellation);
        foreach (var id in holding)
        {
            if (await LockAsync(id, cancellation) is not { State: AssignmentState.Active } held) continue;
            await db.Database.ExecuteSqlAsync($"update assignments set state = 'lapsed', slot = null, expires_at = clock_timestamp() where id = {id}", cancellation);
            await CountAsync(held.TaskId, cancellation);
        }
    }

    /// <summary>
    /// Locks the first task with room that this person never had and that shows no answer of theirs. When a row has to be waited for, PostgreSQL checks the
    /// conditions on the task again afterwards; those on this person cannot have changed, because the person is locked.
    /// </summary>
    private async Task<Guid?> PickAsync(string sql, Guid userId, Guid projectId, TaskKind kind, CancellationToken cancellation)
    {
        var found = await db.Database.SqlQueryRaw<Guid>(sql, projectId, kind.ToString().ToLowerInvariant(), userId).ToListAsync(cancellation);
        return found.Count == 0 ? null : found[0];
    }

    /// <summary>
    /// A row that changed while its lock was on the way stays locked even when it is passed over. Before waiting for other rows those locks have to go, or two
    /// people wait for each other.
    /// </summary>
    private async Task<Guid?> PickUnlockedAsync(Guid userId, Guid projectId, TaskKind kind, CancellationToken cancellation)
    {
        const string before = "before_pick";
        var transaction = db.Database.CurrentTransaction!;
        await transaction.CreateSavepointAsync(before, cancellation);
        var found = await PickAsync(PickUnlocked, userId, projectId, kind, cancellation);
        if (found is null) await transaction.RollbackToSavepointAsync(before, cancellation);
        return found;
    }

    private const string PickOrWait =
        """
        select t.id as "Value" from tasks t
        where t.project_id = {0} and t.kind = {1} and t.state = 'open'
            and (t.taken < t.overlap or t.next_lapse_at <= clock_timestamp())
            and not exists (select from assignments a where a.task_id = t.id and a.user_id = {2})
            and not exists (select from task_completions s join completions c on c.id = s.completion_id where s.task_id = t.id and c.author_id = {2})
        order by t.priority desc, t.created_at, t.id
        limit 1
        for no key update of t
        """;

    private const string PickUnlocked = PickOrWait + " skip locked";

    private Task<int> LapseAsync(Guid taskId, Guid? except, CancellationToken cancellation) => db.Database.ExecuteSqlAsync(
        $"""
        update assignments set state = 'lapsed', slot = null
        where task_id = {taskId} and state = 'active' and expires_at <= clock_timestamp() and id is distinct from {except}
        """, cancellation);

    private Task<int> TakeFreeSlotAsync(HeldAssignment held, CancellationToken cancellation) => db.Database.ExecuteSqlAsync(
        $"""
        update assignments a set state = 'active', slot = free.slot
        from (
            select min(n) as slot from tasks t, generate_series(1, t.overlap) n
            where t.id = {held.TaskId} and t.state = 'open' and not exists (select from assignments o where o.task_id = t.id and o.slot = n)) free
        where a.id = {held.Id} and free.slot is not null
        """, cancellation);

    private Task<int> CountAsync(Guid taskId, CancellationToken cancellation) => db.Database.ExecuteSqlAsync(
        $"""
        update tasks t
        set taken = now.taken, finished = now.finished, next_lapse_at = now.next_lapse_at,
            state = case when t.state = 'cancelled' then 'cancelled' when now.finished = t.overlap then 'done' else 'open' end
        from (
            select count(slot) as taken, count(*) filter (where state = 'submitted') as finished, min(expires_at) filter (where state = 'active') as next_lapse_at
            from assignments where task_id = {taskId}) now
        where t.id = {taskId}
        """, cancellation);
}

/// <summary>An assignment read under the lock of its task.</summary>
public sealed record HeldAssignment(
    Guid Id, Guid TaskId, Guid UserId, AssignmentState State, DateTimeOffset ExpiresAt, Guid LeaseToken, TaskKind Kind, Guid PromptId, Guid? GuidelineVersionId,
    Guid[]? ShownOrder, int DraftVersion, DateTimeOffset? DraftSavedAt);
