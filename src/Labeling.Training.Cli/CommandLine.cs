using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;
using System.Text.Encodings.Web;
using System.Text.Json;
using Labeling.Training.Checks;
using Labeling.Training.Native;
using Labeling.Training.Runs;

namespace Labeling.Training.Cli;

/// <summary>The commands: one per stage, describe and check.</summary>
internal static class CommandLine
{
    private static readonly JsonSerializerOptions Readable = new()
    {
        WriteIndented = true,
        NewLine = "\n",
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
    };

    public static RootCommand Build()
    {
        var root = new RootCommand("Trains language models from human feedback. A run is a folder with a run.json; results appear in the same folder, and starting it again goes on from its newest checkpoint.");
        var stages = Stages.Describe();
        var device = DeviceOption();
        foreach (var stage in stages)
        {
            var folder = new Option<string>("--run") { Description = "The run folder, which holds run.json.", Required = true, HelpName = "folder" };
            var resources = new Option<string>("--resources") { Description = "Write the process's memory and number of live tensors after each step to this file, as JSON lines.", HelpName = "file" };
            var command = new Command(stage.Stage, stage.Summary) { folder, device, resources };
            command.SetAction(parsed => Trainer.Run(stage.Stage, parsed.GetRequiredValue(folder), parsed.GetValue(device)!, parsed.GetValue(resources)));
            root.Add(command);
        }
        root.Add(DescribeCommand());
        root.Add(CheckCommand(device));
        var help = root.Options.OfType<HelpOption>().Single();
        help.Action = new StageHelp((HelpAction)help.Action!, stages);
        return root;
    }

    /// <summary>The text that is committed as Core's stages.json.</summary>
    public static string StagesAsJson() => JsonSerializer.Serialize(Stages.Describe(), Readable) + "\n";

    private static Command DescribeCommand()
    {
        var json = new Option<bool>("--json") { Description = "As JSON, for programs." };
        var command = new Command("describe", "Prints the stages and their hyperparameters.") { json };
        command.SetAction(parsed =>
        {
            if (parsed.GetValue(json))
            {
                Console.Out.Write(StagesAsJson());
                return;
            }
            foreach (var stage in Stages.Describe())
            {
                Console.Out.WriteLine($"{stage.Stage}: {stage.Summary}");
                StageHelp.Write(stage);
            }
        });
        return command;
    }

    private static Option<string> DeviceOption() => new("--device")
    {
        Description = $"Where to calculate: cpu, cuda, or cuda:N for one of several GPUs; for a GPU, {ComputeDevice.FolderVariable} names the lib folder of libtorch 2.10 with CUDA. Without the option LABELING_DEVICE decides, or else cpu.",
        HelpName = "device",
        DefaultValueFactory = _ => Environment.GetEnvironmentVariable("LABELING_DEVICE") ?? "cpu",
    };

    private static Command CheckCommand(Option<string> device)
    {
        var golden = new Option<string>("--golden") { Description = "A golden file, or a folder with golden files in or below it; models and tokenizers lie beside theirs.", Required = true, HelpName = "path" };
        var command = new Command("check", "Compares models, tokenizers and chat templates with expected values that other software computed. Exit code 1: out of tolerance; 2: something cannot be read or is not supported.") { golden, device };
        command.SetAction(parsed =>
        {
            var code = 0;
            // Deeply nested templates need the stack, and TorchSharp's scopes belong to one thread.
            var thread = new Thread(() =>
            {
                try
                {
                    ComputeDevice.Use(parsed.GetValue(device)!);
                    code = GoldenCheck.Run(parsed.GetRequiredValue(golden), Console.Out.WriteLine, Console.Error.WriteLine);
                }
                catch (LibTorchException e)
                {
                    Console.Error.WriteLine(e.Message);
                    code = 2;
                }
            }, maxStackSize: 16 << 20)
            { Name = "check" };
            thread.Start();
            thread.Join();
            return code;
        });
        return command;
    }

    /// <summary>The usual help, and below it the stage's hyperparameters.</summary>
    private sealed class StageHelp(HelpAction usual, IReadOnlyList<StageDescription> stages) : SynchronousCommandLineAction
    {
        public override bool ClearsParseErrors => true;

        public override int Invoke(ParseResult parseResult)
        {
            var code = usual.Invoke(parseResult);
            if (stages.FirstOrDefault(s => s.Stage == parseResult.CommandResult.Command.Name) is { } stage)
            {
                Console.Out.WriteLine("Hyperparameters (keys of \"hyperparameters\" in run.json):");
                Write(stage);
            }
            return code;
        }

        public static void Write(StageDescription stage)
        {
            foreach (var h in stage.Hyperparameters)
            {
                var facts = new List<string> { $"default {JsonSerializer.Serialize(h.Default, Readable).Replace("null", "from the model or data", StringComparison.Ordinal)}" };
                if (h.Unit.Length > 0)
                {
                    facts.Add(h.Unit);
                }
                if (h.Choices is not null)
                {
                    facts.Add("one of " + string.Join(", ", h.Choices));
                }
                if (h.Min is not null || h.Max is not null)
                {
                    facts.Add(FormattableString.Invariant($"{h.Min} to {h.Max}"));
                }
                Console.Out.WriteLine($"  {h.Name}  ({h.Type}; {string.Join("; ", facts)})");
                Console.Out.WriteLine($"      {h.Help}");
                if (h.Source.Length > 0)
                {
                    Console.Out.WriteLine($"      Source: {h.Source}.");
                }
            }
            Console.Out.WriteLine();
        }
    }
}
