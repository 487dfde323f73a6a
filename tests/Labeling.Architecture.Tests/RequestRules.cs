using System.Reflection;
using Labeling.Core;
using Labeling.Core.Pipeline;

namespace Labeling.Architecture.Tests;

/// <summary>Every use case says who may send it and is told in one file.</summary>
public sealed class RequestRules
{
    private static readonly Type[] Requests =
        [.. typeof(LabelingCore).Assembly.GetTypes().Where(type => type is { IsAbstract: false, IsInterface: false } && type.IsAssignableTo(typeof(IActedRequest))).OrderBy(type => type.Name)];

    public static TheoryData<Type> All => [.. Requests];

    [Fact]
    public void There_are_requests_and_all_live_in_features()
    {
        Assert.InRange(Requests.Length, 45, 500);
        Assert.All(Requests, request => Assert.StartsWith("Labeling.Core.Features.", request.Namespace, StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(All))]
    public void It_says_who_may_send_it(Type request)
    {
        var allowed = request.GetCustomAttribute<AllowAttribute>();
        var anonymous = request.IsDefined(typeof(AllowAnonymousAttribute));
        Assert.True(allowed is not null ^ anonymous, $"{request.Name} needs exactly one of [Allow] and [AllowAnonymous].");
        Assert.False(allowed is { Any: Core.Model.Roles.None, System: false }, $"{request.Name} can be sent by nobody.");
    }

    [Theory]
    [MemberData(nameof(All))]
    public void It_has_one_handler_in_its_own_file(Type request)
    {
        var handlers = typeof(LabelingCore).Assembly.GetTypes().Where(type => type is { IsAbstract: false, IsInterface: false } && type.GetInterfaces().Any(i =>
            i.IsGenericType && i.GetGenericTypeDefinition() == typeof(Mediator.IRequestHandler<,>) && i.GetGenericArguments()[0] == request)).ToList();
        var handler = Assert.Single(handlers);
        Assert.Equal(request.Namespace, handler.Namespace);
        var file = Path.Combine(Repository(), "src", "Labeling.Core", "Features", request.Namespace!.Split('.')[^1], request.Name + ".cs");
        Assert.True(File.Exists(file), $"{request.Name} belongs in {file}.");
        var text = File.ReadAllText(file);
        Assert.Contains($"record {request.Name}(", text, StringComparison.Ordinal);
        Assert.Contains($"class {handler.Name}", text, StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(All))]
    public void A_verb_of_reading_is_a_query_and_no_other(Type request)
    {
        string[] reading = ["Get", "List", "Count", "Suggest", "Open"];
        Assert.Equal(reading.Any(verb => request.Name.StartsWith(verb, StringComparison.Ordinal)), request.IsAssignableTo(typeof(IReadOnlyRequest)));
    }

    private static string Repository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder is not null && !File.Exists(Path.Combine(folder.FullName, "Labeling.sln"))) folder = folder.Parent;
        return folder?.FullName ?? throw new InvalidOperationException("Labeling.sln was not found above the tests.");
    }
}
