using Labeling.Training.Checkpoints;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Models;

/// <summary>
/// A decoder-only language model. Hidden states and logits are separate calls, so that the head (most of the work with a
/// large vocabulary) runs only on the rows that are needed.
/// </summary>
/// <remarks>Use a model from one thread at a time, as TorchSharp's dispose scopes belong to a thread.</remarks>
public sealed class CausalLm : IDisposable
{
    readonly Weights weights;
    readonly Tensor head;

    CausalLm(ModelConfig config, Weights weights, WeightSource source)
    {
        (Config, this.weights) = (config, weights);
        Body = new DecoderLayout(config, source).Build();
        head = config.TieWordEmbeddings
            ? Body.TokenEmbedding
            : source(DecoderLayout.HeadName(config.ModelType), [config.VocabularySize, config.OutputSize], Init.Normal);
    }

    /// <summary>The model's configuration.</summary>
    public ModelConfig Config { get; }

    /// <summary>The trainable tensors by Hugging Face name, in registration order; a tied head appears once, as the embedding.</summary>
    public IReadOnlyDictionary<string, Tensor> Parameters => weights.All;

    /// <summary>Number of trainable numbers.</summary>
    public long ParameterCount => Parameters.Values.Sum(p => p.NumberOfElements);

    internal Decoder Body { get; }

    internal Tensor Head => head;

    /// <summary>
    /// A model with random weights as GPT-2 draws them: normal with the config's standard deviation, smaller by √(2·layers)
    /// where a projection writes into the residual stream; biases 0, norms 1.
    /// </summary>
    /// <param name="config">The architecture.</param>
    /// <param name="seed">The same seed gives the same weights.</param>
    public static CausalLm New(ModelConfig config, long seed)
    {
        config.Validate("new model");
        var weights = new Weights();
        return new CausalLm(config, weights, weights.Fresh(config, seed));
    }

    /// <summary>Loads a Hugging Face model folder; weights of any stored number type become float32.</summary>
    /// <param name="folder">Folder with config.json and model.safetensors (or its shards).</param>
    /// <exception cref="ModelConfigException">config.json is missing, damaged or unsupported.</exception>
    /// <exception cref="SafetensorsException">Weights are missing, damaged or of the wrong shape.</exception>
    public static CausalLm Load(string folder) => Load(folder, config => config);

    /// <summary>The same with a change to what config.json says.</summary>
    internal static CausalLm Load(string folder, Func<ModelConfig, ModelConfig> change)
    {
        var config = change(ModelConfig.Load(folder));
        using var checkpoint = HfWeights.Open(folder, config);
        // Tied weights may be stored all the same, and transformers ties by the config, not by the file.
        var weights = new Weights();
        try
        {
            return new CausalLm(config, weights, weights.From(checkpoint));
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>A copy with weights of its own, for example a frozen reference policy.</summary>
    public CausalLm Clone()
    {
        var copy = new Weights();
        return new CausalLm(Config, copy, copy.CopyOf(weights.All));
    }

    /// <summary>
    /// Hidden states after the final norm. Padding may be on either side: real tokens count their positions from the first real one
    /// and never see padding. What stands at padding positions is not specified.
    /// </summary>
    /// <param name="ids">Token ids, int64 [batch, time].</param>
    /// <param name="attentionMask">[batch, time], 1 or true at real tokens, 0 or false at padding; null when all are real.</param>
    /// <param name="cache">Keys and values of earlier tokens of the same rows; extended by this call.</param>
    /// <returns>float32 [batch, time, hidden].</returns>
    /// <exception cref="ArgumentException">Shapes do not fit or the sequence is longer than the model's positions.</exception>
    public Tensor Hidden(Tensor ids, Tensor? attentionMask = null, KeyValueCache? cache = null) => Body.Forward(ids, attentionMask, cache);

    /// <summary>Scores of every next token.</summary>
    /// <param name="hidden">Hidden states [..., hidden], for example only the rows that have a label.</param>
    /// <returns>[..., vocabulary].</returns>
    public Tensor Logits(Tensor hidden) => F.linear(hidden, head);

    /// <summary>
    /// Saves a complete Hugging Face folder: config.json, generation_config.json, model.safetensors and, when a source is given, its
    /// tokenizer files.
    /// </summary>
    /// <param name="folder">Created when missing.</param>
    /// <param name="tokenizerFolder">Folder to copy tokenizer files from; null for none.</param>
    /// <param name="type">Number type of the stored weights.</param>
    public void Save(string folder, string? tokenizerFolder = null, WeightType type = WeightType.Float32) =>
        HfCheckpoint.Save(folder, Config, Architecture.CausalLm, weights.All, tokenizerFolder, type);

    /// <inheritdoc/>
    public void Dispose() => weights.Dispose();
}
