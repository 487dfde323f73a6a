using Labeling.Training.Cli;

return CommandLine.Build().Parse(args).Invoke();
