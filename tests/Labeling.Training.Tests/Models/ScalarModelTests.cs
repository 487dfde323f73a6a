using System.Text.Json.Nodes;
using Labeling.Training.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Models;

public sealed class ScalarModelTests : IDisposable
{
    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("labeling-test-");
    readonly DisposeScope scope = NewDisposeScope();
    readonly CausalLm language = CausalLm.New(ModelConfig.Gpt2(50, 32, 2, 4, 64, eosTokenId: 3, padTokenId: 3), 1);

    public void Dispose()
    {
        language.Dispose();
        scope.Dispose();
        folder.Delete(recursive: true);
    }

    [Fact]
    public void A_new_head_is_drawn_with_the_published_width_and_the_body_is_a_copy()
    {
        using var wide = CausalLm.New(ModelConfig.Gpt2(10, 1024, 1, 4, 8), 1);
        using var model = RewardModel.From(wide, seed: 2);
        Assert.Equal(1 / Math.Sqrt(1025), model.Parameters["score.weight"].std().ToDouble(), 0.003);
        using (no_grad()) model.Parameters["transformer.wte.weight"].zero_();
        Assert.NotEqual(0, wide.Parameters["transformer.wte.weight"].abs().sum().ToDouble());
    }

    [Fact]
    public void The_score_is_read_at_the_last_real_token_on_both_sides_with_an_end_token_inside()
    {
        using var model = RewardModel.From(language, 2);
        using var noGrad = no_grad();
        // 3 is end and padding token at once, and also stands inside the text.
        long[] text = [5, 9, 3, 17, 3];
        var plain = model.Rewards(tensor(text, [1, 5])).ToSingle();
        var right = model.Rewards(tensor([.. text, 3L, 3L], [1, 7]), tensor(new long[] { 1, 1, 1, 1, 1, 0, 0 }, [1, 7])).ToSingle();
        var left = model.Rewards(tensor([3L, 3L, .. text], [1, 7]), tensor(new long[] { 0, 0, 1, 1, 1, 1, 1 }, [1, 7])).ToSingle();
        Assert.Equal(plain, right, 1e-5f);
        Assert.Equal(plain, left, 1e-5f);
        Assert.NotEqual(plain, model.Rewards(tensor(text[..4], [1, 4])).ToSingle(), 1e-4f);
    }

    [Fact]
    public void The_shift_is_added_saved_and_inherited_by_the_value_model()
    {
        using var model = RewardModel.From(language, 2);
        using var noGrad = no_grad();
        var ids = tensor(new long[] { 5, 9, 3, 17, 8, 8 }, [2, 3]);
        var before = model.Rewards(ids);
        model.SetShift(-1.25);
        Assert.True((before - 1.25).allclose(model.Rewards(ids)));
        model.Save(folder.FullName);
        var config = JsonNode.Parse(File.ReadAllText(Path.Combine(folder.FullName, "config.json")))!;
        Assert.Equal("GPT2ForSequenceClassification", config["architectures"]![0]!.GetValue<string>());
        Assert.Equal(-1.25, config["reward_shift"]!.GetValue<double>());
        Assert.Single(config["id2label"]!.AsObject());

        using var loaded = RewardModel.Load(folder.FullName);
        Assert.True(loaded.Rewards(ids).equal(model.Rewards(ids)).all().ToBoolean());
        using var value = ValueModel.From(loaded);
        var values = value.Values(ids);
        Assert.Equal([2, 3], values.shape);
        Assert.True(values.select(1, 2).allclose(loaded.Rewards(ids), 1e-5, 1e-6));

        var second = Path.Combine(folder.FullName, "value");
        value.Save(second);
        using var again = ValueModel.Load(second);
        Assert.True(again.Values(ids).equal(values).all().ToBoolean());
    }

    [Fact]
    public void Several_heads_are_saved_as_their_mean_that_other_tools_read_and_beside_it_themselves()
    {
        using var model = RewardModel.From(language, 2, heads: 4);
        using var noGrad = no_grad();
        var ids = tensor(new long[] { 5, 9, 3, 17, 8, 8 }, [2, 3]);
        Assert.Equal([2, 4], model.HeadRewards(ids).shape);
        Assert.True(model.HeadRewards(ids).std(1).min().ToSingle() > 0);
        Assert.True(model.Rewards(ids).allclose(model.HeadRewards(ids).mean([1])));
        model.SetShift(0.5);
        model.Save(folder.FullName);
        using (var file = Labeling.Training.Checkpoints.SafetensorsFile.Open(Path.Combine(folder.FullName, "model.safetensors")))
        {
            Assert.Equal([1, 32], file.Entries["score.weight"].Shape);
            Assert.DoesNotContain("heads.weight", file.Entries.Keys);
            Assert.True(file.Read("score.weight").allclose(model.Parameters["heads.weight"].mean([0], keepdim: true)));
        }
        using var loaded = RewardModel.Load(folder.FullName);
        Assert.True(loaded.HeadRewards(ids).equal(model.HeadRewards(ids)).all().ToBoolean());
        using var value = ValueModel.From(loaded);
        Assert.True(value.Values(ids).select(1, 2).allclose(loaded.Rewards(ids), 1e-5, 1e-6));

        // Without the file of heads, as another program leaves the folder, the mean is the model.
        File.Delete(Path.Combine(folder.FullName, "reward_heads.safetensors"));
        using var mean = RewardModel.Load(folder.FullName);
        Assert.Equal(1, mean.Heads);
        Assert.True(mean.Rewards(ids).allclose(loaded.Rewards(ids), 1e-5, 1e-6));
    }

    [Fact]
    public void A_language_model_without_a_score_is_refused()
    {
        language.Save(folder.FullName);
        Assert.Contains("score.weight", Assert.Throws<Labeling.Training.Checkpoints.SafetensorsException>(() => RewardModel.Load(folder.FullName)).Message);
    }
}
