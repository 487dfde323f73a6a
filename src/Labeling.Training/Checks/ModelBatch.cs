using System.Text.Json;
using Labeling.Training.Models;
using Labeling.Training.Runs;
using static TorchSharp.torch;

namespace Labeling.Training.Checks;

/// <summary>Token ids and padding of a case of a golden model.</summary>
/// <param name="Name">The case's name.</param>
/// <param name="Ids">int64 [batch, time].</param>
/// <param name="Mask">int64 [batch, time], 1 at real tokens; null without padding.</param>
/// <param name="CountPadding">Whether positions are 0, 1, 2, ... even where padding stands on the left.</param>
internal sealed record ModelBatch(string Name, long[][] Ids, long[][]? Mask, bool CountPadding)
{
    public int Batch => Ids.Length;

    public int Time => Ids[0].Length;

    public Tensor IdTensor() => Matrix(Ids);

    public Tensor? MaskTensor() => Mask is null ? null : Matrix(Mask);

    public bool IsReal(int row, int position) => Mask is null || Mask[row][position] != 0;

    /// <summary>Token ids of each row without padding.</summary>
    public int[][] Rows() => [.. Ids.Select((row, b) => row.Where((_, t) => IsReal(b, t)).Select(id => (int)id).ToArray())];

    /// <exception cref="BadInputException">Shapes do not fit, or positions are asked for that do not follow from the mask.</exception>
    public static ModelBatch Read(GoldenFile golden, JsonElement test)
    {
        var name = GoldenFile.Given(test, "name") ? test.GetProperty("name").GetString()! : "case";
        var ids = Longs(test.GetProperty("input_ids"));
        var mask = GoldenFile.Given(test, "attention_mask") ? Longs(test.GetProperty("attention_mask")) : null;
        BadInputException Wrong(string what) => new($"{golden.Path}: case '{name}': {what}.");
        if (ids.Length == 0 || ids[0].Length == 0 || ids.Any(r => r.Length != ids[0].Length)) throw Wrong("input_ids is not a matrix");
        if (mask is not null && (mask.Length != ids.Length || mask.Any(r => r.Length != ids[0].Length))) throw Wrong("attention_mask has another shape than input_ids");
        var batch = new ModelBatch(name, ids, mask, CountPadding: false);
        if (!GoldenFile.Given(test, "position_ids")) return batch with { CountPadding = true };
        var positions = Longs(test.GetProperty("position_ids"));
        for (var b = 0; b < ids.Length; b++)
        {
            for (int t = 0, next = 0; t < ids[0].Length; t++)
            {
                if (batch.IsReal(b, t) && positions[b][t] != next++) throw Wrong($"position_ids[{b}][{t}] is {positions[b][t]}; only positions that count the real tokens of a row are supported");
            }
        }
        return batch;
    }

    public static long[][] Longs(JsonElement rows) => [.. rows.EnumerateArray().Select(row => row.EnumerateArray().Select(v => v.GetInt64()).ToArray())];

    public static Tensor Matrix(long[][] rows) => tensor(rows.SelectMany(r => r).ToArray(), [rows.Length, rows[0].Length]);

    /// <summary>
    /// The configuration with room for the longest sequence of the golden file. Rotary and ALiBi models have no last position of their own, and a
    /// small model's check need not build tables for 131,072.
    /// </summary>
    public static Func<ModelConfig, ModelConfig> Fit(GoldenFile golden, int more) => config =>
    {
        var longest = golden.Cases.Max(test => test.GetProperty("input_ids")[0].GetArrayLength()) + more;
        return config.Positions == PositionKind.Learned ? config : config with { MaxPositions = longest, TrainedPositions = config.TrainedPositions ?? config.MaxPositions };
    };
}
