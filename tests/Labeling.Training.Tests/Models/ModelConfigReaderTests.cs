using Labeling.Training.Checkpoints;
using Labeling.Training.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Models;

/// <summary>Settings of config.json that the golden models do not have.</summary>
public sealed class ModelConfigReaderTests : IDisposable
{
    private const string Llama = """ "model_type":"llama","vocab_size":16,"hidden_size":32,"num_attention_heads":2,"num_hidden_layers":1,"intermediate_size":8,"max_position_embeddings":64""";
    private readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("config-");
    private readonly DisposeScope scope = NewDisposeScope();

    public void Dispose()
    {
        scope.Dispose();
        folder.Delete(recursive: true);
    }

    private ModelConfig Read(string fields)
    {
        File.WriteAllText(Path.Combine(folder.FullName, "config.json"), "{" + fields + "}");
        return ModelConfig.Load(folder.FullName);
    }

    /// <summary>Frequencies worked out from the paper's formula in a separate program: ramp from 0 to 3.</summary>
    [Fact]
    public void Yarn_keeps_high_frequencies_and_divides_low_ones()
    {
        var config = Read(Llama + ""","rope_scaling":{"type":"yarn","factor":4.0}""");
        double[] expected = [1.0, 0.23717082451262847, 0.05, 0.007905694150420948, 0.0025, 0.0007905694150420948, 0.00025, 7.905694150420948e-05];
        var actual = Rotary.Frequencies(config, 64);
        Assert.All(expected.Zip(actual), p => Assert.Equal(p.First, p.Second, p.First * 1e-12));
        Assert.Equal(1.138629436111989, config.RopeScaling!.AttentionFactor, 1e-12);
        // The original context may be given, and with it nothing changes when config.json says the longer one.
        var longer = Read(Llama.Replace("64", "256", StringComparison.Ordinal) + ""","rope_scaling":{"rope_type":"yarn","factor":4.0,"original_max_position_embeddings":64}""");
        Assert.Equal(actual, Rotary.Frequencies(longer, 256));
        Assert.Equal(1.5, Read(Llama + ""","rope_scaling":{"rope_type":"yarn","factor":4.0,"attention_factor":1.5}""").RopeScaling!.AttentionFactor);
    }

    [Fact]
    public void Dynamic_scaling_begins_beyond_the_trained_positions()
    {
        var config = Read(Llama + ""","rope_scaling":{"type":"dynamic","factor":2.0}""");
        Assert.Equal(Rotary.Frequencies(Read(Llama), 64), Rotary.Frequencies(config, 64));
        // theta * (2 * 96 / 64 - 1)^(16/14), as in the paper's appendix.
        var longer = Rotary.Frequencies(config with { MaxPositions = 96, TrainedPositions = 64 }, 96);
        Assert.Equal(0.28641497097875973, longer[1], 1e-12);
        Assert.Equal(0.00015811388300841897, longer[7], 1e-15);
    }

    /// <summary>√(1 + ln(factor) / ln(original)), and where the factor and the original context come from.</summary>
    [Fact]
    public void Longrope_has_a_divisor_for_each_frequency_and_an_attention_factor()
    {
        const string Lists = """ "short_factor":[1,1,1,1,2,2,2,2],"long_factor":[1,2,3,4,5,6,7,8]""";
        var config = Read(Llama + $$""","original_max_position_embeddings":16,"rope_scaling":{"type":"longrope",{{Lists}}}""");
        Assert.Equal(16, config.RopeScaling!.OriginalMaxPositions);
        Assert.Equal(1.224744871391589, config.RopeScaling.AttentionFactor, 1e-15); // 64 / 16 = 4, ln 4 / ln 16 = 1/2
        var plain = Rotary.Frequencies(Read(Llama), 64);
        Assert.Equal([.. plain.Select((f, i) => f / (i < 4 ? 1 : 2))], Rotary.Frequencies(config, 16));
        Assert.Equal([.. plain.Select((f, i) => f / (i + 1))], Rotary.Frequencies(config, 17));
        // A factor is taken at its word, the original context beside the scaling before the one in it.
        config = Read(Llama + $$""","original_max_position_embeddings":16,"rope_scaling":{"type":"su","factor":256,"original_max_position_embeddings":8,{{Lists}}}""");
        Assert.Equal((16, 1.7320508075688772), (config.RopeScaling!.OriginalMaxPositions, config.RopeScaling.AttentionFactor)); // √3
        // Without either, nothing is longer than the original context.
        config = Read(Llama + $$""","rope_parameters":{"rope_type":"longrope",{{Lists}}}""");
        Assert.Equal((64, 1.0, false), (config.RopeScaling!.OriginalMaxPositions, config.RopeScaling.AttentionFactor, config.AnglesFollowLength));
        // A quarter of a head of 32 is rotated: 4 pairs.
        var neox = Read(Llama.Replace("llama", "gpt_neox", StringComparison.Ordinal).Replace("\"hidden_size\":32", "\"hidden_size\":64", StringComparison.Ordinal)
            + ""","rope_scaling":{"rope_type":"longrope","short_factor":[1,1,1,1],"long_factor":[2,2,2,4],"factor":4,"original_max_position_embeddings":16}""");
        Assert.Equal([0.5, 0.05, 0.005, 0.00025], Rotary.Frequencies(neox, 17).Select(f => Math.Round(f, 12)));
    }

