using Labeling.Web.Accounts;
using Labeling.Web.Api;
using Labeling.Web.Hosting;
using Labeling.Web.Labels;
using Labeling.Web.Site;

var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, ContentRootPath = ContentRoot.Find() });

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
