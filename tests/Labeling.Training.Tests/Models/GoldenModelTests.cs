using System.Text.Json;
using Labeling.Training.Generation;
using Labeling.Training.Models;
using Labeling.Training.Optim;
using TorchSharp;
using static Labeling.Training.Tests.Models.GoldenFolder;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Tests.Models;

/// <summary>Every model against numbers from Hugging Face's own code, within the tolerances of golden/README.md.</summary>
public sealed class GoldenModelTests : IDisposable
{
    readonly DisposeScope scope = NewDisposeScope();

    public static TheoryData<string> LanguageModels => [.. GoldenFolder.Models("causal-lm")];

    public static TheoryData<string> RewardModels => [.. GoldenFolder.Models("reward")];

    public void Dispose() => scope.Dispose();

    [Theory, MemberData(nameof(LanguageModels))]
    public void Logits_losses_and_log_probabilities(string folder)
    {
        using var model = CausalLm.Load(folder);
        using var golden = Read(folder);
        using var noGrad = no_grad();
        foreach (var test in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            var name = $"{Path.GetFileName(folder)} {test.GetProperty("name").GetString()}";
            var logits = model.Logits(model.Hidden(Ids(test.GetProperty("input_ids")), Mask(test.GetProperty("attention_mask"))));
            Close(test.GetProperty("loss").GetDouble(), Loss(logits, Ids(test.GetProperty("labels"))).ToDouble(), 2e-5, 1e-5, $"{name} loss");
            if (test.TryGetProperty("logits", out var all))
            {
                Compare(all, logits, name);
            }
            else
            {
                var positions = test.GetProperty("last_positions").EnumerateArray().Select(p => p.GetInt64()).ToArray();
                var last = stack([.. positions.Select((p, b) => logits[b, p])]);
                Compare(test.GetProperty("last_logits"), last, name);
            }
            var logProbabilities = F.log_softmax(logits, -1);
            var ids = Ids(test.GetProperty("input_ids"));
            foreach (var (row, b) in test.GetProperty("next_token_logprobs").EnumerateArray().Select((r, b) => (r, b)))
            {
                foreach (var (value, t) in row.EnumerateArray().Select((v, t) => (v, t)))
                {
                    if (value.ValueKind == JsonValueKind.Null) continue;
                    Close(value.GetDouble(), logProbabilities[b, t, ids[b, t + 1].ToInt64()].ToDouble(), 1e-4, 1e-5, $"{name} log-probability {b},{t}");
                }
            }
        }
    }

    [Theory, MemberData(nameof(LanguageModels))]
    public void Gradients(string folder)
    {
        using var model = CausalLm.Load(folder);
        using var golden = Read(folder);
        foreach (var expected in golden.RootElement.GetProperty("gradients").EnumerateObject())
        {
            var test = golden.RootElement.GetProperty("cases").EnumerateArray().Single(c => c.GetProperty("name").GetString() == expected.Name);
            Loss(model.Logits(model.Hidden(Ids(test.GetProperty("input_ids")), Mask(test.GetProperty("attention_mask")))), Ids(test.GetProperty("labels"))).backward();
            CompareGradients(model.Parameters, expected.Value, $"{Path.GetFileName(folder)} {expected.Name}");
        }
    }

    [Theory, MemberData(nameof(LanguageModels))]
    public void Greedy_generation(string folder)
    {
        using var model = CausalLm.Load(folder);
        using var golden = Read(folder);
        foreach (var expected in golden.RootElement.GetProperty("generation").EnumerateArray())
        {
            var name = expected.GetProperty("case").GetString();
            var test = golden.RootElement.GetProperty("cases").EnumerateArray().Single(c => c.GetProperty("name").GetString() == name);
            var prompts = Prompts(test);
            var rows = expected.GetProperty("new_tokens").EnumerateArray().Select(r => r.EnumerateArray().Select(t => t.GetInt32()).ToArray()).ToArray();
            int[] eos = expected.TryGetProperty("eos_token_id", out var end) && end.ValueKind == JsonValueKind.Number ? [end.GetInt32()] : [];
            var results = BatchGenerator.Generate(model, prompts, [.. prompts.Select(_ => 0UL)], rows[0].Length, new SamplingOptions(Temperature: 0), eos);
            for (var i = 0; i < rows.Length; i++)
            {
                var stop = eos.Length == 0 ? -1 : Array.IndexOf(rows[i], eos[0]);
                Assert.Equal(stop < 0 ? rows[i] : rows[i][..(stop + 1)], results[i].Tokens);
                Assert.Equal(stop < 0 ? FinishReason.Length : FinishReason.Stop, results[i].FinishReason);
            }
        }
    }

    [Theory, MemberData(nameof(LanguageModels))]
    public void Five_training_steps(string folder)
    {
        using var model = CausalLm.Load(folder);
        using var golden = Read(folder);
        if (!golden.RootElement.TryGetProperty("train_trace", out var trace) || trace.ValueKind != JsonValueKind.Object) Assert.Skip("no train trace");
        var test = golden.RootElement.GetProperty("cases")[0];
        var (optimizer, rate) = Optimizer(model, trace);
        using var owned = optimizer;
        double Evaluate()
        {
            var loss = Loss(model.Logits(model.Hidden(Ids(test.GetProperty("input_ids")))), Ids(test.GetProperty("labels")));
            loss.backward();
            return loss.ToDouble();
        }
        var losses = trace.GetProperty("losses_before_each_step_then_final").EnumerateArray().Select(l => l.GetDouble()).ToArray();
        var norms = trace.GetProperty("grad_norm_before_clipping").EnumerateArray().Select(l => l.GetDouble()).ToArray();
        for (var i = 0; i < norms.Length; i++)
        {
            Close(losses[i], Evaluate(), 2e-4, 1e-4, $"loss before step {i}");
            Close(norms[i], optimizer.Step(rate), 2e-4, 1e-4, $"gradient norm of step {i}");
        }
        Close(losses[^1], Evaluate(), 2e-4, 1e-4, "final loss");
    }

