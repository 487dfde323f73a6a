using Spectre.Console;

namespace Labeling.AppHost;

/// <summary>What the person at the terminal reads. Plain lines, never wrapped, so that a link can be copied from any terminal or log.</summary>
public sealed class Screen
{
    private readonly Lock gate = new();

    public void Line(string text = "")
    {
        lock (gate)
            Console.Out.WriteLine(text);
    }

    /// <summary>A heading or an address, emphasised where the terminal can.</summary>
    public void Strong(string text) => Line(Styled(text, "1"));

    public void Warn(string text) => Line(Styled(text, "33"));

    public void Fail(string text)
    {
        lock (gate)
            Console.Error.WriteLine(Console.IsErrorRedirected ? text : Styled(text, "31"));
    }

    private static string Styled(string text, string code) =>
        AnsiConsole.Profile.Capabilities.Ansi && !Console.IsOutputRedirected ? $"\e[{code}m{text}\e[0m" : text;
}
