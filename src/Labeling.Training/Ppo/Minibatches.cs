using Labeling.Training.Runs;

namespace Labeling.Training.Ppo;

/// <summary>How a batch of answers is learned from, by PPO and by the group methods: every epoch in a new order, minibatch by minibatch, with a step after each.</summary>
internal static class Minibatches
{
    /// <summary>Learns from a batch.</summary>
    /// <param name="rollouts">Answers with everything that the loss needs.</param>
    /// <param name="count">Minibatches of an epoch.</param>
    /// <param name="epochs">Passes over the batch.</param>
    /// <param name="seed">Seed of the orders.</param>
    /// <param name="step">Number of the batch, from 1, for messages.</param>
    /// <param name="times">Told when gradients and when steps are done.</param>
    /// <param name="accumulate">Adds up a minibatch's gradients and returns its means by metric name.</param>
    /// <param name="update">Takes the step and adds the norms of the gradients.</param>
    /// <returns>Means over all minibatches, by metric name.</returns>
    /// <exception cref="SelfCheckException">The first minibatch does not have ratio 1; no step was taken.</exception>
    public static Dictionary<string, double> Learn(IReadOnlyList<Rollout> rollouts, int count, int epochs, long seed, int step, PhaseTimes times,
        Func<IReadOnlyList<Rollout>, Dictionary<string, double>> accumulate, Action<Dictionary<string, double>> update)
    {
        var sums = new Dictionary<string, double>();
        var steps = 0;
        var size = (rollouts.Count + count - 1) / count;
        for (var epoch = 0; epoch < epochs; epoch++)
        {
            foreach (var indices in Seeds.Permutation(rollouts.Count, Seeds.Derive(seed, epoch)).Chunk(size))
            {
                var numbers = accumulate([.. indices.Select(i => rollouts[i])]);
                if (steps == 0)
                {
                    PpoChecks.FirstMinibatch(numbers["val/ratio"], numbers["policy/approxkl_avg"], step);
                }
                times.Mark("learn");
                update(numbers);
                times.Mark("optimize");
                steps++;
                foreach (var (name, number) in numbers)
                {
                    sums[name] = sums.GetValueOrDefault(name) + number;
                }
            }
        }
        return sums.ToDictionary(s => s.Key, s => s.Value / steps);
    }
}
