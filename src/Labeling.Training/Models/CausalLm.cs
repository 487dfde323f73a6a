using Labeling.Training.Checkpoints;
using static TorchSharp.torch;

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
    LoraAdapter? adapter;

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

    /// <summary>What training changes: the matrices of the adapter by PEFT's names where there is one, else all <see cref="Parameters"/>.</summary>
    public IReadOnlyDictionary<string, Tensor> Trainable => adapter?.Parameters ?? weights.All;

    /// <summary>Number of the model's own numbers, an adapter's not included.</summary>
    public long ParameterCount => Parameters.Values.Sum(p => p.NumberOfElements);

    /// <summary>
    /// Number type of the forward and backward pass: float32, or bfloat16, which is faster where the processor has instructions for it.
    /// Weights, gradients and logits are float32 either way (mixed precision; Micikevicius et al. 2018, arXiv 1710.03740).
    /// </summary>
    public ScalarType ComputeType
    {
        get => Body.ComputeType;
        set => Body.ComputeType = value;
    }

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

    /// <summary>A copy with weights of its own, and an adapter of its own where there is one; for example a frozen reference policy.</summary>
    public CausalLm Clone()
    {
        var weights = new Weights();
        var copy = new CausalLm(Config, weights, weights.CopyOf(this.weights.All));
        if (adapter is null) return copy;
        copy.Freeze();
        copy.adapter = LoraAdapter.From(copy.Body, adapter.Options, [.. adapter.Parameters.Keys], (name, matrix) => matrix.copy_(adapter.Parameters[name]));
        return copy;
    }

    /// <summary>Freezes the weights and adds a new low-rank adapter, which changes nothing until it is trained.</summary>
    /// <param name="options">Rank, scale and targets.</param>
    /// <param name="seed">The same seed gives the same adapter.</param>
    /// <exception cref="LoraException">A target is no module of this model, or there is an adapter already.</exception>
    public void AddLora(LoraOptions options, long seed)
    {
        adapter = LoraAdapter.New(Body, Config.ModelType, options, seed);
        Freeze();
    }

    /// <summary>Freezes the weights and adds an adapter from a folder in PEFT's format.</summary>
    /// <param name="folder">Folder with adapter_config.json and adapter_model.safetensors.</param>
    /// <exception cref="LoraException">The adapter is not for this model or of a kind not known here.</exception>
    /// <exception cref="SafetensorsException">Its weights are missing, damaged or of the wrong shape.</exception>
    public void LoadLora(string folder)
    {
        adapter = PeftAdapter.Load(folder, Body);
        Freeze();
    }

    /// <summary>Adds the adapter's change to the weights, which can be trained again, and removes the adapter.</summary>
    public void MergeLora()
    {
        adapter?.MergeInto(weights.All);
        adapter = null;
    }

    void Freeze()
    {
        foreach (var tensor in weights.All.Values) tensor.requires_grad_(false);
    }

    /// <summary>
    /// Hidden states after the final norm. Padding may be on either side: real tokens count their positions from the first real one
    /// and never see padding. What stands at padding positions is not specified.
    /// </summary>
    /// <param name="ids">Token ids, int64 [batch, time].</param>
    /// <param name="attentionMask">[batch, time], 1 or true at real tokens, 0 or false at padding; null when all are real.</param>
    /// <param name="cache">Keys and values of earlier tokens of the same rows; extended by this call. With longrope, they stay as they were when a text outgrows the original context.</param>
    /// <param name="segments">
    /// int64 [batch, time] where rows hold several sequences side by side: equal for the tokens of one sequence. Tokens see their own
    /// sequence only, whose positions begin at 0. Not together with a mask or a cache.
    /// </param>
    /// <param name="dropout">What is dropped in this pass; null, as in evaluation, for nothing.</param>
    /// <returns>[batch, time, hidden] of <see cref="ComputeType"/>.</returns>
    /// <exception cref="ArgumentException">Shapes do not fit or the sequence is longer than the model's positions.</exception>
    public Tensor Hidden(Tensor ids, Tensor? attentionMask = null, KeyValueCache? cache = null, Tensor? segments = null, Dropout? dropout = null) =>
        Body.Forward(ids, attentionMask, cache, segments, dropout);

    /// <summary>Where the weights are.</summary>
    public Device Device => head.device;

    /// <summary>Scores of every next token.</summary>
    /// <param name="hidden">Hidden states [..., hidden], for example only the rows that have a label.</param>
    /// <returns>float32 [..., vocabulary].</returns>
    public Tensor Logits(Tensor hidden) => HeadOutput(hidden).to_type(ScalarType.Float32);

    /// <summary>The same in the number type of the hidden states.</summary>
    internal Tensor HeadOutput(Tensor hidden) => Linear.Map(hidden, head);

    /// <summary>
    /// Saves a complete Hugging Face folder: config.json, generation_config.json, model.safetensors and, when a source is given, its
    /// tokenizer files. An adapter is merged into the stored weights, and stored by itself in <c>adapter/</c> in PEFT's format.
    /// </summary>
    /// <param name="folder">Created when missing.</param>
    /// <param name="tokenizerFolder">Folder to copy tokenizer files from, and the one an adapter names as its base; null for none.</param>
    /// <param name="type">Number type of the stored weights.</param>
    public void Save(string folder, string? tokenizerFolder = null, WeightType type = WeightType.Float32)
    {
        using var scope = NewDisposeScope();
        HfCheckpoint.Save(folder, Config, Architecture.CausalLm, adapter?.Merged(weights.All) ?? weights.All, tokenizerFolder, type);
        if (adapter is not null) PeftAdapter.Save(Path.Combine(folder, "adapter"), adapter, tokenizerFolder);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        adapter?.Dispose();
        weights.Dispose();
    }
}
