using System.Diagnostics;
using System.Globalization;

namespace Labeling.Benchmarks;

/// <summary>A process beside this one that works when it is sent a line and answers with one; in between it sleeps.</summary>
internal sealed class Child : IDisposable
{
    private readonly Process process;

    private Child(ProcessStartInfo start) => process = Process.Start(start) ?? throw new InvalidOperationException($"{start.FileName} did not start.");

    /// <summary>This program, doing one of the jobs that Program.cs lists.</summary>
    public static Child Same(IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null) => Of(Environment.ProcessPath!, ["child", .. arguments], environment);

    public static Child Of(string program, IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true };
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        return new(start);
    }

    /// <summary>The one number that a job of this program prints.</summary>
    public static double Number(params string[] arguments)
    {
        using var child = Same(arguments);
        return double.Parse(child.ReadLine(), CultureInfo.InvariantCulture);
    }

    public string Ask(string line)
    {
        process.StandardInput.WriteLine(line);
        return ReadLine();
    }

    public string ReadLine() => process.StandardOutput.ReadLine() ?? throw new InvalidOperationException($"{process.StartInfo.FileName} {string.Join(' ', process.StartInfo.ArgumentList)} ended early; its message stands above.");

    /// <summary>The end of its input ends it.</summary>
    public void Dispose()
    {
        process.StandardInput.Close();
        process.WaitForExit();
        process.Dispose();
    }
}
