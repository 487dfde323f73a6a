using System.CommandLine;
using Labeling.AppHost;

var arguments = HostCommand.Create().Parse(args);
// Signals and errors are the host's own business: it has other programs to stop first.
return await arguments.InvokeAsync(new InvocationConfiguration { ProcessTerminationTimeout = null, EnableDefaultExceptionHandler = false });
