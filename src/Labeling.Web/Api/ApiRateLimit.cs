using System.Globalization;
using System.Security.Claims;
using System.Threading.RateLimiting;
using Microsoft.AspNetCore.RateLimiting;

namespace Labeling.Web.Api;

/// <summary>Per person: 1,000 requests at once, 200 a second for long. A script that is a little too fast waits in a queue; beyond it, it is refused.</summary>
internal sealed class ApiRateLimit : IRateLimiterPolicy<string>
{
    public Func<OnRejectedContext, CancellationToken, ValueTask> OnRejected { get; } = Refuse;

    public RateLimitPartition<string> GetPartition(HttpContext httpContext) =>
        RateLimitPartition.GetTokenBucketLimiter(
            httpContext.User.FindFirstValue(ClaimTypes.NameIdentifier) ?? $"address {httpContext.Connection.RemoteIpAddress}",
            _ => new TokenBucketRateLimiterOptions { TokenLimit = 1000, TokensPerPeriod = 20, ReplenishmentPeriod = TimeSpan.FromMilliseconds(100), QueueLimit = 200 });

    private static async ValueTask Refuse(OnRejectedContext context, CancellationToken cancel)
    {
        var wait = context.Lease.TryGetMetadata(MetadataName.RetryAfter, out var time) ? time : TimeSpan.FromSeconds(1);
        context.HttpContext.Response.Headers.RetryAfter = Math.Max(1, (int)Math.Ceiling(wait.TotalSeconds)).ToString(CultureInfo.InvariantCulture);
        await Answers.Problem(StatusCodes.Status429TooManyRequests, "Too many requests at once. Wait as long as Retry-After says and send it again.")
            .ExecuteAsync(context.HttpContext);
    }
}
