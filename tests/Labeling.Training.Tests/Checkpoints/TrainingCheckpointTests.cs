using System.Text.Json.Nodes;
using Labeling.Training.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Checkpoints;

public sealed class TrainingCheckpointTests : IDisposable
{
    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("labeling-test-");
    readonly DisposeScope scope = NewDisposeScope();
    string Root => Path.Combine(folder.FullName, "checkpoints");

    public void Dispose()
    {
        scope.Dispose();
        folder.Delete(recursive: true);
    }

    string Save(long step, int keep = 2) =>
        TrainingCheckpoint.Save(Root, step, new Dictionary<string, Tensor> { ["policy/w"] = full([3, 2], (float)step), ["count"] = tensor(step) }, new JsonObject { ["position"] = step * 10 }, keep);

    string[] Names => [.. Directory.EnumerateDirectories(Root).Select(Path.GetFileName).Order()!];

    [Fact]
    public void The_newest_comes_back_whole()
    {
        Assert.Null(TrainingCheckpoint.OpenNewest(Root));
        Save(9);
        Save(10);
        using var checkpoint = TrainingCheckpoint.OpenNewest(Root)!;
        Assert.Equal(10, checkpoint.Step);
        Assert.Equal(100, checkpoint.State["position"]!.GetValue<long>());
        var target = zeros(3, 2);
        checkpoint.CopyTo(new Dictionary<string, Tensor> { ["w"] = target }, "policy/");
        Assert.True(target.equal(full([3, 2], 10f)).all().ToBoolean());
        Assert.Equal(10, checkpoint.Read("count").ToInt64());
    }

    [Theory]
    [InlineData("tensors.safetensors")]
    [InlineData("state.json")]
    [InlineData("manifest.json")]
    public void A_flipped_bit_is_found_and_the_one_before_is_used(string file)
    {
        Save(1);
        var path = Path.Combine(Save(2), file);
        var bytes = File.ReadAllBytes(path);
        // Inside the manifest's hash rather than in its braces: the JSON stays valid and only the comparison can tell.
        var at = file == "manifest.json" ? bytes.AsSpan().LastIndexOf("\"}"u8) - 3 : bytes.Length - 2;
        bytes[at] ^= 1;
        File.WriteAllBytes(path, bytes);
        var warnings = new List<string>();
        using var checkpoint = TrainingCheckpoint.OpenNewest(Root, warnings.Add)!;
        Assert.Equal(1, checkpoint.Step);
        Assert.Contains("step-2", Assert.Single(warnings));
    }

    [Theory]
    [InlineData("tensors.safetensors")]
    [InlineData("state.json")]
    [InlineData("manifest.json")]
    public void A_missing_or_cut_file_falls_back_too(string file)
    {
        Save(1);
        var second = Save(2, keep: 3);
        var third = Save(3, keep: 3);
        File.Delete(Path.Combine(third, file));
        using (var stream = File.OpenWrite(Path.Combine(second, file))) stream.SetLength(stream.Length / 2);
        using var checkpoint = TrainingCheckpoint.OpenNewest(Root)!;
        Assert.Equal(1, checkpoint.Step);
    }

    [Fact]
    public void Only_the_last_k_stay_and_leftovers_of_a_kill_go()
    {
        Directory.CreateDirectory(Path.Combine(Root, ".writing-step-3"));
        File.WriteAllText(Path.Combine(Root, ".writing-step-3", "tensors.safetensors"), "half");
        for (var step = 1; step <= 5; step++) Save(step * 5, keep: 3);
        Assert.Equal(["step-15", "step-20", "step-25"], Names);
    }

    [Fact]
    public void Retention_counts_only_valid_ones_so_the_last_complete_one_survives()
    {
        Save(1, keep: 1);
        var broken = Save(2, keep: 2);
        File.AppendAllText(Path.Combine(broken, "state.json"), " ");
        var alsoBroken = Save(3, keep: 2);
        Assert.Equal(["step-1", "step-3"], Names);
        File.AppendAllText(Path.Combine(alsoBroken, "state.json"), " ");
        using var checkpoint = TrainingCheckpoint.OpenNewest(Root)!;
        Assert.Equal(1, checkpoint.Step);
    }

    [Fact]
    public void The_same_step_again_replaces_it()
    {
        Save(4);
        TrainingCheckpoint.Save(Root, 4, new Dictionary<string, Tensor> { ["w"] = ones(1) }, new JsonObject { ["second"] = true });
        using var checkpoint = TrainingCheckpoint.OpenNewest(Root)!;
        Assert.True(checkpoint.State["second"]!.GetValue<bool>());
        Assert.Equal(["step-4"], Names);
    }
}
