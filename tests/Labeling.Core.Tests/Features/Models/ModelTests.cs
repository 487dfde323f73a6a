using System.Security.Cryptography;
using Labeling.Core.Features.Datasets;
using Labeling.Core.Features.Models;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Labeling.Testing;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Tests.Features.Models;

public sealed class ModelTests : InRunWorld
{
    private string WriteFolder(string architecture = "GPT2LMHeadModel", bool weights = true)
    {
        var folder = Folder(Guid.NewGuid().ToString());
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "config.json"), $$"""{"architectures":["{{architecture}}"]}""");
        File.WriteAllText(Path.Combine(folder, "tokenizer.json"), "{}");
        File.WriteAllBytes(Path.Combine(folder, weights ? "model.safetensors" : "pytorch_model.bin"), RandomNumberGenerator.GetBytes(1000));
        File.WriteAllBytes(Path.Combine(folder, "training_args.bin"), [1]);
        return folder;
    }

    private RegisterModel Register(string folder, ModelKind kind = ModelKind.Policy) => new(Actor.System, Guid.CreateVersion7(), Project.Id, "base", kind, folder, "from outside");

    [Fact]
    public async Task A_folder_becomes_a_model_whose_files_come_back_byte_for_byte()
    {
        var folder = WriteFolder();
        var request = Register(folder);
        var id = await World.DoAsync(request);
        Assert.Equal(id, await World.DoAsync(request));

        var details = await World.DoAsync(new GetModel(Admin, id));
        Assert.Equal(["config.json", "model.safetensors", "tokenizer.json"], details.Files.Select(file => file.Path));
        Assert.Equal((ModelKind.Policy, "from outside", details.Files.Sum(file => file.Bytes)), (details.Model.Kind, details.Description, details.Model.Bytes));
        var download = await World.DoAsync(new OpenModelFile(Admin, id, "model.safetensors"));
        await using var content = download.Content;
        using var bytes = new MemoryStream();
        await content.CopyToAsync(bytes);
        Assert.Equal(await File.ReadAllBytesAsync(Path.Combine(folder, "model.safetensors")), bytes.ToArray());
        await World.RefusedAsync(new OpenModelFile(Admin, id, "../../etc/passwd"), ProblemKind.NotFound);
    }

    [Fact]
    public async Task Subfolders_come_back_where_they_were_and_nothing_leaves_the_folder()
    {
        var folder = WriteFolder();
        Directory.CreateDirectory(Path.Combine(folder, "adapter"));
        await File.WriteAllTextAsync(Path.Combine(folder, "adapter", "adapter_config.json"), "{\"r\":8}");
        Directory.CreateDirectory(Path.Combine(folder, ".git"));
        await File.WriteAllTextAsync(Path.Combine(folder, ".git", "index.json"), "{}");
        Directory.CreateSymbolicLink(Path.Combine(folder, "elsewhere"), WriteFolder());
        File.CreateSymbolicLink(Path.Combine(folder, "linked.json"), Path.Combine(WriteFolder("Linked"), "config.json"));

        var id = await World.DoAsync(Register(folder));
        var files = (await World.DoAsync(new GetModel(Admin, id))).Files.Select(file => new ModelFile { Path = file.Path, Sha256 = file.Sha256 }).ToList();
        Assert.Equal(["adapter/adapter_config.json", "config.json", "linked.json", "model.safetensors", "tokenizer.json"], files.Select(file => file.Path));
        var download = await World.DoAsync(new OpenModelFile(Admin, id, "adapter/adapter_config.json"));
        using (var content = new StreamReader(download.Content)) Assert.Equal("{\"r\":8}", await content.ReadToEndAsync());

        var copy = Folder("copy");
        await ModelFolder.MaterialiseAsync(Blobs, files, copy, CancellationToken.None);
        foreach (var file in files)
            Assert.Equal(await File.ReadAllBytesAsync(Path.Combine(folder, file.Path)), await File.ReadAllBytesAsync(Path.Combine(copy, file.Path)));

        foreach (var path in new[] { "../outside.json", "adapter/../../outside.json", Folder("outside.json") })
            await Assert.ThrowsAsync<InvalidDataException>(() => ModelFolder.MaterialiseAsync(Blobs, [new() { Path = path, Sha256 = files[0].Sha256 }], copy, CancellationToken.None));
        Assert.False(File.Exists(Folder("outside.json")));
    }

    [Fact]
    public async Task What_is_no_model_is_refused_with_the_reason()
    {
        async Task<string> ReasonAsync(RegisterModel request) => (await World.RefusedAsync(request, ProblemKind.Invalid, "folder")).Message;

        Assert.Contains("does not exist", await ReasonAsync(Register(Folder("nowhere"))), StringComparison.Ordinal);
        Assert.Contains("safetensors", await ReasonAsync(Register(WriteFolder(weights: false))), StringComparison.Ordinal);
        Assert.Contains("is no reward model", await ReasonAsync(Register(WriteFolder(), ModelKind.Reward)), StringComparison.Ordinal);
        Assert.Contains("is a reward model", await ReasonAsync(Register(WriteFolder("GPT2ForSequenceClassification"))), StringComparison.Ordinal);
        var broken = WriteFolder();
        await File.WriteAllTextAsync(Path.Combine(broken, "config.json"), "{");
        Assert.Contains("config.json is not valid JSON", await ReasonAsync(Register(broken)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_policy_per_project_is_promoted()
    {
        var (first, second, reward) = await AddAsync(db => (Seed.Model(db, Project, "one"), Seed.Model(db, Project, "two"), Seed.Model(db, Project, "rm", ModelKind.Reward)));

        await World.DoAsync(new PromoteModel(Admin, first.Id));
        await World.DoAsync(new PromoteModel(Admin, second.Id));
        await World.DoAsync(new PromoteModel(Admin, second.Id));

        Assert.Equal(second.Id, Assert.Single(await World.DoAsync(new ListModels(Admin, Project.Id)), model => model.PromotedAt is not null).Id);
        await World.RefusedAsync(new PromoteModel(Admin, reward.Id), ProblemKind.Invalid);
    }

    /// <summary>base → sft (Ann 2, Ben 1) → ppo, taught by a reward model (Cy 2 rankings, Ann 1) that itself started from sft.</summary>
    [Fact]
    public async Task The_lineage_of_a_PPO_policy_names_everybody_back_to_the_model_from_outside()
    {
        var outside = await World.DoAsync(Register(WriteFolder()));
        var (ann, ben, cy) = await AddAsync(db =>
        {
            var (ann, ben, cy) = (Seed.Person(db, "Ann"), Seed.Person(db, "Ben"), Seed.Person(db, "Cy"));
            var answers = new List<Completion>();
            foreach (var (author, i) in new[] { ann, ann, ben }.Select((author, i) => (author, i)))
                answers.Add(Seed.Demonstration(db, Seed.Prompt(db, Project, $"d{i}"), author, $"demo {i}"));
            foreach (var (ranker, i) in new[] { cy, cy, ann }.Select((ranker, i) => (ranker, i)))
            {
                var prompt = Seed.Prompt(db, Project, $"r{i}");
                Completion[] two = [Answer(prompt, "left"), Answer(prompt, "right")];
                db.Completions.AddRange(two);
                Seed.Ranking(db, prompt, ranker, two, [1, 2]);
            }
            return (ann, ben, cy);

            Completion Answer(Prompt prompt, string text) => new() { Id = Guid.CreateVersion7(), PromptId = prompt.Id, Source = CompletionSource.Human, AuthorId = ben.Id, Text = text, Surplus = true };
        });
        var demonstrations = await World.DoAsync(new FreezeDataset(Admin, Guid.CreateVersion7(), Project.Id, "demos", DatasetKind.Demonstrations, new()));
        var rankings = await World.DoAsync(new FreezeDataset(Admin, Guid.CreateVersion7(), Project.Id, "ranks", DatasetKind.Rankings, new()));
        var prompts = await World.DoAsync(new FreezeDataset(Admin, Guid.CreateVersion7(), Project.Id, "prompts", DatasetKind.Prompts, new()));

        Task<Guid> MadeAsync(RunStage stage, Guid dataset, Guid parent, Guid? reward, ModelKind kind) => AddAsync(db =>
        {
            var run = Seed.Run(db, db.DatasetVersions.Single(set => set.Id == dataset), stage);
            run.Models.Add(new() { RunId = run.Id, ModelId = parent, Role = RunModelRole.Base });
            if (reward is { } teacher) run.Models.Add(new() { RunId = run.Id, ModelId = teacher, Role = RunModelRole.Reward });
            var model = new ModelCheckpoint { Id = Guid.CreateVersion7(), ProjectId = Project.Id, Name = stage.ToString(), Kind = kind, RunId = run.Id, ParentId = parent, Metrics = """{"loss":1}""" };
            db.Models.Add(model);
            return model.Id;
        });
        var sft = await MadeAsync(RunStage.Sft, demonstrations.Id, outside, null, ModelKind.Policy);
        var rm = await MadeAsync(RunStage.Reward, rankings.Id, sft, null, ModelKind.Reward);
        var ppo = await MadeAsync(RunStage.Ppo, prompts.Id, sft, rm, ModelKind.Policy);

        var details = await World.DoAsync(new GetModel(Admin, ppo));

        Assert.Equal([ppo, sft, outside, rm], details.Lineage.Select(step => step.ModelId));
        Assert.Equal(rm, details.Lineage[0].RewardModelId);
        Assert.Equal(("demos v1", demonstrations.Sha256, 3), (details.Lineage[1].DatasetName, details.Lineage[1].DatasetSha256, details.Lineage[1].Rows!.Value));
        Assert.Equal((null, null), (details.Lineage[2].RunId, details.Lineage[2].DatasetId));
        Assert.Equal([new(ann.Id, "Ann", 2, 0), new(ben.Id, "Ben", 1, 0)], details.Lineage[1].Labelers);
        Assert.Equal([new(ann.Id, "Ann", 2, 1), new(cy.Id, "Cy", 0, 2), new(ben.Id, "Ben", 1, 0)], details.Labelers);
        Assert.Equal([ppo, rm], (await World.DoAsync(new GetModel(Admin, sft))).Children.Select(child => child.Id));
        Assert.Equal([ppo], (await World.DoAsync(new GetModel(Admin, rm))).Children.Select(child => child.Id));

        var labels = await World.DoAsync(new GetModelLabels(Admin, sft, Size: 2));
        var rest = await World.DoAsync(new GetModelLabels(Admin, sft, labels.Next, 2));
        Assert.Equal([("demo 0", "Ann"), ("demo 1", "Ann"), ("demo 2", "Ben")], labels.Items.Concat(rest.Items).Select(label => (label.Label, label.Labeler!)).Order());
        Assert.Null(rest.Next);
        Assert.Equal("2 answers, best: left", (await World.DoAsync(new GetModelLabels(Admin, rm))).Items[0].Label);
        Assert.Empty((await World.DoAsync(new GetModelLabels(Admin, outside))).Items);
    }

    [Fact]
    public async Task A_policy_practised_on_the_training_prompts_only()
    {
        Split[] splits = [Split.Train, Split.Valid, Split.Test, Split.Train];
        await AddAsync(db => splits.Select((split, i) => Seed.Prompt(db, Project, $"p{i} {split}", split)).ToList());
        var prompts = await World.DoAsync(new FreezeDataset(Admin, Guid.CreateVersion7(), Project.Id, "prompts", DatasetKind.Prompts, new()));
        var ppo = await AddAsync(db =>
        {
            var run = Seed.Run(db, db.DatasetVersions.Single(set => set.Id == prompts.Id), RunStage.Ppo);
            var model = new ModelCheckpoint { Id = Guid.CreateVersion7(), ProjectId = Project.Id, Name = "ppo", Kind = ModelKind.Policy, RunId = run.Id, Metrics = "{}" };
            db.Models.Add(model);
            return model.Id;
        });

        var first = await World.DoAsync(new GetModelLabels(Admin, ppo, Size: 1));
        var rest = await World.DoAsync(new GetModelLabels(Admin, ppo, first.Next, 5));

        Assert.Equal(["p0 Train", "p3 Train"], first.Items.Concat(rest.Items).Select(label => label.PromptPreview).Order());
        Assert.Null(rest.Next);
    }

    [Fact]
    public async Task Scores_come_page_by_page()
    {
        var (reward, answers) = await AddAsync(db =>
        {
            var reward = Seed.Model(db, Project, "rm", ModelKind.Reward);
            var answers = Enumerable.Range(0, 5).Select(i => Seed.Demonstration(db, Seed.Prompt(db, Project, $"p{i}"), Seed.Person(db, "P"), $"a{i}")).ToList();
            db.CompletionScores.AddRange(answers.Select((answer, i) => new CompletionScore { ModelId = reward.Id, CompletionId = answer.Id, Split = i < 2 ? Split.Valid : Split.Train, Score = i }));
            return (reward, answers);
        });

        var first = await World.DoAsync(new GetModelScores(Admin, reward.Id, Size: 3));
        var second = await World.DoAsync(new GetModelScores(Admin, reward.Id, After: first.Next, Size: 3));

        Assert.Equal(answers.Select(answer => answer.Id).Order(), first.Items.Concat(second.Items).Select(score => score.CompletionId).Order());
        Assert.Null(second.Next);
        Assert.Equal([0, 1], (await World.DoAsync(new GetModelScores(Admin, reward.Id, Split.Valid))).Items.Select(score => score.Score).Order());
        await World.RefusedAsync(new GetModelScores(Admin, reward.Id, After: "x"), ProblemKind.Invalid, "after");
    }
}
