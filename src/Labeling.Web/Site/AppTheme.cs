using System.Text;
using MudBlazor;

namespace Labeling.Web.Site;

/// <summary>
/// The site's colours and type, in one place: MudBlazor's palettes and the custom properties of our own style sheets are both made from here.
/// System fonts: nothing is downloaded, and people read all day in the face their system draws best.
/// </summary>
public static class AppTheme
{
    private static readonly string[] Sans =
        ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Liberation Sans", "Helvetica Neue", "Arial", "sans-serif", "Apple Color Emoji", "Segoe UI Emoji", "Noto Color Emoji"];

    private static readonly Colours LightColours = new(
        Page: "#f5f6f8", Surface: "#ffffff", Sunken: "#eceff3", Text: "#1b2430", Muted: "#556070", Line: "#dbe0e7", LineStrong: "#8a95a5",
        Accent: "#285a9e", OnAccent: "#ffffff", AccentSoft: "#e5edf8", Good: "#1f6f43", GoodSoft: "#e2f2e8", Warn: "#855400", WarnSoft: "#fbf0d9",
        Bad: "#b02a24", BadSoft: "#fbe6e4");

    private static readonly Colours DarkColours = new(
        Page: "#12161c", Surface: "#1a2028", Sunken: "#232b36", Text: "#e3e8ef", Muted: "#a0abba", Line: "#2d3643", LineStrong: "#6b7789",
        Accent: "#8fb8f2", OnAccent: "#0d1b2e", AccentSoft: "#22344d", Good: "#85cf9f", GoodSoft: "#1d3527", Warn: "#e8bd6d", WarnSoft: "#3a2f18",
        Bad: "#f59c95", BadSoft: "#42211f");

    public static MudTheme Theme { get; } = new()
    {
        PaletteLight = Fill(new PaletteLight(), LightColours),
        PaletteDark = Fill(new PaletteDark(), DarkColours),
        LayoutProperties = new LayoutProperties { DefaultBorderRadius = "8px", AppbarHeight = "52px" },
        Typography = new Typography
        {
            Default = new DefaultTypography { FontFamily = Sans, FontSize = "0.9375rem", LineHeight = "1.5", LetterSpacing = "normal" },
            H1 = new H1Typography { FontFamily = Sans, FontSize = "1.5rem", FontWeight = "650", LineHeight = "1.25", LetterSpacing = "-0.01em" },
            H2 = new H2Typography { FontFamily = Sans, FontSize = "1.25rem", FontWeight = "650", LineHeight = "1.3", LetterSpacing = "-0.005em" },
            H3 = new H3Typography { FontFamily = Sans, FontSize = "1.0625rem", FontWeight = "650", LineHeight = "1.35", LetterSpacing = "normal" },
            H4 = new H4Typography { FontFamily = Sans, FontSize = "1rem", FontWeight = "650", LineHeight = "1.4", LetterSpacing = "normal" },
            H5 = new H5Typography { FontFamily = Sans, FontSize = "0.9375rem", FontWeight = "650", LineHeight = "1.4", LetterSpacing = "normal" },
            H6 = new H6Typography { FontFamily = Sans, FontSize = "0.9375rem", FontWeight = "600", LineHeight = "1.4", LetterSpacing = "normal" },
            Body1 = new Body1Typography { FontFamily = Sans, FontSize = "0.9375rem", LineHeight = "1.5", LetterSpacing = "normal" },
            Body2 = new Body2Typography { FontFamily = Sans, FontSize = "0.875rem", LineHeight = "1.5", LetterSpacing = "normal" },
            Subtitle1 = new Subtitle1Typography { FontFamily = Sans, FontSize = "0.9375rem", LineHeight = "1.5", LetterSpacing = "normal" },
            Subtitle2 = new Subtitle2Typography { FontFamily = Sans, FontSize = "0.875rem", FontWeight = "600", LineHeight = "1.5", LetterSpacing = "normal" },
            Button = new ButtonTypography { FontFamily = Sans, FontSize = "0.875rem", FontWeight = "600", LineHeight = "1.6", LetterSpacing = "normal", TextTransform = "none" },
            Caption = new CaptionTypography { FontFamily = Sans, FontSize = "0.8125rem", LineHeight = "1.4", LetterSpacing = "normal" },
            Overline = new OverlineTypography { FontFamily = Sans, FontSize = "0.75rem", FontWeight = "600", LineHeight = "1.4", LetterSpacing = "0.04em" },
        },
    };

    /// <summary>The custom properties for both looks; the browser picks by data-theme on the root element, before the first paint.</summary>
    public static string StyleSheet { get; } =
        $":root{{color-scheme:light;--sans:{string.Join(',', Sans)};{Properties(LightColours)}}}"
        + $":root[data-theme=dark]{{color-scheme:dark;{Properties(DarkColours)}}}";

    private static T Fill<T>(T palette, Colours c) where T : Palette
    {
        palette.Primary = c.Accent;
        palette.PrimaryContrastText = c.OnAccent;
        palette.Secondary = c.Muted;
        palette.SecondaryContrastText = c.Surface;
        palette.Tertiary = c.Accent;
        palette.TertiaryContrastText = c.OnAccent;
        palette.Info = c.Accent;
        palette.InfoContrastText = c.OnAccent;
        palette.Success = c.Good;
        palette.SuccessContrastText = c.Surface;
        palette.Warning = c.Warn;
        palette.WarningContrastText = c.Surface;
        palette.Error = c.Bad;
        palette.ErrorContrastText = c.Surface;
        palette.Background = c.Page;
        palette.BackgroundGray = c.Sunken;
        palette.Surface = c.Surface;
        palette.TextPrimary = c.Text;
        palette.TextSecondary = c.Muted;
        palette.TextDisabled = c.LineStrong;
        palette.ActionDefault = c.Muted;
        palette.ActionDisabled = c.LineStrong;
        palette.ActionDisabledBackground = c.Sunken;
        palette.AppbarBackground = c.Surface;
        palette.AppbarText = c.Text;
        palette.DrawerBackground = c.Surface;
        palette.DrawerText = c.Text;
        palette.DrawerIcon = c.Muted;
        palette.LinesDefault = c.Line;
        palette.LinesInputs = c.LineStrong;
        palette.Divider = c.Line;
        palette.DividerLight = c.Line;
        palette.TableLines = c.Line;
        palette.TableStriped = c.Sunken;
        palette.TableHover = c.Sunken;
        palette.Skeleton = c.Sunken;
        return palette;
    }

    private static string Properties(Colours colours)
    {
        var css = new StringBuilder();
        foreach (var property in typeof(Colours).GetProperties().Where(p => p.PropertyType == typeof(string)))
        {
            css.Append("--").Append(property.Name.ToLowerInvariant()).Append(':').Append(property.GetValue(colours)).Append(';');
        }

        return css.ToString();
    }

    private sealed record Colours(
        string Page, string Surface, string Sunken, string Text, string Muted, string Line, string LineStrong, string Accent, string OnAccent, string AccentSoft,
        string Good, string GoodSoft, string Warn, string WarnSoft, string Bad, string BadSoft);
}
