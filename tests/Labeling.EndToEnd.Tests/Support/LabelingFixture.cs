using Labeling.EndToEnd.Tests.Support;
using Microsoft.Playwright;

[assembly: AssemblyFixture(typeof(LabelingFixture))]

namespace Labeling.EndToEnd.Tests.Support;

/// <summary>One running product and one browser for all tests of this project.</summary>
public sealed class LabelingFixture : IAsyncLifetime
{
    private IPlaywright? _playwright;
    private RunningSite? _site;
    private IBrowser? _browser;

    internal RunningSite Site => _site!;

    /// <summary>What people noticed about the pages they looked at.</summary>
    internal List<string> Findings { get; } = [];

    internal Task<Person> ArriveAsync(string name) => Person.ArriveAsync(_browser!, Site.Address, name, Findings);

    public async ValueTask InitializeAsync()
    {
        var chromium = await Chromium.FindAsync();
        // A busy machine is no finding: what has to appear gets half a minute.
        Assertions.SetDefaultExpectTimeout(30_000);
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(new() { ExecutablePath = chromium, Headless = true, Args = Chromium.Arguments });
        _site = await RunningSite.StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null) await _browser.CloseAsync();
        _playwright?.Dispose();
        if (_site is not null) await _site.DisposeAsync();
    }
}
