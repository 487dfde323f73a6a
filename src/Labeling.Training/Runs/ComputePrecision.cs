using static TorchSharp.torch;

namespace Labeling.Training.Runs;

/// <summary>The hyperparameter "precision".</summary>
internal static class ComputePrecision
{
    public const string Help =
        "Number type the model is calculated in. bfloat16 pays off for large models (about 1.7 times as fast at 124M parameters) on processors with instructions for it and is slower elsewhere; weights, their updates and the loss stay float32.";

    /// <summary>The number type of a word from run.json.</summary>
    public static ScalarType TypeOf(string precision) => precision == "bfloat16" ? ScalarType.BFloat16 : ScalarType.Float32;
}
