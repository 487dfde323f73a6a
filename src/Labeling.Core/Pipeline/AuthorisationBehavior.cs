using System.Reflection;
using Labeling.Core.Data;
using Labeling.Core.Model;
using Mediator;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Pipeline;

/// <summary>Checks the actor against the request's <see cref="AllowAttribute"/> with the roles the person has at this moment, not those of their cookie.</summary>
public sealed class AuthorisationBehavior<TMessage, TResponse>(LabelingDbContext db) : IPipelineBehavior<TMessage, TResponse>
    where TMessage : IActedRequest, IMessage
    where TResponse : IResult<TResponse>
{
    private static readonly AllowAttribute? Allow = typeof(TMessage).GetCustomAttribute<AllowAttribute>();

    private static readonly bool Anybody = typeof(TMessage).IsDefined(typeof(AllowAnonymousAttribute));

    public async ValueTask<TResponse> Handle(TMessage message, MessageHandlerDelegate<TMessage, TResponse> next, CancellationToken cancellationToken) =>
        await RefusalAsync(message.Actor, cancellationToken) is { } refusal
            ? TResponse.From(Problem.Forbidden(refusal))
            : await next(message, cancellationToken);

    private async Task<string?> RefusalAsync(Actor actor, CancellationToken cancellation)
    {
        if (Anybody) return null;

        // A type that forgot to say who may send it is open to nobody.
        if (Allow is null) return "Nobody may do this.";
        if (actor.IsSystem) return Allow.System ? null : "Only a person may do this.";
        if (Allow.Any == Roles.None) return "Only the installation itself does this.";
        if (actor.UserId is not { } userId) return "Sign in first.";
        var person = await db.Users.AsNoTracking().Where(user => user.Id == userId)
            .Select(user => new { user.Roles, user.DisabledAt }).SingleOrDefaultAsync(cancellation);
        if (person is null) return "Sign in first.";
        if (person.DisabledAt is not null) return "Your account has been closed by an admin.";
        return person.Roles.HasFlag(Roles.Admin) || (person.Roles & Allow.Any) != 0 ? null : "Your roles do not allow this.";
    }
}
