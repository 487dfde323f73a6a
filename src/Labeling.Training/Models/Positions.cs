using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Models;

/// <summary>
/// Rotary position embedding in the half-split layout of transformers (rotate_half). Two scalings follow the length of the text, and then every
/// row, or sequence of a packed row, has the angles of its own length, so that no text depends on its neighbours; transformers gives all
/// rows of a pass those of the longest.
/// </summary>
sealed class Rotary
{
    readonly ModelConfig config;
    readonly int size;
    readonly (Tensor Cosines, Tensor Sines) steady;
    readonly (Tensor Cosines, Tensor Sines)? longer;

    public Rotary(ModelConfig config)
    {
        (this.config, size) = (config, config.RotarySize);
        steady = Kept(Math.Min(config.SteadyPositions, config.MaxPositions));
        // Made with the model: a table first made while nothing is differentiated could not be trained with later.
        longer = FollowsLength && config.RopeScaling is { Kind: "longrope" } ? Kept(config.MaxPositions) : null;

        (Tensor, Tensor) Kept(int length)
        {
            var (cosines, sines) = Tables(length);
            return (cosines.DetachFromDisposeScope(), sines.DetachFromDisposeScope());
        }
    }

    /// <summary>Whether the angles change with the length of the text.</summary>
    public bool FollowsLength => config.AnglesFollowLength;

    /// <summary>
    /// Length beyond which a text has other angles at all its positions, once and for all, so that keys kept of it no longer hold; null for none. Dynamic
    /// scaling, which changes with every token, keeps its keys, as transformers does.
    /// </summary>
    public int? RereadAfter => longer is null ? null : config.SteadyPositions;

    /// <summary>Cosines and sines of the angles in a text of a length, [length, rotated size] each.</summary>
    (Tensor Cosines, Tensor Sines) Tables(int length)
    {
        var frequencies = Frequencies(config, length);
        var cosines = new float[length * size];
        var sines = new float[length * size];
        for (var position = 0; position < length; position++)
            Turn(frequencies, position, cosines.AsSpan(position * size, size), sines.AsSpan(position * size, size));
        return (tensor(cosines, [length, size]), tensor(sines, [length, size]));
    }

    void Turn(double[] frequencies, int position, Span<float> cosines, Span<float> sines)
    {
        var magnitude = (float)(config.RopeScaling?.AttentionFactor ?? 1);
        for (var i = 0; i < size / 2; i++)
        {
            // float32 products, as the reference computes them.
            var angle = (float)position * (float)frequencies[i];
            cosines[i] = cosines[size / 2 + i] = MathF.Cos(angle) * magnitude;
            sines[i] = sines[size / 2 + i] = MathF.Sin(angle) * magnitude;
        }
    }

    /// <summary>
    /// Inverse wavelengths in a text of a length, scaled as the config says. llama3: Grattafiori et al. 2024, arXiv 2407.21783; yarn: Peng et al. 2023,
    /// arXiv 2309.00071, section 3.2; dynamic ("NTK-aware"): the same paper, appendix B.1, where the base grows with the length and nothing changes
    /// within the trained positions; longrope: Ding et al. 2024, arXiv 2402.13753, with a divisor for each frequency and others beyond the trained positions.
    /// </summary>
    internal static double[] Frequencies(ModelConfig config, int length)
    {
        var size = config.RotarySize;
        var frequencies = new double[size / 2];
        var theta = config.RopeTheta;
        if (config.RopeScaling is { Kind: "dynamic" } dynamic && config.SteadyPositions is var trained && length > trained)
            theta *= Math.Pow(dynamic.Factor * length / trained - (dynamic.Factor - 1), size / (size - 2.0));
        for (var i = 0; i < frequencies.Length; i++)
        {
            var frequency = 1 / Math.Pow(theta, 2.0 * i / size);
            frequencies[i] = config.RopeScaling switch
            {
                null or { Kind: "dynamic" } => frequency,
                { Kind: "linear" } linear => frequency / linear.Factor,
                { Kind: "yarn" } yarn => Yarn(frequency, i, yarn, config),
                { Kind: "longrope" } longrope => frequency / (length > longrope.OriginalMaxPositions ? longrope.LongFactors : longrope.ShortFactors)[i],
                var llama3 => Llama3(frequency, llama3),
            };
        }
        return frequencies;
    }

    /// <summary>High frequencies stay, low ones are divided by the factor, a ramp lies between.</summary>
    static double Yarn(double frequency, int index, RopeScaling scaling, ModelConfig config)
    {
        double original = scaling.OriginalMaxPositions > 0 ? scaling.OriginalMaxPositions : config.TrainedPositions ?? config.MaxPositions;
        // The index, not whole, of the frequency that turns this often within the original context.
        double IndexOf(double turns) => config.RotarySize * Math.Log(original / (turns * 2 * Math.PI)) / (2 * Math.Log(config.RopeTheta));
        var (low, high) = (IndexOf(scaling.FastTurns), IndexOf(scaling.SlowTurns));
        if (scaling.WholeBand) (low, high) = (Math.Floor(low), Math.Ceiling(high));
        (low, high) = (Math.Max(low, 0), Math.Min(high, config.RotarySize - 1));
        if (low == high) high += 0.001;
        var scaled = Math.Clamp((index - low) / (high - low), 0, 1);
        return frequency / scaling.Factor * scaled + frequency * (1 - scaled);
    }