    [Theory, MemberData(nameof(RewardModels))]
    public void Rewards_and_pairwise_gradients(string folder)
    {
        using var model = RewardModel.Load(folder);
        using var golden = Read(folder);
        foreach (var test in golden.RootElement.GetProperty("cases").EnumerateArray())
        {
            var rewards = model.Rewards(Ids(test.GetProperty("input_ids")), Mask(test.GetProperty("attention_mask")));
            Compare(test.GetProperty("rewards_mask_positions"), rewards, test.GetProperty("name").GetString()!);
        }
        var pairwise = golden.RootElement.GetProperty("pairwise");
        var pairs = golden.RootElement.GetProperty("cases").EnumerateArray().Single(c => c.GetProperty("name").GetString() == pairwise.GetProperty("case").GetString());
        var scores = model.Rewards(Ids(pairs.GetProperty("input_ids")), Mask(pairs.GetProperty("attention_mask")));
        Tensor Rows(string name) => scores.index_select(0, tensor(pairwise.GetProperty(name).EnumerateArray().Select(r => r.GetInt64()).ToArray()));
        var loss = F.logsigmoid(Rows("chosen_rows") - Rows("rejected_rows")).neg().mean();
        Close(pairwise.GetProperty("loss").GetDouble(), loss.ToDouble(), 2e-5, 1e-5, "pairwise loss");
        loss.backward();
        CompareGradients(model.Parameters, pairwise, Path.GetFileName(folder));
    }

    static (AdamW, double) Optimizer(CausalLm model, JsonElement trace)
    {
        double Number(string name) => trace.GetProperty(name).GetDouble();
        var betas = trace.GetProperty("betas");
        Assert.Equal("all parameters", trace.GetProperty("weight_decay_on").GetString());
        var options = new AdamWOptions(betas[0].GetDouble(), betas[1].GetDouble(), Number("eps"), Number("weight_decay"), Number("clip_grad_norm"), DecayAll: true);
        return (new AdamW(model.Parameters, options), Number("lr"));
    }

    static Tensor Loss(Tensor logits, Tensor labels) =>
        F.cross_entropy(logits.narrow(1, 0, logits.shape[1] - 1).reshape(-1, logits.shape[2]), labels.narrow(1, 1, labels.shape[1] - 1).reshape(-1));

    static List<int[]> Prompts(JsonElement test)
    {
        var mask = test.GetProperty("attention_mask");
        return [.. test.GetProperty("input_ids").EnumerateArray().Select((row, b) =>
            row.EnumerateArray().Select(t => t.GetInt32()).Where((_, t) => mask.ValueKind == JsonValueKind.Null || mask[b][t].GetInt32() == 1).ToArray())];
    }

    static void Compare(JsonElement expected, Tensor actual, string name)
    {
        static IEnumerable<double> Flat(JsonElement e) => e.ValueKind == JsonValueKind.Array ? e.EnumerateArray().SelectMany(Flat) : [e.GetDouble()];
        var values = Flat(expected).ToArray();
        var got = actual.contiguous().data<float>().ToArray();
        Assert.Equal(values.Length, got.Length);
        for (var i = 0; i < values.Length; i++) Close(values[i], got[i], 1e-4, 1e-5, $"{name} value {i}");
    }

    static void CompareGradients(IReadOnlyDictionary<string, Tensor> parameters, JsonElement expected, string name)
    {
        var total = 0.0;
        foreach (var norm in expected.GetProperty("all_norms").EnumerateObject())
        {
            using var gradient = parameters[norm.Name].grad!;
            var actual = gradient.norm().ToDouble();
            total += actual * actual;
            Close(norm.Value.GetDouble(), actual, 2e-5, 1e-4, $"{name} gradient norm of {norm.Name}");
        }
        Assert.Equal(expected.GetProperty("all_norms").EnumerateObject().Count(), parameters.Count);
        Close(expected.GetProperty("total_norm").GetDouble(), Math.Sqrt(total), 2e-5, 1e-4, $"{name} total norm");
        foreach (var tensor in expected.GetProperty("tensors").EnumerateObject())
        {
            using var gradient = parameters[tensor.Name].grad!;
            Assert.Equal(tensor.Value.GetProperty("shape").EnumerateArray().Select(s => s.GetInt64()), gradient.shape);
            foreach (var value in tensor.Value.GetProperty("values").EnumerateArray())
            {
                var index = value.GetProperty("index").EnumerateArray().Select(i => i.GetInt64()).ToArray();
                Close(value.GetProperty("value").GetDouble(), gradient[[.. index.Select(i => TensorIndex.Single(i))]].ToDouble(), 2e-5, 1e-4, $"{name} gradient of {tensor.Name}");
            }
        }
        foreach (var parameter in parameters.Values) parameter.grad = null;
    }
}
