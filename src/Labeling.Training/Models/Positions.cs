using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Models;

/// <summary>Rotary position embedding in the half-split layout of transformers (rotate_half).</summary>
sealed class Rotary
{
    readonly ModelConfig config;
    readonly int size;

    public Rotary(ModelConfig config)
    {
        (this.config, size) = (config, config.RotarySize);
        var (cos, sin) = Tables(config);
        (Cosines, Sines) = (cos.DetachFromDisposeScope(), sin.DetachFromDisposeScope());
    }

    /// <summary>Cosines of every position's angles, [positions, rotated size].</summary>
    public Tensor Cosines { get; }

    /// <summary>Sines, [positions, rotated size].</summary>
    public Tensor Sines { get; }

    static (Tensor Cosines, Tensor Sines) Tables(ModelConfig config)
    {
        var size = config.RotarySize;
        var frequencies = Frequencies(config);
        var magnitude = (float)(config.RopeScaling?.AttentionFactor ?? 1);
        var cos = new float[config.MaxPositions * size];
        var sin = new float[config.MaxPositions * size];
        for (var position = 0; position < config.MaxPositions; position++)
        {
            for (var i = 0; i < size / 2; i++)
            {
                // float32 products, as the reference computes them.
                var angle = (float)position * (float)frequencies[i];
                cos[position * size + i] = cos[position * size + size / 2 + i] = MathF.Cos(angle) * magnitude;
                sin[position * size + i] = sin[position * size + size / 2 + i] = MathF.Sin(angle) * magnitude;
            }
        }
        return (tensor(cos, [config.MaxPositions, size]), tensor(sin, [config.MaxPositions, size]));
    }

    /// <summary>
    /// Inverse wavelengths, scaled as the config says. llama3: Grattafiori et al. 2024, arXiv 2407.21783; yarn: Peng et al. 2023, arXiv 2309.00071,
    /// section 3.2; dynamic ("NTK-aware"): the same paper, appendix B.1, where the base grows with the length and nothing changes within the trained positions.
    /// </summary>
    internal static double[] Frequencies(ModelConfig config)
    {
        var size = config.RotarySize;
        var frequencies = new double[size / 2];
        var theta = config.RopeTheta;
        if (config.RopeScaling is { Kind: "dynamic" } dynamic && (config.TrainedPositions ?? config.MaxPositions) is var trained && config.MaxPositions > trained)
            theta *= Math.Pow(dynamic.Factor * config.MaxPositions / trained - (dynamic.Factor - 1), size / (size - 2.0));
        for (var i = 0; i < frequencies.Length; i++)
        {
            var frequency = 1 / Math.Pow(theta, 2.0 * i / size);
            frequencies[i] = config.RopeScaling switch
            {
                null or { Kind: "dynamic" } => frequency,
                { Kind: "linear" } linear => frequency / linear.Factor,
                { Kind: "yarn" } yarn => Yarn(frequency, i, yarn, config),
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
        var (cosines, sines) = For(plan);
        if (plan.Positions is not { } positions)
            return new Rotation(cosines.narrow(0, plan.Past, time), sines.narrow(0, plan.Past, time), size);
        var flat = positions.reshape(-1);
        Tensor Rows(Tensor table) => table.index_select(0, flat).view(positions.shape[0], 1, time, size);
        return new Rotation(Rows(cosines), Rows(sines), size);
    }

    /// <summary>Dynamic scaling follows the length of each pass; everything else has its frequencies once and for all.</summary>
    (Tensor Cosines, Tensor Sines) For(AttentionPlan plan)
    {
        if (!FollowsLength) return (Cosines, Sines);
        return Tables(OfLength((int)(plan.Positions is { } positions ? positions.max().ToInt64() + 1 : plan.Past + plan.Time)));
    }

    /// <summary>The angles change with the length of the text, so that <see cref="Cosines"/> and <see cref="Sines"/> hold for the longest only.</summary>
    public bool FollowsLength => config is { RopeScaling.Kind: "dynamic", TrainedPositions: { } trained } && config.MaxPositions > trained;

    /// <summary>Cosines and sines [rotated size] of a text's last token, whatever the scaling.</summary>
    public (float[] Cosines, float[] Sines) Last(int position)
    {
        var angles = Frequencies(OfLength(position + 1)).Select(f => position * (float)f).ToArray();
        return ([.. angles.Concat(angles).Select(MathF.Cos)], [.. angles.Concat(angles).Select(MathF.Sin)]);
    }

    ModelConfig OfLength(int length) => config with { MaxPositions = Math.Max(length, config.TrainedPositions ?? config.MaxPositions) };

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