    static double Llama3(double frequency, RopeScaling scaling)
    {
        var wavelength = 2 * Math.PI / frequency;
        if (wavelength < scaling.OriginalMaxPositions / scaling.HighFrequencyFactor) return frequency;
        if (wavelength > scaling.OriginalMaxPositions / scaling.LowFrequencyFactor) return frequency / scaling.Factor;
        var smooth = (scaling.OriginalMaxPositions / wavelength - scaling.LowFrequencyFactor) / (scaling.HighFrequencyFactor - scaling.LowFrequencyFactor);
        return (1 - smooth) * frequency / scaling.Factor + smooth * frequency;
    }

    /// <summary>The rotation of the tokens of one forward pass.</summary>
    public Rotation At(AttentionPlan plan, long time)
    {
        var lengths = plan.Lengths is null ? [config.SteadyPositions] : plan.Lengths.cpu().data<long>().Select(Standing).ToArray();
        var kinds = lengths.Distinct().ToArray();
        var tables = kinds.Select(Of).ToArray();
        if (plan.Positions is null && kinds.Length == 1 && plan.Past + time <= tables[0].Cosines.shape[0])
            return new Rotation(tables[0].Cosines.narrow(0, plan.Past, time), tables[0].Sines.narrow(0, plan.Past, time), size);

        var (cosines, sines) = tables[0];
        var rows = plan.Positions ?? arange(plan.Past, plan.Past + time, ScalarType.Int64).unsqueeze(0);
        if (plan.Lengths is not null)
        {
            // The tables one below the other. Padding may count beyond the end of its text's own; its angles are not used.
            var end = plan.Lengths.max().ToInt64();
            tables = [.. tables.Select(t => (t.Cosines.narrow(0, 0, Math.Min(end, t.Cosines.shape[0])), t.Sines.narrow(0, 0, Math.Min(end, t.Sines.shape[0]))))];
            (cosines, sines) = (cat([.. tables.Select(t => t.Cosines)]), cat([.. tables.Select(t => t.Sines)]));
            var firsts = kinds.Select((_, k) => tables[..k].Sum(t => t.Cosines.shape[0])).ToArray();
            Tensor Each(Func<int, long> ofKind) => tensor(lengths.Select(l => ofKind(Array.IndexOf(kinds, l))).ToArray(), plan.Lengths.shape);
            rows = minimum(rows, Each(k => tables[k].Cosines.shape[0] - 1)) + Each(k => firsts[k]);
        }
        Tensor Rows(Tensor table) => table.index_select(0, rows.reshape(-1)).view(rows.shape[0], 1, time, size);
        return new Rotation(Rows(cosines), Rows(sines), size);
    }

    /// <summary>A length that stands for all with the same angles as this one.</summary>
    int Standing(long length) => length <= config.SteadyPositions ? config.SteadyPositions : longer is null ? (int)length : config.MaxPositions;

    (Tensor Cosines, Tensor Sines) Of(int standing) => standing == config.SteadyPositions ? steady : longer ?? Tables(standing);

    /// <summary>Cosines and sines of a text's last token, whatever the scaling.</summary>
    /// <param name="position">Where it stands; what comes before it is the text.</param>
    /// <param name="cosines">[rotated size].</param>
    /// <param name="sines">[rotated size].</param>
    public void Last(int position, Span<float> cosines, Span<float> sines)
    {
        if (position >= config.SteadyPositions && longer is null)
        {
            Turn(Frequencies(config, position + 1), position, cosines, sines);
            return;
        }
        var table = Of(Standing(position + 1));
        TensorMemory.Span<float>(table.Cosines).Slice(position * size, size).CopyTo(cosines);
        TensorMemory.Span<float>(table.Sines).Slice(position * size, size).CopyTo(sines);
    }

    internal sealed record Rotation(Tensor Cosines, Tensor Sines, int Size)
    {
        /// <summary>Rotates the first <see cref="Size"/> components of [batch, heads, time, head size].</summary>
        public Tensor Apply(Tensor x)
        {
            var width = x.shape[3];
            var turned = width == Size ? x : x.narrow(3, 0, Size);
            var half = Size / 2;
            var swapped = cat([turned.narrow(3, half, half).neg(), turned.narrow(3, 0, half)], 3);
            var rotated = (turned * Cosines + swapped * Sines).to_type(x.dtype);
            return width == Size ? rotated : cat([rotated, x.narrow(3, Size, width - Size)], 3);
        }
    }
}

/// <summary>Slopes of the linear attention bias, one per head (Press et al. 2022, arXiv 2108.12409, section 3).</summary>
static class Alibi
{
    public static float[] Slopes(int heads)
    {
        static IEnumerable<double> Geometric(int count) => Enumerable.Range(1, count).Select(i => Math.Pow(2, -8.0 * i / count));
        var power = 1 << (int)Math.Floor(Math.Log2(heads));
        var slopes = Geometric(power);
        // Other head counts fill up with every second slope of the next power of two.
        if (power != heads) slopes = slopes.Concat(Geometric(2 * power).Where((_, i) => i % 2 == 0).Take(heads - power));
        return [.. slopes.Select(s => (float)s)];
    }
}
