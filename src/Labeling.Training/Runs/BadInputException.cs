namespace Labeling.Training.Runs;

/// <summary>
/// What the user gave cannot be used as it is: a run file, a data row, a model folder, a hyperparameter. The message names the place and
/// says what to do. Never worth a retry.
/// </summary>
public sealed class BadInputException(string message, Exception? inner = null) : Exception(message, inner);
