using Labeling.Web.Components;
using Labeling.Web.Text;
using MudBlazor;
using MudBlazor.Services;

namespace Labeling.Web.Site;

public static class SiteExtensions
{
    /// <summary>Bound for one message from browser to circuit. Texts of labels do not travel this way; forms of an admin may hold a long guideline.</summary>
    private const int MaxCircuitMessage = 512 * 1024;

    public static void AddSite(this WebApplicationBuilder builder)
    {
        builder.Services.AddRazorComponents().AddInteractiveServerComponents(circuits =>
        {
            circuits.DetailedErrors = builder.Environment.IsDevelopment();
            circuits.DisconnectedCircuitMaxRetained = 200;
            circuits.DisconnectedCircuitRetentionPeriod = TimeSpan.FromMinutes(3);
        }).AddHubOptions(hub => hub.MaximumReceiveMessageSize = MaxCircuitMessage);

        builder.Services.AddMudServices(mud =>
        {
            mud.SnackbarConfiguration.PositionClass = Defaults.Classes.Position.BottomCenter;
            mud.SnackbarConfiguration.VisibleStateDuration = 4000;
            mud.SnackbarConfiguration.PreventDuplicates = true;
        });
        builder.Services.AddScoped<AppSender>();
        builder.Services.AddSingleton<MarkdownRenderer>();
    }

    public static void MapSite(this WebApplication app)
    {
        app.MapStaticAssets().AllowAnonymous();
        app.MapRazorComponents<App>().AddInteractiveServerRenderMode(options => options.DisableWebSocketCompression = true);
    }
}
