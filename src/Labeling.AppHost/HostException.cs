namespace Labeling.AppHost;

/// <summary>A condition the person at the terminal can mend: the message says what is wrong and what to do, and no stack is shown.</summary>
public sealed class HostException(string message, Exception? cause = null) : Exception(message, cause);
