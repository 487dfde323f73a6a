using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using Labeling.Web.Api.Json;
using Microsoft.AspNetCore.OpenApi;
using Microsoft.OpenApi;
using Scalar.AspNetCore;

namespace Labeling.Web.Api.OpenApi;

/// <summary>A body that shows in the API's document how it is filled in.</summary>
public interface IExample<TSelf> where TSelf : IExample<TSelf>
{
    static abstract TSelf Example { get; }
}

/// <summary>The OpenAPI document at /openapi/v1.json and the readable page at /scalar, both from this server alone.</summary>
internal static class ApiDocument
{
    private const string Title = "Labeling API";

    public static void AddApiDocument(this IServiceCollection services) =>
        services.AddOpenApi("v1", options =>
        {
            options.ShouldInclude = api => api.RelativePath?.StartsWith(ApiSetup.Root[1..] + "/", StringComparison.Ordinal) ?? false;
            options.AddDocumentTransformer(Describe);
            options.AddOperationTransformer(AddProblems);
            options.AddSchemaTransformer(Shape);
        });

    public static void MapApiDocument(this IEndpointRouteBuilder app)
    {
        app.MapOpenApi("/openapi/{documentName}.json").AllowAnonymous();
        app.MapScalarApiReference("/scalar", (options, context) =>
        {
            options.WithTitle(Title).AddDocument("v1").DisableAgent().DisableMcp().DisableTelemetry().WithNonce();
            options.DefaultFonts = false;
            options.HideClientButton = true;
            options.ShowDeveloperTools = DeveloperToolsVisibility.Never;
            AllowScalarsOwnScript(context);
        }).AllowAnonymous();
    }

    // The page starts itself from an inline script and writes its own styles: that page alone may, by nonce.
    private static void AllowScalarsOwnScript(HttpContext context) =>
        context.Response.OnStarting(() =>
        {
            if (context.Items[ScalarOptions.NonceHttpContextItemKey] is string nonce)
            {
                context.Response.Headers.ContentSecurityPolicy =
                    $"default-src 'none'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
                    + "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
            }

            return Task.CompletedTask;
        });

    private static Task Describe(OpenApiDocument document, OpenApiDocumentTransformerContext context, CancellationToken cancel)
    {
        document.Info = new OpenApiInfo
        {
            Title = Title,
            Version = "v1",
            Description =
                """
                Import prompts, label, freeze datasets, start runs and read models: the same requests the site's pages send, under the same rules.

                Make an API key on the site's page *API keys* and send it as `Authorization: Bearer <key>`; the key acts as you. Ids are UUIDs made by you, so that a request
                sent again after a lost connection has no second effect. Problems come as `application/problem+json`; `errors` names the fields to change.
                """,
        };
        document.Servers = [];
        document.Components ??= new OpenApiComponents();
        document.Components.SecuritySchemes = new Dictionary<string, IOpenApiSecurityScheme>
        {
            ["apiKey"] = new OpenApiSecurityScheme { Type = SecuritySchemeType.Http, Scheme = "bearer", Description = "An API key of yours." },
        };
        document.Security = [new OpenApiSecurityRequirement { [new OpenApiSecuritySchemeReference("apiKey", document)] = [] }];
        return Task.CompletedTask;
    }

    private static Task AddProblems(OpenApiOperation operation, OpenApiOperationTransformerContext context, CancellationToken cancel)
    {
        operation.Responses ??= [];
        foreach (var (status, meaning) in new[]
                 {
                     ("400", "The request is invalid; errors names the fields."), ("401", "The API key is missing or not valid."), ("403", "The key's person may not do this."),
                     ("404", "There is no such thing."), ("409", "Somebody else was first, or the state does not allow it."),
                 })
        {
            operation.Responses.TryAdd(status, new OpenApiResponse
            {
                Description = meaning,
                Content = new Dictionary<string, OpenApiMediaType> { ["application/problem+json"] = new() },
            });
        }

        return Task.CompletedTask;
    }

    private static Task Shape(OpenApiSchema schema, OpenApiSchemaTransformerContext context, CancellationToken cancel)
    {
        var type = Nullable.GetUnderlyingType(context.JsonTypeInfo.Type) ?? context.JsonTypeInfo.Type;
        if (type.IsEnum)
        {
            var names = (List<JsonNode>)[.. Enum.GetNames(type).Where(n => n != "None").Select(n => (JsonNode)JsonNamingPolicy.CamelCase.ConvertName(n))];
            if (EnumConverterFactory.IsFlags(type))
            {
                schema.Type = JsonSchemaType.Array;
                schema.Items = new OpenApiSchema { Type = JsonSchemaType.String, Enum = names };
            }
            else
            {
                schema.Type = JsonSchemaType.String;
                schema.Enum = names;
            }
        }
        else if (type.GetInterfaces().Any(i => i.IsGenericType && i.GetGenericTypeDefinition() == typeof(IExample<>)))
        {
            var example = type.GetProperty(nameof(NewProject.Example), BindingFlags.Public | BindingFlags.Static)!.GetValue(null);
            schema.Examples = [JsonSerializer.SerializeToNode(example, type, ApiJson.Options)!];
        }

        return Task.CompletedTask;
    }
}
