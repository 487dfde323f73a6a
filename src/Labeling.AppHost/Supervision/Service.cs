using System.Diagnostics;

namespace Labeling.AppHost.Supervision;

/// <summary>
/// A program that is kept running: whenever it ends without being asked to, the reason is shown and it is started
/// again, at first after a second, later after longer pauses.
/// </summary>
public sealed class Service(string name, Launch launch, Guard guard, Action<string> say, Action<string> log)
{
    private static readonly TimeSpan FirstPause = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(30);

    /// <summary>A program that ran this long was well: the next pause is a short one again.</summary>
    private static readonly TimeSpan Well = TimeSpan.FromMinutes(1);

    private readonly TaskCompletionSource<string> firstEnd = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Completes with the reason when the program ends by itself for the first time.</summary>
    public Task<string> FirstEnd => firstEnd.Task;

    /// <summary>Runs until <paramref name="stop"/>, then gives the program <paramref name="grace"/> to finish.</summary>
    public async Task RunAsync(TimeSpan grace, CancellationToken stop)
    {
        var pause = FirstPause;
        while (!stop.IsCancellationRequested)
        {
            var started = Stopwatch.StartNew();
            await using (var child = ChildProcess.Start(launch, guard, isDatabase: false, log))
            {
                await ((Task)child.Exited).WaitAsync(stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
                if (stop.IsCancellationRequested)
                {
                    await child.StopAsync(grace);
                    return;
                }

                var reason = $"The {name} {ChildProcess.Describe(await child.Exited)}.";
                if (child.LastWords.Length > 0)
                    reason += " Its last lines:\n    " + child.LastWords.ReplaceLineEndings("\n    ");
                if (started.Elapsed > Well)
                    pause = FirstPause;
                firstEnd.TrySetResult(reason);
                say($"{reason}\n  Starting it again in {pause.TotalSeconds:0} s.");
            }

            await Task.Delay(pause, stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }
}
