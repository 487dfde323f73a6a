using Labeling.Web.Accounts;
using Labeling.Web.Api;
using Labeling.Web.Hosting;
using Labeling.Web.Labels;
using Labeling.Web.Site;

// Settings and, once published, wwwroot lie beside the program, whatever folder it was started from.
var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });

builder.AddHosting();
builder.AddDatabase();
builder.AddAccounts();
builder.AddApi();
builder.AddSite();

var app = builder.Build();

app.UseHosting();
app.UseApi();
app.UseAccounts();

app.MapHealth();
app.MapAccounts();
app.MapLabels();
app.MapApi();
app.MapSite();

app.Run();