    [Fact]
    public void Newer_field_names_and_missing_ones_get_the_reference_values()
    {
        var config = Read(Llama + ""","rope_parameters":{"rope_type":"default","rope_theta":500000.0}""");
        Assert.Equal(500000, config.RopeTheta);
        Assert.Null(config.RopeScaling);
        Assert.Equal(16, config.HeadSize);
        Assert.Equal(2, config.KeyValueHeads);
        var mistral = Llama.Replace("llama", "mistral", StringComparison.Ordinal) + ""","num_key_value_heads":1""";
        Assert.Equal(4096, Read(mistral).SlidingWindow);
        Assert.Null(Read(mistral + ""","sliding_window":null""").SlidingWindow);
        var qwen = Llama.Replace("llama", "qwen2", StringComparison.Ordinal);
        Assert.Null(Read(qwen + ""","sliding_window":8,"use_sliding_window":true,"max_window_layers":1""").SlidingWindow);
        Assert.Equal(8, Read(qwen + ""","sliding_window":8,"use_sliding_window":true,"max_window_layers":0""").SlidingWindow);
        var neox = Llama.Replace("llama", "gpt_neox", StringComparison.Ordinal) + ""","rope_parameters":{"rope_type":"default","rope_theta":10000,"partial_rotary_factor":0.5}""";
        Assert.Equal(8, Read(neox).RotarySize);
    }

    /// <summary>With one layer and relative positions, a token sees what the last tokens of its window alone would show it.</summary>
    [Fact]
    public void A_sliding_window_hides_what_lies_before_it()
    {
        var config = Read(Llama.Replace("llama", "mistral", StringComparison.Ordinal) + ""","num_key_value_heads":1,"sliding_window":5""");
        using var model = CausalLm.New(config with { InitializerRange = 0.5 }, seed: 3);
        using var noGrad = no_grad();
        var ids = tensor(Enumerable.Range(0, 12).Select(i => (long)(i * 7 % 16)).ToArray(), [1, 12]);
        var all = model.Logits(model.Hidden(ids));
        var missed = 0.0;
        for (var t = 4; t < 12; t++)
        {
            var window = model.Logits(model.Hidden(ids.narrow(1, t - 4, 5)));
            Assert.True((all[0, t] - window[0, 4]).abs().max().ToDouble() < 1e-4, $"position {t}");
            var shorter = model.Logits(model.Hidden(ids.narrow(1, t - 3, 4)));
            missed = Math.Max(missed, (all[0, t] - shorter[0, 3]).abs().max().ToDouble());
        }
        Assert.True(missed > 1e-2, "the window is one token too short");
    }

