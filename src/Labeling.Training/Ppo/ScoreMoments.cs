using System.Text.Json.Nodes;

namespace Labeling.Training.Ppo;

/// <summary>
/// Mean and deviation of the reward model's scores, by which scores are brought to mean 0 and deviation 1 (Ziegler et al. 2019, arXiv 1909.08593,
/// section 2.1, there as gain and bias of the reward model). Measured once on answers of the reference policy, or followed through the run.
/// </summary>
internal sealed class ScoreMoments
{
    private long count;
    private double mean;
    private double squares;

    /// <summary>Goes on from what <see cref="ToJson"/> wrote; null begins with nothing.</summary>
    public ScoreMoments(JsonNode? state)
    {
        if (state is not null)
        {
            (count, mean, squares) = (state["count"]!.GetValue<long>(), state["mean"]!.GetValue<double>(), state["squares"]!.GetValue<double>());
        }
    }

    public long Count => count;

    public double Mean => mean;

    /// <summary>Biased standard deviation; 1 while all scores are the same, so that they are only shifted.</summary>
    public double Deviation => squares > 0 ? Math.Sqrt(squares / count) : 1;

    /// <summary>Takes more scores in (Welford 1962).</summary>
    public void Add(IEnumerable<float> scores)
    {
        foreach (var score in scores)
        {
            var difference = score - mean;
            mean += difference / ++count;
            squares += difference * (score - mean);
        }
    }

    /// <summary>(score − mean) / deviation.</summary>
    public float Normalize(float score) => (float)((score - mean) / Deviation);

    public JsonNode ToJson() => new JsonObject { ["count"] = count, ["mean"] = mean, ["squares"] = squares };
}
