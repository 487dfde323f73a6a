using Labeling.Training.Checkpoints;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Models;

/// <summary>
/// A decoder with a head of one number per token, stored as ...ForSequenceClassification with <c>score.weight</c>. A reward model may have
/// several heads, whose mean is the number; then <c>score.weight</c> is stored as the mean of their weights.
/// </summary>
public abstract class ScalarModel : IDisposable
{
    const string ScoreName = "score.weight";
    private protected const string HeadsName = "heads.weight";
    /// <summary>File beside model.safetensors with the heads of an ensemble: <c>heads.weight</c> [heads, hidden].</summary>
    private protected const string HeadsFile = "reward_heads.safetensors";
    readonly Weights weights;
    readonly Decoder body;
    readonly Tensor score;
    LoraAdapter? adapter;

    private protected ScalarModel(ModelConfig config, Weights weights, WeightSource body, WeightSource head, int heads = 1)
    {
        (Config, this.weights) = (config, weights);
        this.body = new DecoderLayout(config, body).Build();
        score = head(heads == 1 ? ScoreName : HeadsName, [heads, config.OutputSize], Init.Score);
    }

    /// <summary>The model's configuration, with <see cref="ModelConfig.RewardShift"/>.</summary>
    public ModelConfig Config { get; private protected set; }

    /// <summary>The trainable tensors by Hugging Face name, in registration order.</summary>
    public IReadOnlyDictionary<string, Tensor> Parameters => weights.All;

    /// <summary>What training changes: the head and the matrices of the adapter by PEFT's names where there is one, else all <see cref="Parameters"/>.</summary>
    public IReadOnlyDictionary<string, Tensor> Trainable => adapter is null
        ? weights.All
        : new OrderedDictionary<string, Tensor>(adapter.Parameters, StringComparer.Ordinal) { [Heads == 1 ? ScoreName : HeadsName] = score };

    /// <summary>Number of heads.</summary>
    public int Heads => (int)score.shape[0];

    /// <summary>Freezes the body and adds a new low-rank adapter, which changes nothing until it is trained; the head stays trainable.</summary>
    /// <param name="options">Rank, scale and targets.</param>
    /// <param name="seed">The same seed gives the same adapter.</param>
    /// <exception cref="LoraException">A target is no module of this model, or there is an adapter already.</exception>
    public void AddLora(LoraOptions options, long seed) => Adapt(LoraAdapter.New(body, Config.ModelType, options, seed));

    /// <summary>Freezes the body and adds an adapter from a folder in PEFT's format, with the score stored in it.</summary>
    /// <param name="folder">Folder with adapter_config.json and adapter_model.safetensors.</param>
    /// <exception cref="LoraException">The adapter is not for this model or of a kind not known here.</exception>
    /// <exception cref="SafetensorsException">Its weights are missing, damaged or of the wrong shape.</exception>
    public void LoadLora(string folder) => Adapt(PeftAdapter.Load(folder, body, score));

    void Adapt(LoraAdapter added)
    {
        adapter = added;
        foreach (var tensor in weights.All.Values) tensor.requires_grad_(ReferenceEquals(tensor, score));
    }

    /// <summary>One weight of all heads, [1, hidden]: a mean of linear heads is the linear head of their mean.</summary>
    private protected Tensor MeanHead()
    {
        using var noGrad = no_grad();
        return Heads == 1 ? score : score.mean([0], keepdim: true);
    }

    internal Decoder Body => body;

    /// <summary>One number per token, shift included: [batch, time].</summary>
    private protected Tensor Scores(Tensor ids, Tensor? attentionMask)
    {
        using var scope = NewDisposeScope();
        var scores = F.linear(body.Forward(ids, attentionMask, null), score).squeeze(-1);
        return Shifted(scores).MoveToOuterDisposeScope();
    }

