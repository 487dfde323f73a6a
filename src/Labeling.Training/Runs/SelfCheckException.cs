namespace Labeling.Training.Runs;

/// <summary>
/// Something that must hold whatever the data are does not: the trainer itself computes wrongly, and going on would waste the run. Starting again
/// would end the same way.
/// </summary>
public sealed class SelfCheckException(string message) : Exception(message);
