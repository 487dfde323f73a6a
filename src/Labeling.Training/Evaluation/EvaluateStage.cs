// Stage "evaluate": measures models and trains nothing. Three tasks:
//
//   likelihood  how well a model predicts raw text and demonstrations: loss, perplexity, bits per byte (Likelihood.cs);
//   few_shot    questions with choices or free answers after none, one or many examples in context, as in GPT-3 (Brown et al. 2020, arXiv 2005.14165), and with
//               chains of thought (Wei et al. 2022, arXiv 2201.11903) (FewShot.cs);
//   win_rate    which of two models answers better in the eyes of a reward model, or equals a reference more often (WinRate.cs).
//
// Each measured row is a line of items.jsonl; metrics.jsonl describes each batch, result.json all of it.

using Labeling.Training.Data;
using Labeling.Training.Runs;

namespace Labeling.Training.Evaluation;

/// <summary>Hyperparameters of the stage "evaluate".</summary>
public sealed record EvaluateHyperparameters
{
    [Hyperparameter("likelihood: how well the base model predicts texts and demonstrations; few_shot: how many questions it answers right; win_rate: how often the first of two models beats the second.",
        Choices = ["likelihood", "few_shot", "win_rate"])]
    public string Task { get; init; } = "likelihood";

    [Hyperparameter("few_shot: examples in context, drawn at random for each question from the training rows; as many of them as fit.", Unit = "examples", Source = "Brown et al. 2020: 0, 1 and 10 to 100", Min = 0, Max = 100_000)]
    public int Shots { get; init; }

    [Hyperparameter("few_shot: text writes \"Question: ... Answer: ...\" as plain text, for models without a chat; chat makes every example a turn of the chat template.", Source = "Brown et al. 2020: text", Choices = ["text", "chat"])]
    public string Format { get; init; } = "text";

    [Hyperparameter("few_shot: examples show their rationale before the answer, and the model's own answer is read after answer_marker. Rows with choices then count as free answers.", Source = "Wei et al. 2022")]
    public bool ChainOfThought { get; init; }

    [Hyperparameter("few_shot: words that come right before the answer of a chain of thought.", Source = "Wei et al. 2022")]
    public string AnswerMarker { get; init; } = "The answer is";

    [Hyperparameter("Longest generated answer. The model's context is a limit too.", Unit = "tokens", Min = 1, Max = 1_000_000)]
    public int MaxNewTokens { get; init; } = 64;

    [Hyperparameter("win_rate: randomness of both models' answers; 0 takes the likeliest words.", Source = "as the policies are trained", Min = 0, Max = 10)]
    public double Temperature { get; init; } = 1;

    [Hyperparameter("win_rate: subtracted from the score of an answer that does not end by itself.", Unit = "reward", Source = "as ppo", Min = 0, Max = 1e6)]
    public double MissingEosPenalty { get; init; } = 1;

    [Hyperparameter("Rows measured together.", Unit = "rows", Min = 1, Max = 65_536)]
    public int BatchSize { get; init; } = 16;

    [Hyperparameter("Batches between checkpoints.", Unit = "batches", Min = 1, Max = 1_000_000)]
    public int CheckpointEvery { get; init; } = 10;

    [Hyperparameter(Examples.OverlongHelp, Choices = ["error", "skip"])]
    public string Overlong { get; init; } = "error";
}

/// <summary>Measures models.</summary>
public static class EvaluateStage
{
    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">The run, its data or a model cannot be used.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<EvaluateHyperparameters>();
        run.Progress(0, 0, "loading");
        switch (settings.Task)
        {
            case "likelihood":
                Likelihood.Run(run, settings);
                break;
            case "few_shot":
                FewShot.Run(run, settings);
                break;
            default:
                WinRate.Run(run, settings);
                break;
        }
    }
}
