using System.Text.Json;
using Labeling.Training.Generation;
using Labeling.Training.Models;
using Labeling.Training.Native;
using Labeling.Training.Optim;
using Labeling.Training.Runs;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Checks;

/// <summary>A language model folder against golden logits, losses, log-probabilities, gradients, greedy continuations and training steps.</summary>
internal static class LanguageModelCheck
{
    public static List<Comparison> Run(GoldenFile golden)
    {
        var results = new List<Comparison>();
        var more = GoldenFile.Given(golden.Root, "generation") ? golden.Root.GetProperty("generation").EnumerateArray().Select(NewTokens).DefaultIfEmpty(0).Max() : 0;
        using var model = CausalLm.Load(golden.Folder, ModelBatch.Fit(golden, more));
        results.AddRange(Forward(golden, model));
        if (GoldenFile.Given(golden.Root, "gradients"))
        {
            var gradients = new GradientCheck();
            var losses = new Comparison("gradients, loss", 2e-5, 1e-5);
            foreach (var expected in golden.Root.GetProperty("gradients").EnumerateObject())
            {
                using var scope = NewDisposeScope();
                var loss = Loss(golden, model, golden.Case(expected.Name));
                if (GoldenFile.Given(expected.Value, "loss")) losses.Add(expected.Value.GetProperty("loss").GetDouble(), loss.ToDouble(), expected.Name);
                AutogradFunction.RunBackward(loss);
                gradients.Compare(model.Parameters, expected.Value, expected.Name);
            }
            results.AddRange([losses, .. gradients.Results]);
        }
        if (GoldenFile.Given(golden.Root, "generation")) results.Add(Generation(golden, model));
        // Last, as it changes the weights.
        if (GoldenFile.Given(golden.Root, "train_trace")) results.AddRange(TrainTrace(golden, model, golden.Root.GetProperty("train_trace")));
        return results;
    }

    static IEnumerable<Comparison> Forward(GoldenFile golden, CausalLm model)
    {
        var (logits, losses, logProbs) = (new Comparison("logits", 1e-4, 1e-5), new Comparison("loss", 2e-5, 1e-5), new Comparison("log-probabilities", 1e-4, 1e-5));
        using var noGrad = no_grad();
        foreach (var test in golden.Cases)
        {
            using var scope = NewDisposeScope();
            var batch = ModelBatch.Read(golden, test);
            var actual = Logits(model, batch);
            if (GoldenFile.Given(test, "loss")) losses.Add(test.GetProperty("loss").GetDouble(), Loss(actual, test).ToDouble(), batch.Name);
            if (GoldenFile.Given(test, "logits"))
            {
                for (var b = 0; b < batch.Batch; b++)
                {
                    for (var t = 0; t < batch.Time; t++)
                    {
                        // Outputs at padding are not specified.
                        if (batch.IsReal(b, t)) Row(logits, test.GetProperty("logits")[b][t], actual[b, t], $"{batch.Name} logits", b, t);
                    }
                }
            }
            if (GoldenFile.Given(test, "last_logits"))
            {
                for (var b = 0; b < batch.Batch; b++)
                {
                    var last = GoldenFile.Given(test, "last_positions") ? test.GetProperty("last_positions")[b].GetInt32() : Enumerable.Range(0, batch.Time).Last(t => batch.IsReal(b, t));
                    Row(logits, test.GetProperty("last_logits")[b], actual[b, last], $"{batch.Name} last_logits", b, last);
                }
            }
            if (GoldenFile.Given(test, "next_token_logprobs"))
            {
                var chosen = F.log_softmax(actual, -1).narrow(1, 0, batch.Time - 1).gather(2, batch.IdTensor().narrow(1, 1, batch.Time - 1).unsqueeze(2)).cpu().contiguous();
                var values = TensorMemory.Span<float>(chosen);
                for (var b = 0; b < batch.Batch; b++)
                {
                    var t = 0;
                    foreach (var expected in test.GetProperty("next_token_logprobs")[b].EnumerateArray())
                    {
                        if (expected.ValueKind != JsonValueKind.Null) logProbs.Add(expected.GetDouble(), values[(b * (batch.Time - 1)) + t], $"{batch.Name} next_token_logprobs", b, t);
                        t++;
                    }
                }
            }
        }
        return [logits, losses, logProbs];
    }

    static void Row(Comparison comparison, JsonElement expected, Tensor actual, string place, int row, int position)
    {
        using var contiguous = actual.cpu().contiguous();
        var values = TensorMemory.Span<float>(contiguous);
        if (expected.GetArrayLength() != values.Length)
        {
            comparison.Fail($"{place}[{row},{position}]: {values.Length} values, expected {expected.GetArrayLength()}");
            return;
        }
        var i = 0;
        foreach (var value in expected.EnumerateArray()) comparison.Add(value.GetDouble(), values[i], place, row, position, i++);
    }

    static Tensor Logits(CausalLm model, ModelBatch batch)
    {
        model.Body.CountPadding = batch.CountPadding;
        try
        {
            return model.Logits(model.Hidden(batch.IdTensor(), batch.MaskTensor()));
        }
        finally
        {
            model.Body.CountPadding = false;
        }
    }

