using System.Net;
using AngleSharp.Dom;
using Ganss.Xss;
using Markdig;
using Markdig.Renderers;
using Markdig.Syntax;

namespace Labeling.Web.Text;

/// <summary>
/// Text of people and models as HTML. All of it is hostile input: raw HTML is off, links are rewritten, and a sanitiser with a short list of elements
/// goes over the result. What the parser refuses (e.g. a thousand nested quotes) is shown as plain text.
/// </summary>
public sealed class MarkdownRenderer
{
    /// <summary>A Markdown tree of this much text would hold up the page; beyond it the text is shown as it was written.</summary>
    public const int MaxFormatted = 400_000;

    private static readonly string[] Elements =
    [
        "p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "em", "strong", "del", "sub", "sup", "mark", "ins", "blockquote", "ul", "ol", "li", "a", "code", "pre",
        "table", "thead", "tbody", "tr", "th", "td", "span", "div", "input",
    ];

    private static readonly string[] Blocks = ["p", "h1", "h2", "h3", "h4", "h5", "h6", "li", "blockquote", "td", "th", "pre", "div"];

    private readonly MarkdownPipeline _pipeline = new MarkdownPipelineBuilder()
        .DisableHtml().UsePipeTables().UseEmphasisExtras().UseTaskLists().UseAutoLinks().UseSoftlineBreakAsHardlineBreak().Build();

    private readonly HtmlSanitizer _sanitizer = Sanitizer();

    public string ToHtml(string text)
    {
        if (text.Length > MaxFormatted)
        {
            return Plain(text);
        }

        try
        {
            var document = Markdown.Parse(text, _pipeline);
            foreach (var heading in document.Descendants<HeadingBlock>())
            {
                // The page has its own h1 and h2; a text lives below them.
                heading.Level = Math.Min(6, heading.Level + 2);
            }

            using var html = new StringWriter();
            var renderer = new HtmlRenderer(html);
            _pipeline.Setup(renderer);
            SafeLinks.Use(renderer);
            renderer.Render(document);
            return _sanitizer.Sanitize(html.ToString());
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException)
        {
            return Plain(text);
        }
    }

    private string Plain(string text) => _sanitizer.Sanitize($"<div class=\"plain-text\">{WebUtility.HtmlEncode(text)}</div>");

    private static HtmlSanitizer Sanitizer()
    {
        var options = new HtmlSanitizerOptions
        {
            AllowedTags = new HashSet<string>(Elements, StringComparer.OrdinalIgnoreCase),
            AllowedAttributes = new HashSet<string>(["href", "title", "target", "rel", "class", "type", "checked", "disabled", "start"], StringComparer.OrdinalIgnoreCase),
            AllowedSchemes = new HashSet<string>(["http", "https", "mailto"], StringComparer.OrdinalIgnoreCase),
            AllowedClasses = new HashSet<string>(["image", "plain-text", "task-list-item", "contains-task-list"], StringComparer.OrdinalIgnoreCase),
            AllowedCssProperties = new HashSet<string>(),
            AllowedAtRules = new HashSet<AngleSharp.Css.Dom.CssRuleType>(),
            UriAttributes = new HashSet<string>(["href"], StringComparer.OrdinalIgnoreCase),
        };
        var sanitizer = new HtmlSanitizer(options) { AllowDataAttributes = false };
        sanitizer.PostProcessDom += (_, e) => Finish(e.Document);
        return sanitizer;
    }

    /// <summary>Every block finds its own direction; boxes of task lists say what they are; what cannot be seen is marked.</summary>
    private static void Finish(IDocument document)
    {
        if (document.Body is not { } body)
        {
            return;
        }

        foreach (var block in body.QuerySelectorAll(string.Join(',', Blocks)))
        {
            block.SetAttribute("dir", "auto");
        }

        foreach (var scroller in body.QuerySelectorAll("pre, table"))
        {
            scroller.SetAttribute("tabindex", "0");
        }

        foreach (var box in body.QuerySelectorAll("input").ToList())
        {
            box.Replace(document.CreateTextNode(box.HasAttribute("checked") ? "☑ " : "☐ "));
        }

        foreach (var node in body.Descendants<IText>().ToList())
        {
            var pieces = InvisibleCharacters.Split(node.Data).ToList();
            if (!pieces.Exists(piece => piece.IsMark))
            {
                continue;
            }

            foreach (var (piece, isMark) in pieces)
            {
                INode added = isMark ? Mark(document, piece) : document.CreateTextNode(piece);
                node.Parent!.InsertBefore(added, node);
            }

            node.Remove();
        }
    }

    private static IElement Mark(IDocument document, string code)
    {
        var mark = document.CreateElement("span");
        mark.ClassName = "hidden-character";
        mark.SetAttribute("title", "A character that cannot be seen");
        mark.TextContent = code;
        return mark;
    }
}
