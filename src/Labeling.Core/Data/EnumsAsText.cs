using Labeling.Core.Model;
using Microsoft.EntityFrameworkCore;
using Microsoft.EntityFrameworkCore.Metadata;
using Microsoft.EntityFrameworkCore.Storage.ValueConversion;

namespace Labeling.Core.Data;

/// <summary>Enums are lower-case words in the database, and a check constraint allows no other word.</summary>
internal static class EnumsAsText
{
    public static void Convert(ModelConfigurationBuilder builder)
    {
        Convert<CompletionSource>(builder);
        Convert<DatasetKind>(builder);
        Convert<TaskKind>(builder);
        Convert<TaskState>(builder);
        Convert<AssignmentState>(builder);
        Convert<ModelKind>(builder);
        Convert<PromptSource>(builder);
        Convert<Split>(builder);
        Convert<RunStage>(builder);
        Convert<RunState>(builder);
        Convert<RunModelRole>(builder);
    }

    public static void Constrain(ModelBuilder builder)
    {
        foreach (var entity in builder.Model.GetEntityTypes())
        {
            var table = entity.GetTableName()!;
            foreach (var property in entity.GetProperties().Where(IsPlainEnum))
            {
                var type = Nullable.GetUnderlyingType(property.ClrType) ?? property.ClrType;
                var column = property.GetColumnName();
                var words = string.Join(", ", Enum.GetNames(type).Select(name => $"'{name.ToLowerInvariant()}'"));
                entity.AddCheckConstraint($"ck_{table}_{column}", $"{column} in ({words})");
            }
        }
    }

    private static bool IsPlainEnum(IReadOnlyProperty property) =>
        (Nullable.GetUnderlyingType(property.ClrType) ?? property.ClrType) is { IsEnum: true } type && !type.IsDefined(typeof(FlagsAttribute), false);

    private static void Convert<T>(ModelConfigurationBuilder builder) where T : struct, Enum =>
        builder.Properties<T>().HaveConversion<LowerCaseEnum<T>>();

    private sealed class LowerCaseEnum<T>() : ValueConverter<T, string>(value => value.ToString().ToLowerInvariant(), text => Enum.Parse<T>(text, true))
        where T : struct, Enum;
}
