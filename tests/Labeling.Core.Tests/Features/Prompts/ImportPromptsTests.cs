using System.Text;
using Labeling.Core.Features.Prompts;
using Labeling.Core.Features.Tasks;
using Labeling.Core.Model;
using Labeling.Core.Pipeline;
using Microsoft.EntityFrameworkCore;

namespace Labeling.Core.Tests.Features.Prompts;

public sealed class ImportPromptsTests : InWorld
{
    private Guid _project;

    private async Task<ImportReport> ImportAsync(string jsonl, OnBadLine onBadLine = OnBadLine.KeepGood, bool tasks = false, Guid? id = null) =>
        await ImportAsync(Encoding.UTF8.GetBytes(jsonl), onBadLine, tasks, id);

    private async Task<ImportReport> ImportAsync(byte[] jsonl, OnBadLine onBadLine = OnBadLine.KeepGood, bool tasks = false, Guid? id = null)
    {
        if (_project == Guid.Empty) _project = await World.ProjectAsync();
        return await World.DoAsync(new ImportPrompts(Actor.System, id ?? Guid.CreateVersion7(), _project, "prompts.jsonl", new Trickle(jsonl), onBadLine, tasks));
    }

    private Task<List<Prompt>> PromptsAsync() => World.QueryAsync(db => db.Prompts.AsNoTracking().OrderBy(p => p.CreatedAt).ToListAsync());

    [Fact]
    public async Task Every_shape_is_read_and_every_field_kept()
    {
        var report = await ImportAsync(
            """
            {"prompt":"One"}
            {"messages":[{"role":"system","content":"S"},{"role":"user","content":"U"},{"role":"assistant","content":"A"},{"role":"user","content":"Two"}],"id":"x-2","category":"qa","language":"de","author":"ann","split":"test","consent":false}

            {"prompt":[{"role":"user","content":"Three"}],"unknown":{"kept":"out"},"category":null}
            """);
        Assert.Equal((3, 0, 0), (report.Imported, report.Duplicates, report.Rejected));
        var prompts = await PromptsAsync();
        Assert.Equal([new Message("user", "One")], prompts[0].Messages);
        Assert.Equal([new("system", "S"), new("user", "U"), new("assistant", "A"), new("user", "Two")], prompts[1].Messages);
        Assert.Equal(("x-2", "qa", "de", "ann", Split.Test, false), (prompts[1].ExternalId, prompts[1].Category, prompts[1].Language, prompts[1].Author, prompts[1].Split, prompts[1].Consent));
        Assert.Equal([new Message("user", "Three")], prompts[2].Messages);
        Assert.Null(prompts[2].Category);
    }

