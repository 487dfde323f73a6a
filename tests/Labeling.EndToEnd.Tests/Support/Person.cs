using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;

namespace Labeling.EndToEnd.Tests.Support;

/// <summary>Somebody at their own browser: separate cookies, one page, screenshots under their name.</summary>
internal sealed class Person(string name, IBrowserContext context, IPage page, Uri address, List<string> findings) : IAsyncDisposable
{
    private static readonly string Pictures = Path.Combine(AppContext.BaseDirectory, "screenshots");
    private int _pictures;

    public IPage Page => page;

    public IBrowserContext Context => context;

    public static async Task<Person> ArriveAsync(IBrowser browser, Uri address, string name, List<string> findings)
    {
        var context = await browser.NewContextAsync(new() { ViewportSize = new() { Width = 1440, Height = 900 }, ColorScheme = ColorScheme.Light });
        context.SetDefaultTimeout(30_000);
        return new Person(name, context, await context.NewPageAsync(), address, findings);
    }

    public Task GoAsync(string path) => page.GotoAsync(new Uri(address, path).ToString(), new() { WaitUntil = WaitUntilState.NetworkIdle });

    /// <summary>Fills in a set-up or invitation link's form and arrives signed in.</summary>
    public async Task AcceptAsync(string link, string displayName, string email, string password)
    {
        await page.GotoAsync(link);
        await page.GetByLabel("Your name").FillAsync(displayName);
        await page.GetByLabel("E-mail address").FillAsync(email);
        await page.GetByLabel("Password").FillAsync(password);
        await page.GetByRole(AriaRole.Button, new() { NameRegex = new("make the account|set up", System.Text.RegularExpressions.RegexOptions.IgnoreCase) }).ClickAsync();
        await page.WaitForURLAsync(url => !url.Contains("/join/") && !url.Contains("/setup/"));
    }

    /// <summary>Keeps wide and phone-width pictures of the page and notes what is wrong with it: serious accessibility findings, a page wider than a phone.</summary>
    public async Task LookAsync(string what)
    {
        Directory.CreateDirectory(Pictures);
        var stem = Path.Combine(Pictures, $"{name}-{++_pictures:00}-{what}");
        await page.EvaluateAsync("scrollTo(0, 0)");
        await page.ScreenshotAsync(new() { Path = stem + ".png", FullPage = true });
        await page.SetViewportSizeAsync(390, 844);
        await page.ScreenshotAsync(new() { Path = stem + "-phone.png", FullPage = true });
        var overflow = await page.EvaluateAsync<int>("document.documentElement.scrollWidth - document.documentElement.clientWidth");
        await page.SetViewportSizeAsync(1440, 900);
        if (overflow > 1) findings.Add($"The page '{what}' is {overflow} pixels wider than a phone.");

        await CheckAccessAsync(what);
        await SwitchAsync(ColorScheme.Dark);
        await page.ScreenshotAsync(new() { Path = stem + "-dark.png", FullPage = true });
        await CheckAccessAsync(what + ", dark");
        await SwitchAsync(ColorScheme.Light);
    }

    /// <summary>As when the system turns dark in the evening: pages that are alive follow at once, the plain forms with their next load.</summary>
    private async Task SwitchAsync(ColorScheme scheme)
    {
        await page.EmulateMediaAsync(new() { ColorScheme = scheme });
        var arrived = $$"""() => { const [r, g, b] = getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number); return (r + g + b < 384) === {{(scheme == ColorScheme.Dark ? "true" : "false")}}; }""";
        try
        {
            await page.WaitForFunctionAsync(arrived, null, new() { Timeout = 3_000 });
        }
        catch (TimeoutException)
        {
            await page.ReloadAsync(new() { WaitUntil = WaitUntilState.NetworkIdle });
            await page.WaitForFunctionAsync(arrived, null, new() { Timeout = 10_000 });
        }
    }

    private async Task CheckAccessAsync(string what)
    {
        var found = await page.RunAxe();
        var serious = found.Violations.Where(violation => violation.Impact is "serious" or "critical").ToList();
        if (serious.Count > 0) findings.Add($"Accessibility of '{what}':\n" + string.Join("\n", serious.Select(Describe)));
    }

    private static string Describe(AxeResultItem item) =>
        $"{item.Id} ({item.Impact}): {item.Help}\n  " + string.Join("\n  ", item.Nodes.Take(5).Select(node => node.Html));

    public ValueTask DisposeAsync() => new(context.CloseAsync());
}
