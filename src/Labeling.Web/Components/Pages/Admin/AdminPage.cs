using Labeling.Core.Pipeline;
using Labeling.Web.Site;
using Microsoft.AspNetCore.Components;
using MudBlazor;

namespace Labeling.Web.Components.Pages.Admin;

/// <summary>A page that reads and sends requests, shows what stands in the way, and sends nothing twice on a double click.</summary>
public abstract class AdminPage : ComponentBase, IDisposable
{
    private readonly CancellationTokenSource _gone = new();

    [Inject] protected AppSender Sender { get; set; } = default!;

    [Inject] protected ISnackbar Toast { get; set; } = default!;

    [Inject] protected NavigationManager Navigation { get; set; } = default!;

    /// <summary>What the last request ran into.</summary>
    protected Problem? Problem { get; set; }

    /// <summary>True while something is being changed.</summary>
    protected bool Busy { get; private set; }

    /// <summary>Cancelled when the person leaves the page.</summary>
    protected CancellationToken Gone => _gone.Token;

    /// <summary>Answers the value, or null after setting <see cref="Problem"/>.</summary>
    protected async Task<T?> Read<T>(Func<Actor, IRequest<T>> request) where T : class
    {
        var answer = await Sender.Send(request, Gone);
        if (answer.Ok)
        {
            return answer.Value;
        }

        Problem = answer.Problem;
        return null;
    }

    /// <summary>Changes something, once at a time. What was begun is finished even when the person leaves the page.</summary>
    protected async Task<bool> Change<T>(Func<Actor, IRequest<T>> request, Func<T, Task>? then = null)
    {
        if (Busy)
        {
            return false;
        }

        Busy = true;
        Problem = null;
        try
        {
            var answer = await Sender.Send(request, CancellationToken.None);
            Problem = answer.Problem;
            if (!answer.Ok)
            {
                return false;
            }

            if (then is not null)
            {
                await then(answer.Value);
            }

            return true;
        }
        finally
        {
            Busy = false;
        }
    }

    protected Task<bool> Change<T>(Func<Actor, IRequest<T>> request, Action<T> then) =>
        Change(request, value =>
        {
            then(value);
            return Task.CompletedTask;
        });

    public void Dispose()
    {
        _gone.Cancel();
        _gone.Dispose();
        GC.SuppressFinalize(this);
    }
}
