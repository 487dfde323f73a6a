using System.Text.RegularExpressions;
using Labeling.EndToEnd.Tests.Support;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace Labeling.EndToEnd.Tests;

/// <summary>
/// The product as three people meet it on a fresh installation: an admin sets it up, an annotator and a ranker come in by invitation, label in their own browsers,
/// and the admin takes what they wrote through every stage to a model whose lineage names them.
/// </summary>
public sealed class WholeLoopTests(LabelingFixture labeling)
{
    private const string Password = "a long walk by the river";
    private const string LongRun = "A line that was typed while the server was down.";

    private static readonly LocatorAssertionsToBeVisibleOptions Patiently = new() { Timeout = 300_000 };

    [Fact]
    public async Task From_the_setup_link_to_a_model_whose_lineage_names_the_people()
    {
        await using var ada = await labeling.ArriveAsync("ada");
        await using var ben = await labeling.ArriveAsync("ben");
        await using var cleo = await labeling.ArriveAsync("cleo");

        await SetUp(ada);
        await Invite(ada, ben, "Ben Annotator", "ben@example.org", "Annotator");
        await Invite(ada, cleo, "Cleo Ranker", "cleo@example.org", "Ranker");

        await WriteWhileTheServerFalls(ben);
        await WriteMore(ben, count: 3);

        var project = await OpenStarterProject(ada);
        await Freeze(ada, project, "Demonstrations", "What Ben wrote");
        await Train(ada, project, "sft", new() { ["epochs"] = "8" });
        await SeeLineage(ada, "sft-model", "Ben Annotator");

        await Freeze(ada, project, "Prompts", "A few prompts", atMost: 12);
        await Train(ada, project, "sample", new() { ["answers_per_prompt"] = "4", ["temperature"] = "1" }, ends: page => Expect(page.GetByText("Finished", new() { Exact = true })).ToBeVisibleAsync(Patiently));

        await RankByKeyboardAlone(cleo, count: 3);

        await Freeze(ada, project, "Rankings", "What Cleo preferred");
        await Train(ada, project, "reward", new() { ["epochs"] = "4" });
        await Train(ada, project, "ppo", new() { ["episodes"] = "256" });
        await SeeLineage(ada, "ppo-model", "Ben Annotator", "Cleo Ranker");
        await Train(ada, project, "dpo", new() { ["epochs"] = "4", ["beta"] = "0.2" });
        await SeeLineage(ada, "dpo-model", "Ben Annotator", "Cleo Ranker");
        await SeeTheOtherPages(ada, ben);

        Assert.True(labeling.Findings.Count == 0, string.Join("\n\n", labeling.Findings));
    }

    private async Task SetUp(Person ada)
    {
        await ada.Page.GotoAsync(await labeling.Site.SetupLink);
        await ada.LookAsync("setup");
        await ada.AcceptAsync(await labeling.Site.SetupLink, "Ada Admin", "ada@example.org", Password);
        await Expect(ada.Page.GetByRole(AriaRole.Heading, new() { Name = "Queue" })).ToBeVisibleAsync();
        await ada.LookAsync("queue");

        // The link is used up: nobody else becomes an admin with it.
        await using var late = await labeling.ArriveAsync("late");
        await late.Page.GotoAsync(await labeling.Site.SetupLink);
        await Expect(late.Page.GetByRole(AriaRole.Heading)).ToContainTextAsync("does not open any more");
        await late.LookAsync("used-link");
    }

    private static async Task Invite(Person admin, Person guest, string name, string email, string role)
    {
        await admin.GoAsync("admin/people");
        foreach (var other in new[] { "Annotator", "Ranker", "Admin" })
            await admin.Page.GetByRole(AriaRole.Checkbox, new() { NameRegex = new($"^{other}") }).SetCheckedAsync(other == role);
        await admin.Page.GetByRole(AriaRole.Button, new() { Name = "Make the link" }).ClickAsync();
        var link = admin.Page.GetByLabel("Invitation link");
        await Expect(link).ToBeVisibleAsync();
        await admin.LookAsync("people");
        await guest.Page.GotoAsync(await link.InputValueAsync());
        await guest.LookAsync("join");
        await guest.AcceptAsync(await link.InputValueAsync(), name, email, Password);
        await Expect(guest.Page.GetByRole(AriaRole.Heading, new() { Name = "Queue" })).ToBeVisibleAsync();
        await guest.LookAsync("queue");
    }

