namespace Labeling.AppHost.Supervision;

/// <summary>Remembers the last lines a program wrote, to show them when it fails.</summary>
public sealed class LastLines(int capacity = 15)
{
    private readonly Queue<string> lines = new();

    public void Add(string line)
    {
        lock (lines)
        {
            if (lines.Count == capacity)
                lines.Dequeue();
            lines.Enqueue(line);
        }
    }

    public override string ToString()
    {
        lock (lines)
            return string.Join('\n', lines);
    }
}
