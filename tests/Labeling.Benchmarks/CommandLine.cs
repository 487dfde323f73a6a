namespace Labeling.Benchmarks;

internal static class CommandLine
{
    /// <summary>Parts the words of a command line from the options that have a value.</summary>
    public static (List<string> Words, Dictionary<string, string> Options) Parse(string[] args, params string[] names)
    {
        var (words, options) = (new List<string>(), new Dictionary<string, string>());
        for (var i = 0; i < args.Length; i++)
        {
            if (names.Contains(args[i]) && i + 1 < args.Length) options[args[i]] = args[++i];
            else words.Add(args[i]);
        }
        return (words, options);
    }
}
