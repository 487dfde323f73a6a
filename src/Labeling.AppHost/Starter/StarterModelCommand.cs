using System.CommandLine;

namespace Labeling.AppHost.Starter;

/// <summary>The command <c>starter-model</c>: makes the base model of the starter project again.</summary>
internal static class StarterModelCommand
{
    public static Command Create()
    {
        Option<DirectoryInfo> output = new("--out") { Description = "Folder to write the model to; new or empty.", Required = true };
        Option<DirectoryInfo?> work = new("--work") { Description = "Folder for the runs. Kept, so that an interrupted training goes on from its last checkpoint. Default: beside --out." };
        Option<int> seed = new("--seed") { Description = "Seed of text and training.", DefaultValueFactory = _ => StarterModel.Seed };
        Option<int> threads = new("--threads") { Description = "Threads to train with; 0 uses all cores. The weights depend on it in the last digits.", DefaultValueFactory = _ => 2 };
        Command command = new("starter-model", "Makes the starter project's base model: raw text of the starter world, a tokenizer, pre-training.");
        command.Options.Add(output);
        command.Options.Add(work);
        command.Options.Add(seed);
        command.Options.Add(threads);
        command.SetAction(async (arguments, _) =>
        {
            Screen screen = new();
            using StopSignal stop = new();
            string folder = arguments.GetValue(output)!.FullName;
            try
            {
                await StarterModel.MakeAsync(
                    folder, arguments.GetValue(work)?.FullName ?? folder + "-work", arguments.GetValue(seed), arguments.GetValue(threads), screen.Line, stop.Token);
                return 0;
            }
            catch (OperationCanceledException) when (stop.Token.IsCancellationRequested)
            {
                screen.Line("Stopped. The same command goes on from the last checkpoint.");
                return 3;
            }
            catch (HostException error)
            {
                screen.Fail(error.Message);
                return 1;
            }
        });
        return command;
    }
}
