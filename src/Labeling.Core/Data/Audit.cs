using Labeling.Core.Model;
using Labeling.Core.Pipeline;

namespace Labeling.Core.Data;

internal static class Audit
{
    /// <summary>Adds an entry to the audit log, in the transaction of what it tells about.</summary>
    public static void Record(this LabelingDbContext db, Actor actor, string action, Guid subject, string? details = null) =>
        db.AuditEvents.Add(new AuditEvent { Id = Guid.CreateVersion7(), ActorId = actor.UserId, Action = action, Subject = subject.ToString(), Details = details });
}