    [Fact]
    public async Task Each_bad_line_is_named_with_its_number_and_reason_and_good_ones_are_kept()
    {
        List<(byte[] Line, string Reason)> bad =
        [
            ("not json"u8.ToArray(), "not valid JSON"),
            ("[1,2]"u8.ToArray(), "is a list"),
            ("{\"prompt\":5}"u8.ToArray(), "a number for \"prompt\""),
            ("{\"messages\":\"text\"}"u8.ToArray(), "a text for \"messages\""),
            ("{\"text\":\"x\"}"u8.ToArray(), "neither"),
            ("{\"prompt\":\"a\",\"messages\":[]}"u8.ToArray(), "both"),
            ("{\"messages\":[]}"u8.ToArray(), "0 messages"),
            ("{\"messages\":[{\"role\":\"robot\",\"content\":\"x\"}]}"u8.ToArray(), "robot"),
            ("{\"messages\":[{\"role\":\"user\"}]}"u8.ToArray(), "no \"content\" in messages[0]"),
            ("{\"messages\":[{\"role\":\"user\",\"content\":\"x\"},{\"role\":\"assistant\",\"content\":\"y\"}]}"u8.ToArray(), "ends with a message of the assistant"),
            ("{\"prompt\":\"  \"}"u8.ToArray(), "empty"),
            ("{\"prompt\":\"a\\u0000b\"}"u8.ToArray(), "U+0000"),
            ("{\"prompt\":\"a\\ud83d b\"}"u8.ToArray(), "surrogate"),
            ("{\"prompt\":\"a\\ude00 b\"}"u8.ToArray(), "surrogate"),
            ([.. "{\"prompt\":\"a"u8, 0xff, 0xfe, .. "\"}"u8], "UTF-8"),
            ([.. "{\"prompt\":\"a"u8, 0xed, 0xa0, 0x80, .. "\"}"u8], "UTF-8"),
            ("{\"prompt\":\"a\",\"split\":\"dev\"}"u8.ToArray(), "dev"),
            ("{\"prompt\":\"a\",\"consent\":\"yes\"}"u8.ToArray(), "consent"),
            ("{\"prompt\":\"a\",\"category\":[\"b\"]}"u8.ToArray(), "a list for \"category\""),
            ("{\"prompt\":\"a\",\"prompt\":\"b\"}"u8.ToArray(), "not valid JSON"),
            (Encoding.UTF8.GetBytes("{\"prompt\":\"" + new string('x', 200_001) + "\"}"), "200,001"),
            (Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("[", 10_000))), "not valid JSON"),
            (Encoding.UTF8.GetBytes("{\"prompt\":\"" + new string('x', 17 * 1024 * 1024) + "\"}"), "longer than 16 MB"),
            ("{\"prompt\":\"cut of"u8.ToArray(), "not valid JSON"),
        ];
        byte[] file = [.. bad.SelectMany((b, i) => (byte[])[.. b.Line, (byte)'\n', .. Encoding.UTF8.GetBytes($"{{\"prompt\":\"good {i}\"}}\r\n")])];
        var report = await ImportAsync(file);
        Assert.Equal((bad.Count, bad.Count), (report.Imported, report.Rejected));
        Assert.Equal(Enumerable.Range(0, bad.Count).Select(i => 2 * i + 1), report.Problems.Select(p => p.Line));
        Assert.All(bad.Zip(report.Problems), pair => Assert.Contains(pair.First.Reason, pair.Second.Reason, StringComparison.Ordinal));
    }

    [Fact]
    public async Task A_file_can_be_taken_whole_or_not_at_all()
    {
        var report = await ImportAsync("{\"prompt\":\"a\",\"author\":\"ann\"}\nbroken\n", OnBadLine.RejectAll, tasks: true);
        Assert.Equal((0, 1), (report.Imported, report.Rejected));
        Assert.Equal(2, report.Problems.Single().Line);
        Assert.Equal(0L, await World.ScalarAsync<long>("select count(*) from prompts"));
        Assert.Equal(0L, await World.ScalarAsync<long>("select count(*) from prompt_authors"));
        Assert.Equal(1, (await ImportAsync("{\"prompt\":\"a\"}", OnBadLine.RejectAll)).Imported);
    }

    [Fact]
    public async Task The_same_id_again_answers_the_first_report_and_a_new_id_finds_duplicates()
    {
        var id = Guid.CreateVersion7();
        var first = await ImportAsync("{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}\n{\"prompt\":\"a\"}\nbad", id: id);
        Assert.Equal((2, 1, 1), (first.Imported, first.Duplicates, first.Rejected));
        var again = await ImportAsync("{\"prompt\":\"something else\"}", id: id);
        Assert.Equivalent(first, again);
        var other = await ImportAsync("{\"prompt\":\"b\"}\n{\"prompt\":\"c\"}");
        Assert.Equal((1, 1), (other.Imported, other.Duplicates));
        Assert.Equal(3, (await PromptsAsync()).Count);
        await World.RefusedAsync(new ImportPrompts(Actor.System, id, await World.ProjectAsync(), "x", Stream.Null, OnBadLine.KeepGood, false), ProblemKind.Conflict, "id");
    }

    [Fact]
    public async Task Two_uploads_with_one_id_at_once_are_one()
    {
        await ImportAsync("");
        var id = Guid.CreateVersion7();
        var reports = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => ImportAsync("{\"prompt\":\"a\"}\n{\"prompt\":\"b\"}", tasks: true, id: id)));
        Assert.All(reports, r => Assert.Equal((2, 0), (r.Imported, r.Duplicates)));
        Assert.Equal(2L, await World.ScalarAsync<long>("select count(*) from tasks"));
    }

    [Fact]
    public async Task Two_different_uploads_of_the_same_prompts_at_once_store_each_once()
    {
        await ImportAsync("");
        var jsonl = string.Join('\n', Enumerable.Range(0, 500).Select(i => $"{{\"prompt\":\"p {i}\",\"author\":\"a{i % 7}\"}}"));
        var reports = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => ImportAsync(jsonl, tasks: true)));
        Assert.Equal(500, reports.Sum(r => r.Imported));
        Assert.Equal(1500, reports.Sum(r => r.Duplicates));
        Assert.Equal(500L, await World.ScalarAsync<long>("select count(*) from tasks"));
    }

    [Fact]
    public async Task An_upload_that_breaks_off_leaves_nothing_and_can_be_sent_again()
    {
        await ImportAsync("");
        var id = Guid.CreateVersion7();
        var jsonl = Encoding.UTF8.GetBytes(string.Join('\n', Enumerable.Range(0, 5000).Select(i => $"{{\"prompt\":\"p {i}\"}}")));
        foreach (var at in new[] { 0, 1, 70_000, jsonl.Length - 3 })
        {
            await Assert.ThrowsAsync<IOException>(() =>
                World.SendAsync(new ImportPrompts(Actor.System, id, _project, "x.jsonl", new Trickle(jsonl, breakAt: at), OnBadLine.KeepGood, true)));
            Assert.Equal(0L, await World.ScalarAsync<long>("select (select count(*) from prompts) + (select count(*) from prompt_imports where id = $1)", id));
        }

        Assert.Equal(5000, (await ImportAsync(jsonl, tasks: true, id: id)).Imported);
        Assert.Equal(5000, (await PromptsAsync()).Select(p => p.Messages[0].Content).Distinct().Count());
    }

    [Fact]
    public async Task An_author_is_in_one_split_for_ever()
    {
        var lines = Enumerable.Range(0, 2000).Select(i => $"{{\"prompt\":\"p {i}\",\"author\":\"author {i % 100}\"}}");
        await ImportAsync(string.Join('\n', lines));
        await ImportAsync(string.Join('\n', Enumerable.Range(0, 100).Select(i => $"{{\"prompt\":\"later {i}\",\"author\":\"author {i}\"}}")));
        var byAuthor = (await PromptsAsync()).GroupBy(p => p.Author!).ToList();
        Assert.Equal(100, byAuthor.Count);
        Assert.All(byAuthor, group => Assert.Single(group.Select(p => p.Split).Distinct()));
        Assert.Equal(3, byAuthor.Select(group => group.First().Split).Distinct().Count());
    }

    [Fact]
    public async Task A_given_split_is_kept_unless_it_contradicts_the_authors()
    {
        var report = await ImportAsync(
            """
            {"prompt":"1","author":"ann"}
            {"prompt":"2","author":"ann","split":"test"}
            {"prompt":"3","author":"ann","split":"train"}
            {"prompt":"4","split":"valid"}
            """);
        Assert.Equal((3, 1), (report.Imported, report.Rejected));
        Assert.Equal(3, report.Problems.Single().Line);
        Assert.Contains("\"ann\" is in test", report.Problems.Single().Reason, StringComparison.Ordinal);
        var next = await ImportAsync("{\"prompt\":\"5\",\"author\":\"ann\",\"split\":\"valid\"}\n{\"prompt\":\"6\",\"author\":\"ann\"}");
        Assert.Equal((1, 1), (next.Imported, next.Rejected));
        Assert.Equal(["test", "test", "valid", "test"], (await PromptsAsync()).Select(p => p.Split.ToString().ToLowerInvariant()));

        // Another project decides for itself.
        var other = await World.ProjectAsync();
        var elsewhere = await World.DoAsync(new ImportPrompts(
            Actor.System, Guid.CreateVersion7(), other, "x", new MemoryStream("{\"prompt\":\"5\",\"author\":\"ann\",\"split\":\"valid\"}"u8.ToArray()), OnBadLine.KeepGood, false));
        Assert.Equal(1, elsewhere.Imported);
    }

    [Fact]
    public async Task Splits_without_author_follow_the_content_in_the_stated_shares()
    {
        await ImportAsync(string.Join('\n', Enumerable.Range(0, 5000).Select(i => $"{{\"prompt\":\"question {i}\"}}")));
        var shares = (await PromptsAsync()).GroupBy(p => p.Split).ToDictionary(g => g.Key, g => g.Count() / 5000.0);

        // Five standard deviations of a binomial share around 80, 10 and 10 %.
        Assert.InRange(shares[Split.Train], 0.80 - 0.0283, 0.80 + 0.0283);
        Assert.InRange(shares[Split.Valid], 0.10 - 0.0213, 0.10 + 0.0213);
        Assert.InRange(shares[Split.Test], 0.10 - 0.0213, 0.10 + 0.0213);
    }

    [Fact]
    public async Task An_id_names_one_prompt()
    {
        var report = await ImportAsync("{\"prompt\":\"a\",\"id\":\"k\"}\n{\"prompt\":\"b\",\"id\":\"k\"}\n{\"prompt\":\"a\",\"id\":\"k\"}");
        Assert.Equal((1, 1, 1), (report.Imported, report.Duplicates, report.Rejected));
        Assert.Contains("\"k\"", report.Problems.Single().Reason, StringComparison.Ordinal);
        Assert.Equal(1, (await ImportAsync("{\"prompt\":\"c\",\"id\":\"k\"}")).Rejected);
    }

    [Fact]
    public async Task Text_of_the_full_length_in_any_script_comes_back_byte_for_byte()
    {
        var hostile = "<script>alert(1)</script> \"\\ \t\u202Eright to left\u2069 e\u0301 \u200B " + string.Concat(Enumerable.Repeat("\U0001F600", 50_000)) + "\r\n";
        var text = hostile + new string('é', 200_000 - Texts.Characters(hostile));
        Assert.Equal(200_000, Texts.Characters(text));
        Assert.Equal(1, (await ImportAsync(MessageJson(text))).Imported);
        Assert.Equal(text, (await PromptsAsync()).Single().Messages[0].Content);
        Assert.Equal(1, (await ImportAsync(MessageJson(text + "x"))).Rejected);
    }

    [Fact]
    public async Task Tasks_are_made_on_demand_once_and_in_the_order_of_the_file()
    {
        await ImportAsync(string.Join('\n', Enumerable.Range(0, 20).Select(i => $"{{\"prompt\":\"p {i}\",\"category\":\"{(i < 10 ? "low" : "high")}\"}}")));
        Assert.Equal(10, await World.DoAsync(new CreateDemonstrationTasks(Actor.System, _project, "high")));
        Assert.Equal(4, await World.DoAsync(new CreateDemonstrationTasks(Actor.System, _project, Limit: 4)));
        Assert.Equal(6, await World.DoAsync(new CreateDemonstrationTasks(Actor.System, _project)));
        Assert.Equal(0, await World.DoAsync(new CreateDemonstrationTasks(Actor.System, _project)));
        var order = new List<string>();
        for (var i = 0; i < 20; i++)
        {
            var person = await World.PersonAsync();
            var claim = await World.ClaimAsync(person, _project);
            order.Add((await World.DoAsync(new GetAssignment(person, claim!.AssignmentId))).Messages[0].Content);
        }

        Assert.Equal(Enumerable.Range(10, 10).Concat(Enumerable.Range(0, 10)).Select(i => $"p {i}"), order);
    }

    [Fact]
    public async Task Lists_are_paged_searched_and_filtered_in_the_database()
    {
        var admin = await World.PersonAsync(Roles.Admin);
        await ImportAsync(string.Join('\n', Enumerable.Range(0, 25).Select(i => $"{{\"prompt\":\"p {i} {(i == 7 ? "100%_\\\\ \\\"quoted\\\"" : "plain")}\",\"category\":\"c{i % 2}\"}}")));
        var seen = new List<Guid>();
        string? after = null;
        do
        {
            var page = await World.DoAsync(new ListPrompts(admin, _project, After: after, Size: 10));
            seen.AddRange(page.Items.Select(p => p.Id));
            after = page.Next;
        }
        while (after is not null);
        Assert.Equal((await PromptsAsync()).Select(p => p.Id).Reverse(), seen);
        Assert.Equal(12, (await World.DoAsync(new ListPrompts(admin, _project, Category: "c1"))).Items.Count);
        foreach (var search in new[] { "100%", "%_", "_\\", "\"QUOTED\"" }) Assert.Single((await World.DoAsync(new ListPrompts(admin, _project, search))).Items);
        Assert.Empty((await World.DoAsync(new ListPrompts(admin, _project, "user"))).Items);
        await World.RefusedAsync(new ListPrompts(admin, _project, After: "nonsense"), ProblemKind.Invalid, "after");
        await World.RefusedAsync(new ListPrompts(admin, _project, Size: 0), ProblemKind.Invalid, "size");
        Assert.Single(await World.DoAsync(new ListImports(admin, _project)));
    }

    private static string MessageJson(string text) => System.Text.Json.JsonSerializer.Serialize(new { prompt = text });

    /// <summary>An upload that arrives in odd pieces and may break off.</summary>
    private sealed class Trickle(byte[] bytes, int? breakAt = null) : Stream
    {
        private int _position;
        private int _reads;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            await Task.Yield();
            if (breakAt is { } at && _position >= at) throw new IOException("The connection was lost.");
            var count = Math.Min(Math.Min(buffer.Length, 1 + _reads++ * 977 % 60_000), (breakAt ?? bytes.Length) - _position);
            bytes.AsMemory(_position, count).CopyTo(buffer);
            _position += count;
            return count;
        }

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }
        public override void Flush() { }
        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
