namespace Labeling.Core.Features.People;

/// <summary>Length is what makes a password strong; rules about kinds of characters only make it hard to remember (NIST SP 800-63B, 5.1.1.2).</summary>
public static class PasswordRules
{
    public const int MinLength = 12;

    /// <summary>Bounds the work of hashing.</summary>
    public const int MaxLength = 256;

    public const int MinDifferentCharacters = 5;

    /// <summary>For the form and for the refusal.</summary>
    public const string Text = "A password has at least 12 characters, 5 of them different. Any characters count, so a short sentence is fine.";
}