    static Tensor Loss(GoldenFile golden, CausalLm model, JsonElement test) => Loss(Logits(model, ModelBatch.Read(golden, test)), test);

    /// <summary>Mean over the labels that are not -100, each predicted by the position before it.</summary>
    static Tensor Loss(Tensor logits, JsonElement test)
    {
        var labels = ModelBatch.Matrix(ModelBatch.Longs(test.GetProperty("labels")));
        return F.cross_entropy(logits.narrow(1, 0, logits.shape[1] - 1).reshape(-1, logits.shape[2]), labels.narrow(1, 1, labels.shape[1] - 1).reshape(-1));
    }

    static int NewTokens(JsonElement expected) =>
        GoldenFile.Given(expected, "max_new_tokens") ? expected.GetProperty("max_new_tokens").GetInt32() : expected.GetProperty("new_tokens").EnumerateArray().Max(r => r.GetArrayLength());

    static Comparison Generation(GoldenFile golden, CausalLm model)
    {
        var comparison = Comparison.Exact("greedy generation");
        foreach (var expected in golden.Root.GetProperty("generation").EnumerateArray())
        {
            var batch = ModelBatch.Read(golden, golden.Case(expected.GetProperty("case").GetString()!));
            var prompts = batch.Rows();
            int[] ends = !GoldenFile.Given(expected, "eos_token_id") ? []
                : expected.GetProperty("eos_token_id") is { ValueKind: JsonValueKind.Array } several ? TokenizerCheck.Ints(several)
                : [expected.GetProperty("eos_token_id").GetInt32()];
            var padding = GoldenFile.Given(expected, "pad_token_id") ? expected.GetProperty("pad_token_id").GetInt32() : model.Config.PadTokenId ?? 0;
            var generated = BatchGenerator.Generate(model, prompts, new ulong[prompts.Length], NewTokens(expected), new SamplingOptions(Temperature: 0), ends);
            var b = 0;
            foreach (var row in expected.GetProperty("new_tokens").EnumerateArray())
            {
                var tokens = TokenizerCheck.Ints(row);
                // Rows that ended before the others are filled up.
                var own = generated[b].Tokens;
                int[] actual = [.. own, .. Enumerable.Repeat(padding, Math.Max(0, tokens.Length - own.Length))];
                TokenizerCheck.Compare(comparison, tokens, actual, $"{batch.Name} row {b++}{(ends.Length > 0 ? " with end token" : "")}");
            }
        }
        return comparison;
    }

    static IEnumerable<Comparison> TrainTrace(GoldenFile golden, CausalLm model, JsonElement trace)
    {
        var (losses, norms) = (new Comparison("train_trace, losses", 2e-4, 1e-4), new Comparison("train_trace, gradient norms", 2e-4, 1e-4));
        double Number(string name, double missing) => GoldenFile.Given(trace, name) ? trace.GetProperty(name).GetDouble() : missing;
        if (GoldenFile.Given(trace, "optimizer") && trace.GetProperty("optimizer").GetString() is var optimizerName and not "AdamW")
            throw new BadInputException($"{golden.Path}: train_trace.optimizer is '{optimizerName}'; only AdamW is supported.");
        var decay = GoldenFile.Given(trace, "weight_decay_on") ? trace.GetProperty("weight_decay_on").GetString() : "all parameters";
        if (decay != "all parameters" && Number("weight_decay", 0) != 0)
            throw new BadInputException($"{golden.Path}: train_trace.weight_decay_on is '{decay}'; only 'all parameters' is supported.");
        var (beta1, beta2) = GoldenFile.Given(trace, "betas") ? (trace.GetProperty("betas")[0].GetDouble(), trace.GetProperty("betas")[1].GetDouble()) : (0.9, 0.999);
        var options = new AdamWOptions(beta1, beta2, Number("eps", 1e-8), Number("weight_decay", 0.01), GoldenFile.Given(trace, "clip_grad_norm") ? Number("clip_grad_norm", 1) : null, DecayAll: true);
        using var optimizer = new AdamW(model.Parameters, options);
        var test = GoldenFile.Given(trace, "case") ? golden.Case(trace.GetProperty("case").GetString()!) : golden.Cases.First();
        var expectedNorms = trace.GetProperty("grad_norm_before_clipping").EnumerateArray().Select(n => n.GetDouble()).ToArray();
        var expectedLosses = trace.GetProperty("losses_before_each_step_then_final").EnumerateArray().Select(l => l.GetDouble()).ToArray();
        for (var step = 0; step < expectedLosses.Length; step++)
        {
            using var scope = NewDisposeScope();
            var loss = Loss(golden, model, test);
            losses.Add(expectedLosses[step], loss.ToDouble(), "step", step);
            if (step >= expectedNorms.Length) break;
            AutogradFunction.RunBackward(loss);
            norms.Add(expectedNorms[step], optimizer.Step(Number("lr", 1e-3)), "step", step);
        }
        return [losses, norms];
    }
}
