using Labeling.Training.Checkpoints;
using Labeling.Training.Models;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;

namespace Labeling.Training.Data;

/// <summary>Opens model folders with errors a user can act on.</summary>
internal static class ModelFolder
{
    /// <summary>
    /// A language model whose vocabulary holds every token of its tokenizer. Of a folder in PEFT's format, the base model it names with the
    /// adapter merged in.
    /// </summary>
    public static CausalLm Policy(string folder, Tokenizer tokenizer)
    {
        var model = Open(folder, Load);
        return FitsVocabulary(model, model.Config, folder, tokenizer);
    }

    /// <summary>The reward model of a run that scores the answers of <paramref name="policyFolder"/>'s policy by their token ids.</summary>
    public static RewardModel Reward(RunSpec spec, string policyFolder, CausalLm policy, Tokenizer tokenizer)
    {
        var folder = spec.RewardModel ?? throw new BadInputException($"{spec.File}: stage '{spec.Stage}' needs 'reward_model', the folder of a trained reward model.");
        RequireSameTokenizer(policyFolder, folder, spec.File);
        var model = Reward(folder, tokenizer);
        if (model.Config.MaxPositions < policy.Config.MaxPositions)
        {
            var positions = model.Config.MaxPositions;
            model.Dispose();
            throw new BadInputException($"{spec.File}: the reward model reads {positions} tokens and the policy writes up to {policy.Config.MaxPositions}; train the reward model from the same base model.");
        }
        return model;
    }

    /// <summary>A reward model whose vocabulary holds every token of its tokenizer.</summary>
    public static RewardModel Reward(string folder, Tokenizer tokenizer)
    {
        var model = Open(folder, RewardModel.Load);
        return FitsVocabulary(model, model.Config, folder, tokenizer);
    }

    private static CausalLm Load(string folder)
    {
        if (File.Exists(Path.Combine(folder, "config.json")) || !File.Exists(Path.Combine(folder, PeftAdapter.ConfigFile)))
        {
            return CausalLm.Load(folder);
        }
        var model = CausalLm.Load(PeftAdapter.BaseFolder(folder));
        try
        {
            model.LoadLora(folder);
            model.MergeLora();
        }
        catch
        {
            model.Dispose();
            throw;
        }
        return model;
    }

    /// <summary>Runs a loader, turning what is wrong with the folder into a <see cref="BadInputException"/>.</summary>
    public static T Open<T>(string folder, Func<string, T> load)
    {
        try
        {
            return load(folder);
        }
        catch (Exception e) when (e is ModelConfigException or SafetensorsException or LoraException or FileNotFoundException or InvalidDataException)
        {
            throw new BadInputException(e.Message, e);
        }
    }

    /// <summary>A padding token that is also the end token would be masked where models must learn to stop, in other tools if not in this one.</summary>
    public static void RequirePadApart(Tokenizer tokenizer, string folder)
    {
        if (tokenizer.PadId is { } pad && pad == tokenizer.EosId)
        {
            throw new BadInputException($"The tokenizer of '{folder}' has one token, '{tokenizer.Decode([pad])}', both for the end and for padding: a model could not learn where answers end. Give it a pad_token of its own, or none, in tokenizer_config.json.");
        }
    }

    private static T FitsVocabulary<T>(T model, ModelConfig config, string folder, Tokenizer tokenizer)
        where T : IDisposable
    {
        if (tokenizer.VocabSize <= config.VocabularySize)
        {
            return model;
        }
        model.Dispose();
        throw new BadInputException($"The tokenizer of '{folder}' has {tokenizer.VocabSize} tokens but the model's weights have {config.VocabularySize}: they do not belong together.");
    }

    /// <summary>Two models that read each other's ids must have the same tokenizer.</summary>
    public static void RequireSameTokenizer(string first, string second, string file)
    {
        var one = File.ReadAllBytes(Path.Combine(first, "tokenizer.json"));
        var other = Path.Combine(second, "tokenizer.json");
        if (!File.Exists(other) || !one.AsSpan().SequenceEqual(File.ReadAllBytes(other)))
        {
            throw new BadInputException($"{file}: the tokenizers of '{first}' and '{second}' differ; the reward model scores the policy's own token ids, so both must come from the same base model.");
        }
    }
}