    [Theory]
    [InlineData(""","rope_scaling":{"rope_type":"abf","factor":4}""", "rope scaling abf is not supported")]
    [InlineData(""","hidden_act":"mish" """, "hidden_act is \"mish\"")]
    public void What_is_not_supported_is_named(string fields, string expected) =>
        Assert.Contains(expected, Assert.Throws<ModelConfigException>(() => Read(Llama + fields)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("qwen2", """ "use_sliding_window":true,"layer_types":["full_attention","sliding_attention"] """, "layer_types is [\"full_attention\",\"sliding_attention\"]", "each of the 1 layers")]
    [InlineData("qwen3", """ "layer_types":["chunked_attention"] """, "layer_types is [\"chunked_attention\"]", "full_attention or sliding_attention")]
    [InlineData("mistral", """ "layer_types":"sliding_attention" """, "layer_types is \"sliding_attention\"", "a list")]
    [InlineData("qwen2", """ "layer_types":["sliding_attention"] """, "layer_types is", "use_sliding_window is false")]
    [InlineData("qwen3", """ "use_sliding_window":true,"sliding_window":null,"layer_types":["sliding_attention"] """, "layer_types is", "sliding_window null")]
    [InlineData("mistral", """ "sliding_window":null,"layer_types":["sliding_attention"] """, "layer_types is", "sliding_window is null")]
    [InlineData("mistral", """ "sliding_window":0 """, "sliding_window is 0", "positive")]
    [InlineData("llama", """ "rope_scaling":{"type":"longrope","short_factor":[1,1,1],"long_factor":[1,1,1,1,1,1,1,1]} """, "short_factor is a list of 3", "8 rotated pairs")]
    [InlineData("qwen2", """ "rope_scaling":{"type":"su","short_factor":[1,1,1,1,1,1,1,1],"long_factor":[1,1,1,1,1,1,1,1,1]} """, "long_factor is a list of 9", "8 rotated pairs")]
    [InlineData("llama", """ "rope_scaling":{"type":"longrope","short_factor":[1,1,1,1,1,1,1,1]} """, "long_factor is missing", "a list of numbers")]
    [InlineData("llama", """ "rope_scaling":{"type":"longrope","short_factor":[1,1,1,1,1,1,1,1],"long_factor":[1,1,"2",1,1,1,1,1]} """, "long_factor is [1,1,\"2\"", "a list of numbers")]
    [InlineData("llama", """ "rope_scaling":{"type":"longrope","short_factor":[1,1,1,1,1,1,1,0.5],"long_factor":[1,1,1,1,1,1,1,0]} """, "long_factor is [1, 1", "positive")]
    [InlineData("llama", """ "rope_scaling":{"type":"longrope","original_max_position_embeddings":0,"short_factor":[1,1,1,1,1,1,1,1],"long_factor":[1,1,1,1,1,1,1,1]} """, "original_max_position_embeddings is 0", "2 or more")]
    [InlineData("gpt2", """ "scale_attn_weights":"yes" """, "scale_attn_weights is \"yes\"", "true or false")]
    public void Impossible_values_are_named_with_file_and_field(string type, string fields, string named, string needed)
    {
        var message = Assert.Throws<ModelConfigException>(() => Read(Llama.Replace("llama", type, StringComparison.Ordinal) + """,  "num_key_value_heads":1,""" + fields)).Message;
        Assert.StartsWith(Path.Combine(folder.FullName, "config.json") + ": ", message, StringComparison.Ordinal);
        Assert.Contains(named, message, StringComparison.Ordinal);
        Assert.Contains(needed, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Windows_are_those_of_the_layers_that_have_them()
    {
        var three = Llama.Replace("llama", "qwen2", StringComparison.Ordinal).Replace("\"num_hidden_layers\":1", "\"num_hidden_layers\":3", StringComparison.Ordinal) + ""","num_key_value_heads":1""";
        int?[] Of(string fields)
        {
            var config = Read(three + fields);
            return [.. Enumerable.Range(0, 3).Select(config.WindowOf)];
        }
        Assert.Equal([null, 4096, 4096], Of(""","use_sliding_window":true,"max_window_layers":1"""));
        Assert.Equal([null, null, null], Of(""","use_sliding_window":true,"sliding_window":7"""));
        Assert.Equal([null, null, null], Of(""","use_sliding_window":true,"sliding_window":null,"max_window_layers":0"""));
        Assert.Equal([7, null, 7], Of(""","use_sliding_window":true,"sliding_window":7,"max_window_layers":0,"layer_types":["sliding_attention","full_attention","sliding_attention"]"""));
        three = three.Replace("qwen2", "mistral", StringComparison.Ordinal);
        Assert.Equal([4096, 4096, 4096], Of(""","layer_types":null"""));
        Assert.Equal([null, 4096, null], Of(""","layer_types":["full_attention","sliding_attention","full_attention"]"""));
        Assert.Equal([null, null, null], Of(""","sliding_window":7,"layer_types":["full_attention","full_attention","full_attention"]"""));
        three = three.Replace("mistral", "llama", StringComparison.Ordinal);
        Assert.Equal([null, null, null], Of(""","sliding_window":7,"layer_types":["sliding_attention","full_attention","sliding_attention"]"""));
    }

    [Fact]
    public void Of_a_tied_pair_either_tensor_may_be_stored()
    {
        var config = Read(Llama + ""","tie_word_embeddings":true""");
        using var model = CausalLm.New(config, seed: 1);
        model.Save(folder.FullName);
        var weights = model.Parameters.ToDictionary(p => p.Key == "model.embed_tokens.weight" ? "lm_head.weight" : p.Key, p => p.Value);
        SafetensorsFile.Write(Path.Combine(folder.FullName, "model.safetensors"), weights);
        using var read = CausalLm.Load(folder.FullName);
        Assert.True(read.Parameters["model.embed_tokens.weight"].equal(weights["lm_head.weight"]).all().ToBoolean());
    }

    [Fact]
    public void A_pickle_beside_the_config_is_refused_with_a_way_out()
    {
        Read(Llama);
        File.WriteAllText(Path.Combine(folder.FullName, "consolidated.00.pth"), "");
        var message = Assert.Throws<SafetensorsException>(() => CausalLm.Load(folder.FullName)).Message;
        Assert.Contains("consolidated.00.pth", message, StringComparison.Ordinal);
        Assert.Contains("convert", message, StringComparison.Ordinal);
    }
}
