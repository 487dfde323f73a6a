using Labeling.Training.Cli;

ThreadWaiting.PreferSleeping();
return CommandLine.Build().Parse(args).Invoke();
