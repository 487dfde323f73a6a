using System.Text.Json;
using Labeling.Training.Models;
using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Checks;

/// <summary>A reward model folder against golden rewards, and the gradients of the pairwise ranking loss.</summary>
internal static class RewardModelCheck
{
    public static List<Comparison> Run(GoldenFile golden)
    {
        var (defaultPositions, maskPositions) = (new Comparison("rewards, default positions", 1e-4, 1e-5), new Comparison("rewards, mask positions", 1e-4, 1e-5));
        var loss = new Comparison("pairwise, loss", 2e-5, 1e-5);
        var gradients = new GradientCheck();
        using var model = RewardModel.Load(golden.Folder, ModelBatch.Fit(golden, 0));
        foreach (var test in golden.Cases)
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            Compare(defaultPositions, test, "rewards_default_positions", () => Rewards(model, ModelBatch.Read(golden, test), countPadding: true));
            Compare(maskPositions, test, "rewards_mask_positions", () => Rewards(model, ModelBatch.Read(golden, test), countPadding: false));
        }
        if (GoldenFile.Given(golden.Root, "pairwise"))
        {
            using var scope = NewDisposeScope();
            var pairwise = golden.Root.GetProperty("pairwise");
            var name = pairwise.GetProperty("case").GetString()!;
            var scores = Rewards(model, ModelBatch.Read(golden, golden.Case(name)), countPadding: false);
            Tensor Rows(string field) => scores.index_select(0, tensor(pairwise.GetProperty(field).EnumerateArray().Select(r => r.GetInt64()).ToArray()));
            var computed = F.logsigmoid(Rows("chosen_rows") - Rows("rejected_rows")).neg().mean();
            loss.Add(pairwise.GetProperty("loss").GetDouble(), computed.ToDouble(), name);
            AutogradFunction.RunBackward(computed);
            gradients.Compare(model.Parameters, pairwise, name);
        }
        return [defaultPositions, maskPositions, loss, .. gradients.Results];
    }

    static Tensor Rewards(RewardModel model, ModelBatch batch, bool countPadding)
    {
        model.Body.CountPadding = countPadding;
        try
        {
            return model.Rewards(batch.IdTensor(), batch.MaskTensor());
        }
        finally
        {
            model.Body.CountPadding = false;
        }
    }

    static void Compare(Comparison comparison, JsonElement test, string field, Func<Tensor> compute)
    {
        if (!GoldenFile.Given(test, field)) return;
        using var rewards = compute().cpu();
        var values = TensorMemory.Span<float>(rewards);
        var b = 0;
        foreach (var expected in test.GetProperty(field).EnumerateArray()) comparison.Add(expected.GetDouble(), values[b], $"{test.GetProperty("name").GetString()} {field}", b++);
    }
}
