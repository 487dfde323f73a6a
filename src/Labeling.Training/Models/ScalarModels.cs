using Labeling.Training.Checkpoints;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Models;

/// <summary>A decoder with a head of one number per token, stored as ...ForSequenceClassification with <c>score.weight</c>.</summary>
public abstract class ScalarModel : IDisposable
{
    const string ScoreName = "score.weight";
    readonly Weights weights;
    readonly Decoder body;
    readonly Tensor score;

    private protected ScalarModel(ModelConfig config, Weights weights, WeightSource body, WeightSource head)
    {
        (Config, this.weights) = (config, weights);
        this.body = new DecoderLayout(config, body).Build();
        score = head(ScoreName, [1, config.OutputSize], Init.Score);
    }

    /// <summary>The model's configuration, with <see cref="ModelConfig.RewardShift"/>.</summary>
    public ModelConfig Config { get; private protected set; }

    /// <summary>The trainable tensors by Hugging Face name, in registration order.</summary>
    public IReadOnlyDictionary<string, Tensor> Parameters => weights.All;

    internal Decoder Body => body;

    /// <summary>One number per token, shift included: [batch, time].</summary>
    private protected Tensor Scores(Tensor ids, Tensor? attentionMask)
    {
        using var scope = NewDisposeScope();
        var scores = F.linear(body.Forward(ids, attentionMask, null), score).squeeze(-1);
        return Shifted(scores).MoveToOuterDisposeScope();
    }

    /// <summary>The number at each row's last real token, shift included: [batch].</summary>
    private protected Tensor LastScores(Tensor ids, Tensor? attentionMask)
    {
        using var scope = NewDisposeScope();
        var hidden = body.Forward(ids, attentionMask, null);
        var (batch, time) = (ids.shape[0], ids.shape[1]);
        var last = attentionMask is null
            ? full(batch, time - 1, ScalarType.Int64, ids.device)
            : (attentionMask.to_type(ScalarType.Int64) * arange(1, time + 1, ScalarType.Int64, ids.device)).argmax(1);
        var rows = hidden.reshape(batch * time, -1).index_select(0, last + arange(batch, ScalarType.Int64, ids.device) * time);
        return Shifted(F.linear(rows, score).squeeze(-1)).MoveToOuterDisposeScope();
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

    /// <summary>Saves a complete Hugging Face folder for ...ForSequenceClassification with one label.</summary>
    /// <param name="folder">Created when missing.</param>
    /// <param name="tokenizerFolder">Folder to copy tokenizer files from; null for none.</param>
    /// <param name="type">Number type of the stored weights.</param>
    public void Save(string folder, string? tokenizerFolder = null, WeightType type = WeightType.Float32) =>
        HfCheckpoint.Save(folder, Config, Architecture.SequenceClassification, weights.All, tokenizerFolder, type);

    /// <inheritdoc/>
    public void Dispose()
    {
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
    RewardModel(ModelConfig config, Weights weights, WeightSource body, WeightSource head) : base(config, weights, body, head)
    {
    }

    /// <summary>A reward model that begins as a copy of a language model's body.</summary>
    /// <param name="model">Usually the SFT model.</param>
    /// <param name="seed">Seed of the new head.</param>
    public static RewardModel From(CausalLm model, long seed)
    {
        var weights = new Weights();
        return new RewardModel(model.Config with { RewardShift = 0 }, weights, weights.CopyOf(model.Parameters), weights.Fresh(model.Config, seed));
    }

    /// <summary>Loads a ...ForSequenceClassification folder with one label.</summary>
    /// <param name="folder">The folder.</param>
    /// <exception cref="ModelConfigException">config.json is missing, damaged or unsupported.</exception>
    /// <exception cref="SafetensorsException">Weights are missing (for example score.weight), damaged or of the wrong shape.</exception>
    public static RewardModel Load(string folder) => Load(folder, config => config);

    /// <summary>The same with a change to what config.json says.</summary>
    internal static RewardModel Load(string folder, Func<ModelConfig, ModelConfig> change) =>
        LoadFolder(folder, (config, weights, source) => new RewardModel(config, weights, source, source), change);

    /// <summary>Rewards at each row's last real token, <see cref="ModelConfig.RewardShift"/> included.</summary>
    /// <param name="ids">int64 [batch, time].</param>
    /// <param name="attentionMask">[batch, time], 1 or true at real tokens (padding on either side); null when all are real.</param>
    /// <returns>float32 [batch].</returns>
    public Tensor Rewards(Tensor ids, Tensor? attentionMask = null) => LastScores(ids, attentionMask);

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
        var source = weights.CopyOf(model.Parameters);
        return new ValueModel(model.Config, weights, source, source);
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
