using Labeling.Core;
using Labeling.Core.Data;
using Microsoft.AspNetCore.DataProtection;
using Microsoft.AspNetCore.Diagnostics.HealthChecks;
using Microsoft.AspNetCore.HttpOverrides;

namespace Labeling.Web.Hosting;

public static class HostingExtensions
{
    private const string Ready = "ready";

    public static void AddHosting(this WebApplicationBuilder builder)
    {
        // Also outside development: a site started from its build output finds its assets by the manifest written there.
        builder.WebHost.UseStaticWebAssets();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.AddServerHeader = false);

        // One reverse proxy on the same machine or network is the expected setting; its addresses are configured there, not guessed here.
        builder.Services.Configure<ForwardedHeadersOptions>(options =>
        {
            options.ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto;
            foreach (var proxy in builder.Configuration.GetSection("Labeling:TrustedProxies").Get<string[]>() ?? [])
            {
                options.KnownIPNetworks.Add(System.Net.IPNetwork.Parse(proxy.Contains('/', StringComparison.Ordinal) ? proxy : proxy + "/32"));
            }
        });

        builder.Services.AddProblemDetails();
        builder.Services.AddHealthChecks().AddCheck<DatabaseHealth>("database", tags: [Ready]);

        if (builder.Configuration.GetValue<int?>("Labeling:ParentPid") is { } parent)
        {
            builder.Services.AddHostedService(services => ActivatorUtilities.CreateInstance<ParentWatch>(services, parent));
        }
    }

    public static void AddDatabase(this WebApplicationBuilder builder)
    {
        builder.Services.AddLabelingCore(builder.Configuration);

        // In the database from the first day: cookies and forms outlive restarts and work on every node.
        builder.Services.AddDataProtection().SetApplicationName("Labeling").PersistKeysToDbContext<LabelingDbContext>();
    }

    public static void UseHosting(this WebApplication app)
    {
        app.UseForwardedHeaders();
        app.UseSecurityHeaders();
        if (!app.Environment.IsDevelopment())
        {
            app.UseExceptionHandler("/error", createScopeForErrors: true);
        }

        // Scripts under /app and /api get a problem document before this sees an empty answer.
        app.UseStatusCodePagesWithReExecute("/not-found", createScopeForStatusCodePages: true);
    }

    public static void MapHealth(this WebApplication app)
    {
        app.MapHealthChecks("/health/live", new HealthCheckOptions { Predicate = _ => false }).AllowAnonymous();
        app.MapHealthChecks("/health/ready", new HealthCheckOptions { Predicate = check => check.Tags.Contains(Ready) }).AllowAnonymous();
    }
}
