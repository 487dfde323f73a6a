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

    [Fact]
    public void A_flipped_bit_anywhere_in_any_file_is_found()
    {
        Save(1);
        var newest = Save(2);
        foreach (var path in Directory.GetFiles(newest))
        {
            var good = File.ReadAllBytes(path);
            for (var at = 0; at < good.Length; at++)
            {
                for (var bit = 0; bit < 8; bit++)
                {
                    var bad = good.ToArray();
                    bad[at] ^= (byte)(1 << bit);
                    File.WriteAllBytes(path, bad);
                    using var checkpoint = TrainingCheckpoint.OpenNewest(Root)!;
                    Assert.True(checkpoint.Step == 1, $"{Path.GetFileName(path)}, byte {at}, bit {bit}");
                }
            }
            File.WriteAllBytes(path, good);
        }
        using var whole = TrainingCheckpoint.OpenNewest(Root)!;
        Assert.Equal(2, whole.Step);
    }

    [Fact]
    public void A_write_that_ended_at_any_byte_is_as_if_it_had_not_begun()
    {
        Save(1);
        // What a complete write puts on the disk, in the order it does.
        var finished = Save(2);
        var files = new[] { "tensors.safetensors", "state.json", "manifest.json" }.Select(name => (Name: name, Bytes: File.ReadAllBytes(Path.Combine(finished, name)))).ToList();
        Directory.Delete(finished, recursive: true);
        var partial = Path.Combine(Root, ".writing-step-2");
        for (var length = 0; length <= files.Sum(f => f.Bytes.Length); length += 7)
        {
            Directory.CreateDirectory(partial);
            var left = length;
            foreach (var (name, bytes) in files.TakeWhile(_ => left > 0))
            {
                File.WriteAllBytes(Path.Combine(partial, name), bytes[..Math.Min(left, bytes.Length)]);
                left -= Math.Min(left, bytes.Length);
            }
            using (var checkpoint = TrainingCheckpoint.OpenNewest(Root)!) Assert.Equal(1, checkpoint.Step);
            if (length % 5 != 0) continue;
            Save(2);
            using (var checkpoint = TrainingCheckpoint.OpenNewest(Root)!) Assert.Equal(2, checkpoint.Step);
            Directory.Delete(finished, recursive: true);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_replacement_that_a_kill_cut_in_two_loses_nothing(bool newOneIsThere)
    {
        Directory.Move(Save(4), Path.Combine(Root, ".replaced-step-4"));
        if (newOneIsThere) TrainingCheckpoint.Save(Path.Combine(folder.FullName, "other"), 4, new Dictionary<string, Tensor> { ["w"] = ones(1) }, new JsonObject { ["position"] = 5 });
        if (newOneIsThere) Directory.Move(Path.Combine(folder.FullName, "other", "step-4"), Path.Combine(Root, "step-4"));
        using var checkpoint = TrainingCheckpoint.OpenNewest(Root)!;
        Assert.Equal(newOneIsThere ? 5 : 40, checkpoint.State["position"]!.GetValue<long>());
        Assert.Equal(["step-4"], Names);
    }

    [Fact]
    public void A_full_disk_at_any_page_leaves_the_one_before()
    {
        var disk = folder.CreateSubdirectory("disk").FullName;
        Assert.SkipUnless(OperatingSystem.IsLinux() && Run("mount", "-t", "tmpfs", "-o", "size=128k", "none", disk), "A small file system can only be mounted as root on Linux.");
        try
        {
            var root = Path.Combine(disk, "checkpoints");
            // Five pages of tensors: the disk can be full before, inside and after each file.
            string SaveLarge(long step) => TrainingCheckpoint.Save(root, step, new Dictionary<string, Tensor> { ["w"] = full([5000], (float)step) }, new JsonObject { ["position"] = step }, keep: 2);
            SaveLarge(1);
            var (failed, saved) = (0, 0);
            for (var step = 2; step < 16; step++)
            {
                // Each time one page more is left over.
                var free = new DriveInfo(disk).AvailableFreeSpace - ((step - 2) * 4096);
                if (free > 0) File.WriteAllBytes(Path.Combine(disk, "filler"), new byte[free]);
                var before = TrainingCheckpoint.OpenNewest(root)!;
                var stood = before.Step;
                before.Dispose();
                var written = true;
                try
                {
                    SaveLarge(step);
                    saved++;
                }
                catch (IOException)
                {
                    written = false;
                    failed++;
                }
                using (var after = TrainingCheckpoint.OpenNewest(root, warning => Assert.Fail(warning))!)
                {
                    Assert.Equal(written ? step : stood, after.Step);
                    Assert.Equal(after.Step, after.State["position"]!.GetValue<long>());
                    Assert.True(after.Read("w").equal(full([5000], (float)after.Step)).all().ToBoolean());
                }
                File.Delete(Path.Combine(disk, "filler"));
            }
            Assert.True(failed >= 5, $"{failed} writes met a full disk.");
            Assert.True(saved >= 1, "None got through.");
            SaveLarge(20);
            using var last = TrainingCheckpoint.OpenNewest(root)!;
            Assert.Equal(20, last.Step);
        }
        finally
        {
            Run("umount", "-l", disk);
        }
    }

    static bool Run(string program, params string[] arguments)
    {
        try
        {
            using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }
}
