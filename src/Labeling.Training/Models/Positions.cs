using static TorchSharp.torch;

namespace Labeling.Training.Models;

/// <summary>Rotary position embedding in the half-split layout of transformers (rotate_half).</summary>
sealed class Rotary
{
    readonly int size;

    public Rotary(ModelConfig config)
    {
        size = config.RotarySize;
        var frequencies = Frequencies(config);
        var cos = new float[config.MaxPositions * size];
        var sin = new float[config.MaxPositions * size];
        for (var position = 0; position < config.MaxPositions; position++)
        {
            for (var i = 0; i < size / 2; i++)
            {
                // float32 products, as the reference computes them.
                var angle = (float)position * (float)frequencies[i];
                cos[position * size + i] = cos[position * size + size / 2 + i] = MathF.Cos(angle);
                sin[position * size + i] = sin[position * size + size / 2 + i] = MathF.Sin(angle);
            }
        }
        Cosines = tensor(cos, [config.MaxPositions, size]).DetachFromDisposeScope();
        Sines = tensor(sin, [config.MaxPositions, size]).DetachFromDisposeScope();
    }

    /// <summary>Cosines of every position's angles, [positions, rotated size].</summary>
    public Tensor Cosines { get; }

    /// <summary>Sines, [positions, rotated size].</summary>
    public Tensor Sines { get; }

    /// <summary>Inverse wavelengths, scaled as the config says (llama3: Grattafiori et al. 2024, arXiv 2407.21783).</summary>
    internal static double[] Frequencies(ModelConfig config)
    {
        var size = config.RotarySize;
        var frequencies = new double[size / 2];
        for (var i = 0; i < frequencies.Length; i++)
        {
            var frequency = 1 / Math.Pow(config.RopeTheta, 2.0 * i / size);
            frequencies[i] = config.RopeScaling switch
            {
                null => frequency,
                { Kind: "linear" } linear => frequency / linear.Factor,
                var llama3 => Llama3(frequency, llama3),
            };
        }
        return frequencies;
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
        if (plan.Positions is not { } positions)
            return new Rotation(Cosines.narrow(0, plan.Past, time), Sines.narrow(0, plan.Past, time), size);
        var flat = positions.reshape(-1);
        Tensor Rows(Tensor table) => table.index_select(0, flat).view(positions.shape[0], 1, time, size);
        return new Rotation(Rows(Cosines), Rows(Sines), size);
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