    /// <summary>What the loop itself does not lead past: signing in, keys, a new project, and the pages that say no.</summary>
    private async Task SeeTheOtherPages(Person ada, Person ben)
    {
        await ada.GoAsync("account/keys");
        await ada.LookAsync("keys");
        await ada.GoAsync("admin/projects/new");
        await ada.LookAsync("new-project");
        await ada.GoAsync("no/such/page");
        await ada.LookAsync("not-found");
        await ben.GoAsync("admin/people");
        await Expect(ben.Page.GetByText("Make the link")).ToHaveCountAsync(0);
        await ben.LookAsync("denied");

        await using var stranger = await labeling.ArriveAsync("stranger");
        await stranger.GoAsync("admin/projects");
        await Expect(stranger.Page.GetByLabel("Password")).ToBeVisibleAsync();
        await stranger.LookAsync("sign-in");
    }

    private async Task WriteWhileTheServerFalls(Person ben)
    {
        await ben.Page.GetByRole(AriaRole.Button, new() { NameRegex = new("^Start: Write demonstrations") }).First.ClickAsync();
        var editor = ben.Page.GetByRole(AriaRole.Textbox, new() { Name = "Your answer" });
        var saved = ben.Page.Locator("[data-save-state]");
        await Expect(editor).ToBeFocusedAsync();
        await Expect(editor).ToBeEditableAsync();
        var task = ben.Page.Url;

        await editor.PressSequentiallyAsync("First **words**.");
        await Expect(saved).ToContainTextAsync("Saved");
        await ben.LookAsync("demonstration");
        await ben.Page.ReloadAsync();
        await Expect(editor).ToHaveValueAsync("First **words**.");

        await labeling.Site.CrashWebAsync(meanwhile: async () =>
        {
            await editor.PressAsync("End");
            await editor.PressSequentiallyAsync("\n" + LongRun);
        });
        await Expect(editor).ToHaveValueAsync("First **words**.\n" + LongRun);
        await Expect(saved).ToContainTextAsync("Saved", new() { Timeout = 60_000 });

        await ben.Page.ReloadAsync();
        await Expect(editor).ToHaveValueAsync("First **words**.\n" + LongRun);
        Assert.Equal(task, ben.Page.Url);
        await Submit(ben);
    }

    private static async Task WriteMore(Person ben, int count)
    {
        for (var i = 1; i <= count; i++)
        {
            var editor = ben.Page.GetByRole(AriaRole.Textbox, new() { Name = "Your answer" });
            await Expect(editor).ToBeEditableAsync();
            await Expect(editor).ToHaveValueAsync("");
            await editor.FillAsync($"Ben's answer number {i}.");
            await Submit(ben);
        }
    }

    /// <summary>Ctrl+Enter submits and brings the next task, or the queue when none is left.</summary>
    private static async Task Submit(Person person)
    {
        var before = person.Page.Url;
        var task = person.Page.Locator(".work, .rank");
        await task.EvaluateAsync("task => task.dataset.before = ''");
        await person.Page.Keyboard.PressAsync("Control+Enter");
        await person.Page.WaitForURLAsync(url => url != before);
        await Expect(person.Page.Locator("[data-before]")).ToHaveCountAsync(0);
    }

    private static async Task<string> OpenStarterProject(Person ada)
    {
        await ada.GoAsync("admin/projects");
        await ada.LookAsync("projects");
        await ada.Page.GetByRole(AriaRole.Main).GetByRole(AriaRole.Link, new() { NameRegex = new("Starter") }).First.ClickAsync();
        await Expect(ada.Page.GetByRole(AriaRole.Heading, new() { Name = "The loop" })).ToBeVisibleAsync();
        await ada.LookAsync("project");
        var path = new Uri(ada.Page.Url).AbsolutePath.TrimStart('/');
        foreach (var section in new[] { "guidelines", "settings", "prompts", "prompts/import", "datasets", "runs", "models" })
        {
            await ada.GoAsync($"{path}/{section}");
            await ada.LookAsync(section.Replace('/', '-'));
        }
        return path;
    }

    private static async Task Freeze(Person ada, string project, string kind, string name, int? atMost = null)
    {
        await ada.GoAsync($"{project}/datasets/new?kind={kind}");
        await ada.Page.GetByLabel("Name", new() { Exact = true }).FillAsync(name);
        if (atMost is { } limit)
        {
            await ada.Page.GetByText("Take only some of them").ClickAsync();
            await ada.Page.GetByLabel("At most").FillAsync(limit.ToString());
            await ada.Page.GetByLabel("At most").BlurAsync();
        }
        var freeze = ada.Page.GetByRole(AriaRole.Button, new() { NameRegex = new(atMost is null ? @"Freeze \d+ row" : $"Freeze {atMost} row") });
        await Expect(freeze).ToBeEnabledAsync();
        await ada.LookAsync("freeze-" + kind);
        await freeze.ClickAsync();
        await Expect(ada.Page.GetByRole(AriaRole.Heading, new() { NameRegex = new(Regex.Escape(name)) }).First).ToBeVisibleAsync();
        await ada.LookAsync("dataset-" + kind);
    }

