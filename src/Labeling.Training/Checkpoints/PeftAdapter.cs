using System.Text.Json.Nodes;
using Labeling.Training.Models;
using static TorchSharp.torch;

namespace Labeling.Training.Checkpoints;

/// <summary>Reads and writes adapters in the folder format of Hugging Face's PEFT: adapter_config.json and adapter_model.safetensors.</summary>
static class PeftAdapter
{
    public const string ConfigFile = "adapter_config.json";
    const string WeightsFile = "adapter_model.safetensors";
    const string ScoreName = LoraAdapter.Prefix + "score.weight";

    /// <summary>Writes the adapter, with the score of a reward model among its matrices.</summary>
    public static void Save(string folder, LoraAdapter adapter, string? baseFolder, Tensor? score = null)
    {
        Directory.CreateDirectory(folder);
        var config = new JsonObject
        {
            ["peft_type"] = "LORA",
            ["task_type"] = score is null ? "CAUSAL_LM" : "SEQ_CLS",
            ["base_model_name_or_path"] = baseFolder is null ? null : Path.GetRelativePath(folder, baseFolder).Replace('\\', '/'),
            ["r"] = adapter.Options.Rank,
            ["lora_alpha"] = adapter.Options.Alpha,
            ["lora_dropout"] = adapter.Options.Dropout,
            ["target_modules"] = new JsonArray([.. adapter.TargetModules.Select(t => (JsonNode)t)]),
            ["modules_to_save"] = score is null ? null : new JsonArray("score"),
            // Conv1D keeps its weights as [in, out].
            ["fan_in_fan_out"] = adapter.Transposed,
            ["bias"] = "none",
            ["init_lora_weights"] = true,
            ["inference_mode"] = true,
            ["use_rslora"] = false,
            ["use_dora"] = false,
        };
        HfCheckpoint.WriteJson(Path.Combine(folder, ConfigFile), config);
        var weights = score is null ? adapter.Parameters : adapter.Parameters.Append(new(ScoreName, score));
        SafetensorsFile.Write(Path.Combine(folder, WeightsFile), weights);
    }

    /// <summary>Reads an adapter and puts it on a decoder; a score among its matrices is copied into <paramref name="score"/>.</summary>
    /// <exception cref="LoraException">A file is missing, or the adapter is of a kind that is not calculated here.</exception>
    /// <exception cref="SafetensorsException">The weights are damaged or of the wrong shape.</exception>
    public static LoraAdapter Load(string folder, Decoder body, Tensor? score = null)
    {
        var path = Path.Combine(folder, ConfigFile);
        var options = Options(ModelConfig.ReadJson(path) ?? throw new LoraException($"{path}: there is no such file; an adapter folder needs it."), path);
        using var file = SafetensorsFile.Open(Path.Combine(folder, WeightsFile));
        var names = file.Entries.Keys.ToHashSet(StringComparer.Ordinal);
        if (names.Remove(ScoreName))
        {
            if (score is null) throw new LoraException($"{file.Path}: the adapter has a score, so it belongs to a reward model and not to a language model.");
            file.CopyTo(ScoreName, score);
        }
        try
        {
            return LoraAdapter.From(body, options, names, file.CopyTo);
        }
        catch (LoraException e)
        {
            throw new LoraException($"{file.Path}: {e.Message}");
        }
    }

    /// <summary>The base model's folder an adapter names, looked for beside the adapter.</summary>
    /// <exception cref="LoraException">It names none, or one that is not there.</exception>
    public static string BaseFolder(string folder)
    {
        var path = Path.Combine(folder, ConfigFile);
        var name = ModelConfig.ReadJson(path)?["base_model_name_or_path"] is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
        if (string.IsNullOrEmpty(name)) throw new LoraException($"{path}: base_model_name_or_path is missing; name the folder of the model the adapter was trained on.");
        var full = Path.GetFullPath(Path.Combine(folder, name));
        return Directory.Exists(full) ? full : throw new LoraException($"{path}: base_model_name_or_path is '{name}', but there is no folder {full}. Put the base model there, or write its path into the file.");
    }

    static LoraOptions Options(JsonObject json, string path)
    {
        string? Text(string field) => json[field] is JsonValue v && v.TryGetValue<string>(out var text) ? text : null;
        bool Flag(string field) => json[field] is JsonValue v && v.TryGetValue<bool>(out var on) && on;
        double Number(string field, double otherwise) => json[field] switch
        {
            null => otherwise,
            JsonValue v when v.TryGetValue<double>(out var number) && double.IsFinite(number) => number,
            _ => throw new LoraException($"{path}: {field} must be a number."),
        };
        bool Filled(string field) => json[field] is JsonObject { Count: > 0 };
        if (Text("peft_type") != "LORA") throw new LoraException($"{path}: peft_type is {Text("peft_type") ?? "missing"}; only LORA is calculated here.");
        if (Flag("use_dora")) throw new LoraException($"{path}: use_dora is on; DoRA is not calculated here.");
        if ((Text("bias") ?? "none") != "none") throw new LoraException($"{path}: bias is {Text("bias")}; adapters that change biases are not read.");
        if (Filled("rank_pattern") || Filled("alpha_pattern")) throw new LoraException($"{path}: rank_pattern and alpha_pattern are not calculated here; all modules must have one rank and one alpha.");
        var rank = Number("r", 8);
        if (rank < 1 || rank != Math.Floor(rank) || rank > int.MaxValue) throw new LoraException($"{path}: r is {rank}; it must be a whole number from 1.");
        var alpha = Number("lora_alpha", 8);
        // Rank-stabilised LoRA (Kalajdzievski 2023) divides by the root of the rank.
        return new LoraOptions((int)rank, Flag("use_rslora") ? alpha * Math.Sqrt(rank) : alpha, Number("lora_dropout", 0));
    }
}
