using System.Text.Json;
using Labeling.Training.Checkpoints;
using Labeling.Training.Models;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Checks;

/// <summary>
/// Compares models, tokenizers and chat templates with expected values that other software computed. The tolerances are for float32 on a
/// CPU, small enough that a wrong epsilon, activation or position shows.
/// </summary>
public static class GoldenCheck
{
    /// <summary>All quantities are within their tolerances.</summary>
    public const int Within = 0;
    /// <summary>Some quantity is out of tolerance.</summary>
    public const int OutOfTolerance = 1;
    /// <summary>Something could not be read or is not supported.</summary>
    public const int BadInput = 2;

    /// <summary>Checks a golden file, or every one in and below a folder; model and tokenizer lie in the folder of their golden file.</summary>
    /// <param name="path">The file or folder.</param>
    /// <param name="write">Takes the report line by line.</param>
    /// <param name="error">Takes what could not be checked, each with its file and the reason.</param>
    /// <returns><see cref="Within"/>, else <see cref="OutOfTolerance"/>, else <see cref="BadInput"/>.</returns>
    public static int Run(string path, Action<string> write, Action<string> error)
    {
        IReadOnlyList<string> files;
        try
        {
            files = GoldenFile.Find(path);
        }
        catch (BadInputException e)
        {
            error(e.Message);
            return BadInput;
        }
        int quantities = 0, outside = 0, unreadable = 0;
        foreach (var file in files)
        {
            write($"{(files.Count == 1 ? file : Path.GetRelativePath(path, file))}:");
            try
            {
                var any = false;
                foreach (var comparison in Check(file).Where(c => c.Count > 0))
                {
                    write(comparison.ToString());
                    any = true;
                    quantities++;
                    outside += comparison.Passed ? 0 : 1;
                }
                if (!any)
                {
                    throw new BadInputException($"{file}: holds no value to compare.");
                }
            }
            catch (Exception e) when (Explanation(e, file) is { } explanation)
            {
                unreadable++;
                error(explanation);
            }
        }
        var checkedFiles = files.Count - unreadable;
        write($"{checkedFiles} of {files.Count} golden files checked: {quantities - outside} of {quantities} quantities within tolerance, {outside} out of tolerance, {unreadable} files could not be checked.");
        return outside > 0 ? OutOfTolerance : unreadable > 0 ? BadInput : Within;
    }

    private static List<Comparison> Check(string file)
    {
        using var golden = GoldenFile.Open(file);
        // The document must outlive the comparisons.
        return golden.Kind switch
        {
            GoldenKind.LanguageModel => LanguageModelCheck.Run(golden),
            GoldenKind.RewardModel => RewardModelCheck.Run(golden),
            GoldenKind.Tokenizer => TokenizerCheck.Run(golden),
            GoldenKind.ChatTemplate => ChatTemplateCheck.Run(golden),
            _ => TokenizedCheck.Run(golden),
        };
    }

    /// <summary>What a person can do something about; null for a bug.</summary>
    private static string? Explanation(Exception e, string file) => e switch
    {
        BadInputException => e.Message,
        ModelConfigException or SafetensorsException or InvalidDataException or FileNotFoundException or ChatTemplateException =>
            e.Message.Contains(Path.GetDirectoryName(file)!, StringComparison.Ordinal) ? e.Message : $"{file}: {e.Message}",
        KeyNotFoundException or InvalidOperationException or FormatException or JsonException => $"{file}: a field of the golden file is missing or has an unexpected type: {e.Message}",
        ArgumentException => $"{file}: {e.Message}",
        _ => null,
    };
}