    /// <summary>Starts a stage from its form as it is offered and watches the run page to its end, where the new model waits.</summary>
    private static async Task Train(Person ada, string project, string stage, Dictionary<string, string> settings, Func<IPage, Task>? ends = null)
    {
        await ada.GoAsync($"{project}/runs/new?stage={stage}");
        foreach (var (name, value) in settings)
            await ada.Page.GetByLabel(name, new() { Exact = true }).FillAsync(value);
        await ada.LookAsync("start-" + stage);
        await ada.Page.GetByRole(AriaRole.Button, new() { NameRegex = new("^Start ") }).ClickAsync();
        await Expect(ada.Page.GetByRole(AriaRole.Progressbar)).ToBeVisibleAsync();
        if (ends is null)
        {
            await Expect(ada.Page.GetByRole(AriaRole.Link, new() { Name = "Open the model" })).ToBeVisibleAsync(Patiently);
            await ada.LookAsync("run-" + stage);
            await ada.Page.GetByRole(AriaRole.Link, new() { Name = "Open the model" }).ClickAsync();
        }
        else
        {
            await ends(ada.Page);
            await ada.LookAsync("run-" + stage);
        }
    }

    private static async Task SeeLineage(Person ada, string picture, params string[] people)
    {
        var behind = ada.Page.GetByRole(AriaRole.Region, new() { Name = "The people behind it" });
        foreach (var person in people)
            await Expect(behind).ToContainTextAsync(person);
        await ada.LookAsync(picture);
    }

    /// <summary>From the queue to the last ranking without a pointer: Tab to the button, places by number, a tie, an undo, submit.</summary>
    private static async Task RankByKeyboardAlone(Person cleo, int count)
    {
        await cleo.GoAsync("");
        var start = cleo.Page.GetByRole(AriaRole.Button, new() { NameRegex = new("^Start: Rank answers") }).First;
        await Expect(start).ToBeVisibleAsync();
        for (var presses = 0; !await start.EvaluateAsync<bool>("button => button === document.activeElement"); presses++)
        {
            Assert.True(presses < 40, "The Start button cannot be reached with Tab.");
            await cleo.Page.Keyboard.PressAsync("Tab");
        }
        await cleo.Page.Keyboard.PressAsync("Enter");

        for (var ranking = 0; ranking < count; ranking++)
        {
            await Expect(cleo.Page.GetByRole(AriaRole.Heading, new() { Name = "Rank the answers" })).ToBeVisibleAsync();
            await Expect(cleo.Page.Locator(".rank[data-ready]")).ToBeVisibleAsync();
            var answers = cleo.Page.GetByRole(AriaRole.Group, new() { NameRegex = new("^Answer [A-Z]") });
            await Expect(answers.First).ToBeFocusedAsync();
            var k = await answers.CountAsync();
            Assert.InRange(k, 2, 4);
            Assert.DoesNotMatch(@"(?i)\b(sft|ppo|starter model|checkpoint)\b", await cleo.Page.GetByRole(AriaRole.Main).InnerTextAsync());

            for (var i = 1; i <= k; i++)
            {
                await cleo.Page.Keyboard.PressAsync(i.ToString());
                await cleo.Page.Keyboard.PressAsync("ArrowDown");
            }
            await Expect(cleo.Page.GetByText("Every answer has its place")).ToBeVisibleAsync();
            if (ranking == 0)
            {
                // The last answer beside the first, and back again.
                await cleo.Page.Keyboard.PressAsync("End");
                await cleo.Page.Keyboard.PressAsync("1");
                await Expect(cleo.Page.Locator("[data-announce]")).ToContainTextAsync(new Regex("tie|tied|beside|with", RegexOptions.IgnoreCase));
                await cleo.Page.Keyboard.PressAsync("u");
                await Expect(cleo.Page.GetByText("Every answer has its place")).ToBeVisibleAsync();
                await cleo.LookAsync("ranking");
                await answers.First.FocusAsync();
            }
            await Submit(cleo);
        }
    }
}
