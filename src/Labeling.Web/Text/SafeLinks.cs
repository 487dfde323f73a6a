using Markdig.Renderers;
using Markdig.Renderers.Html;
using Markdig.Renderers.Html.Inlines;
using Markdig.Syntax.Inlines;

namespace Labeling.Web.Text;

/// <summary>
/// Writes links with an allowed scheme as links that tell the target nothing, everything else as the text it is.
/// An image is never fetched: it becomes a link with its description.
/// </summary>
internal sealed class SafeLinkRenderer : HtmlObjectRenderer<LinkInline>
{
    protected override void Write(HtmlRenderer renderer, LinkInline link)
    {
        var url = link.GetDynamicUrl?.Invoke() ?? link.Url ?? "";
        var safe = SafeLinks.Allowed(url);
        SafeLinks.Open(renderer, url, safe, link.IsImage ? "image" : null);
        if (link.IsImage)
        {
            renderer.Write("Image, not loaded: ");
        }

        if (link.FirstChild is null)
        {
            renderer.WriteEscape(url);
        }
        else
        {
            renderer.WriteChildren(link);
        }

        SafeLinks.Close(renderer, url, safe);
    }
}

internal sealed class SafeAutolinkRenderer : HtmlObjectRenderer<AutolinkInline>
{
    protected override void Write(HtmlRenderer renderer, AutolinkInline link)
    {
        var url = link.IsEmail ? "mailto:" + link.Url : link.Url;
        var safe = SafeLinks.Allowed(url);
        SafeLinks.Open(renderer, url, safe, null);
        renderer.WriteEscape(link.Url);
        if (safe)
        {
            renderer.Write("</a>");
        }
    }
}

internal static class SafeLinks
{
    public static bool Allowed(string url) =>
        Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https" or "mailto"
        && (uri.Scheme is "mailto" ? url.StartsWith("mailto:", StringComparison.OrdinalIgnoreCase) : url.StartsWith(uri.Scheme + "://", StringComparison.OrdinalIgnoreCase));

    public static void Open(HtmlRenderer renderer, string url, bool safe, string? cssClass)
    {
        if (!safe)
        {
            return;
        }

        renderer.Write("<a href=\"");
        renderer.WriteEscapeUrl(url);
        renderer.Write("\" title=\"");
        renderer.WriteEscape(url);
        renderer.Write("\" target=\"_blank\" rel=\"noopener noreferrer nofollow\"");
        if (cssClass is not null)
        {
            renderer.Write(" class=\"").Write(cssClass).Write('"');
        }

        renderer.Write('>');
    }

    /// <summary>A link that is not followed shows where it would have led.</summary>
    public static void Close(HtmlRenderer renderer, string url, bool safe)
    {
        if (safe)
        {
            renderer.Write("</a>");
        }
        else
        {
            renderer.Write(" (").WriteEscape(url).Write(')');
        }
    }

    public static void Use(HtmlRenderer renderer)
    {
        renderer.ObjectRenderers.TryRemove<LinkInlineRenderer>();
        renderer.ObjectRenderers.TryRemove<AutolinkInlineRenderer>();
        renderer.ObjectRenderers.Insert(0, new SafeLinkRenderer());
        renderer.ObjectRenderers.Insert(0, new SafeAutolinkRenderer());
    }
}
