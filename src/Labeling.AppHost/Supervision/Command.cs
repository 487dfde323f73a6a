using System.Diagnostics;
using System.Text;

namespace Labeling.AppHost.Supervision;

/// <summary>Runs a program to its end and keeps what it said.</summary>
public static class Command
{
    public sealed record Outcome(int ExitCode, string Output)
    {
        public bool Succeeded => ExitCode == 0;

        /// <summary>The last lines, for an error message.</summary>
        public string Tail(int lines = 12) => string.Join('\n', Output.TrimEnd().Split('\n').TakeLast(lines));
    }

    /// <summary>Waits for the program's end; cancelling kills it and everything it started.</summary>
    public static async Task<Outcome> RunAsync(Launch launch, CancellationToken cancellation = default)
    {
        var output = new StringBuilder();
        using var process = new Process { StartInfo = launch.ToStartInfo() };
        void Keep(object sender, DataReceivedEventArgs line)
        {
            if (line.Data is null)
                return;
            lock (output)
                output.Append(line.Data).Append('\n');
        }

        process.OutputDataReceived += Keep;
        process.ErrorDataReceived += Keep;
        process.Start();
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        try
        {
            await process.WaitForExitAsync(cancellation);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync(CancellationToken.None);
            throw;
        }

        lock (output)
            return new Outcome(process.ExitCode, output.ToString());
    }
}