    /// <summary>Each head's number at each row's last real token, shift included: [batch, heads].</summary>
    private protected Tensor LastScores(Tensor ids, Tensor? attentionMask, Dropout? dropout)
    {
        using var scope = NewDisposeScope();
        var hidden = body.Forward(ids, attentionMask, null, null, dropout);
        var (batch, time) = (ids.shape[0], ids.shape[1]);
        var last = attentionMask is null
            ? full(batch, time - 1, ScalarType.Int64, ids.device)
            : (attentionMask.to_type(ScalarType.Int64) * arange(1, time + 1, ScalarType.Int64, ids.device)).argmax(1);
        var rows = hidden.reshape(batch * time, -1).index_select(0, last + arange(batch, ScalarType.Int64, ids.device) * time);
        return Shifted(F.linear(rows, score)).MoveToOuterDisposeScope();
    }

    Tensor Shifted(Tensor scores) => Config.RewardShift == 0 ? scores : scores + Config.RewardShift;

    private protected static T LoadFolder<T>(string folder, Func<ModelConfig, Weights, WeightSource, T> make, Func<ModelConfig, ModelConfig>? change = null)
    {
        var config = ModelConfig.Load(folder);
        if (change is not null) config = change(config);
        using var checkpoint = HfWeights.Open(folder, config);
        var weights = new Weights();
        try
        {
            return make(config, weights, weights.From(checkpoint));
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Saves a complete Hugging Face folder for ...ForSequenceClassification with one label. An adapter is merged into the stored weights and
    /// stored by itself in <c>adapter/</c> in PEFT's format; of several heads the mean is the score, and they stand beside it in reward_heads.safetensors.
    /// </summary>
    /// <param name="folder">Created when missing.</param>
    /// <param name="tokenizerFolder">Folder to copy tokenizer files from, and the one an adapter names as its base; null for none.</param>
    /// <param name="type">Number type of the stored weights.</param>
    public void Save(string folder, string? tokenizerFolder = null, WeightType type = WeightType.Float32)
    {
        using var scope = NewDisposeScope();
        var stored = new OrderedDictionary<string, Tensor>(adapter?.Merged(weights.All) ?? weights.All, StringComparer.Ordinal);
        if (Heads > 1)
        {
            stored.Remove(HeadsName);
            stored[ScoreName] = MeanHead();
        }
        HfCheckpoint.Save(folder, Config, Architecture.SequenceClassification, stored, tokenizerFolder, type);
        var heads = Path.Combine(folder, HeadsFile);
        File.Delete(heads);
        if (Heads > 1) SafetensorsFile.Write(heads, [new(HeadsName, score)]);
        if (adapter is not null) PeftAdapter.Save(Path.Combine(folder, "adapter"), adapter, tokenizerFolder, stored[ScoreName]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        adapter?.Dispose();
        weights.Dispose();
        GC.SuppressFinalize(this);
    }
}

/// <summary>
/// Scores a whole (prompt, response) by one number at its last real token (Ouyang et al. 2022, arXiv 2203.02155, section 3.5):
/// a language model without its unembedding, with a head drawn from N(0, 1/√(d+1)).
/// </summary>
public sealed class RewardModel : ScalarModel
{
    RewardModel(ModelConfig config, Weights weights, WeightSource body, WeightSource head, int heads = 1) : base(config, weights, body, head, heads)
    {
    }

    /// <summary>A reward model that begins as a copy of a language model's body.</summary>
    /// <param name="model">Usually the SFT model.</param>
    /// <param name="seed">Seed of the new head.</param>
    /// <param name="heads">Heads that begin differently; their mean is the reward and their spread how unsure it is.</param>
    public static RewardModel From(CausalLm model, long seed, int heads = 1)
    {
        var weights = new Weights();
        return new RewardModel(model.Config with { RewardShift = 0 }, weights, weights.CopyOf(model.Parameters), weights.Fresh(model.Config, seed), heads);
    }

    /// <summary>Loads a ...ForSequenceClassification folder with one label.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="ModelConfigException">config.json is missing, damaged or unsupported.</exception>
    /// <exception cref="SafetensorsException">Weights are missing (for example score.weight), damaged or of the wrong shape.</exception>
    public static RewardModel Load(string folder) => Load(folder, config => config);

    /// <summary>The same with a change to what config.json says.</summary>
    internal static RewardModel Load(string folder, Func<ModelConfig, ModelConfig> change) => LoadFolder(folder, (config, weights, source) =>
    {
        var path = Path.Combine(folder, HeadsFile);
        if (!File.Exists(path)) return new RewardModel(config, weights, source, source);
        using var file = SafetensorsFile.Open(path);
        using var stored = file.Read(HeadsName);
        if (stored.dim() != 2 || stored.shape[0] < 2) throw new SafetensorsException($"{path}: {HeadsName} has shape [{string.Join(", ", stored.shape)}]; [heads, {config.OutputSize}] is needed.");
        return new RewardModel(config, weights, source, (name, shape, _) =>
        {
            var heads = empty(shape);
            file.CopyTo(name, heads);
            return weights.Add(name, heads);
        }, (int)stored.shape[0]);
    }, change);

    /// <summary>Rewards at each row's last real token, <see cref="ModelConfig.RewardShift"/> included.</summary>
    /// <param name="ids">int64 [batch, time].</param>
    /// <param name="attentionMask">[batch, time], 1 or true at real tokens (padding on either side); null when all are real.</param>
    /// <param name="dropout">What is dropped in this pass; null, as in evaluation, for nothing.</param>
    /// <returns>float32 [batch].</returns>
    public Tensor Rewards(Tensor ids, Tensor? attentionMask = null, Dropout? dropout = null) => Mean(HeadRewards(ids, attentionMask, dropout));

    /// <summary>The reward each head gives, at each row's last real token; <see cref="Rewards"/> is their mean.</summary>
    /// <param name="ids">int64 [batch, time].</param>
    /// <param name="attentionMask">[batch, time], 1 or true at real tokens (padding on either side); null when all are real.</param>
    /// <param name="dropout">What is dropped in this pass; null, as in evaluation, for nothing.</param>
    /// <returns>float32 [batch, heads].</returns>
    public Tensor HeadRewards(Tensor ids, Tensor? attentionMask = null, Dropout? dropout = null) => LastScores(ids, attentionMask, dropout);

    /// <summary>Mean over heads: [batch] of [batch, heads].</summary>
    internal static Tensor Mean(Tensor heads) => heads.shape[1] == 1 ? heads.squeeze(-1) : heads.mean([1]);

    internal Tensor CopyOfHead()
    {
        using var noGrad = no_grad();
        return MeanHead().detach().clone();
    }

    /// <summary>Sets the constant that is added to every reward.</summary>
    /// <param name="shift">For example minus the mean score of the labelers' demonstrations.</param>
    public void SetShift(double shift) => Config = Config with { RewardShift = shift };
}

/// <summary>Predicts the return from every token on (the critic of PPO); begins as a copy of the reward model.</summary>
public sealed class ValueModel : ScalarModel
{
    ValueModel(ModelConfig config, Weights weights, WeightSource body, WeightSource head) : base(config, weights, body, head)
    {
    }

    /// <summary>A value model with the reward model's weights and shift.</summary>
    /// <param name="model">The trained reward model.</param>
    public static ValueModel From(RewardModel model)
    {
        var weights = new Weights();
        return new ValueModel(model.Config, weights, weights.CopyOf(model.Parameters), (name, _, _) => weights.Add(name, model.CopyOfHead()));
    }

    /// <summary>Loads a folder saved by <see cref="ScalarModel.Save"/>.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="ModelConfigException">config.json is missing, damaged or unsupported.</exception>
    /// <exception cref="SafetensorsException">Weights are missing, damaged or of the wrong shape.</exception>
    public static ValueModel Load(string folder) => LoadFolder(folder, (config, weights, source) => new ValueModel(config, weights, source, source));

    /// <summary>Values at every token; those at padding are not specified.</summary>
    /// <param name="ids">int64 [batch, time].</param>
    /// <param name="attentionMask">[batch, time], 1 or true at real tokens; null when all are real.</param>
    /// <returns>float32 [batch, time].</returns>
    public Tensor Values(Tensor ids, Tensor? attentionMask = null) => Scores(ids, attentionMask);
}
