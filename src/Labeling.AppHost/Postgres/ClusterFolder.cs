using System.Security.Cryptography;
using Labeling.AppHost.Supervision;

namespace Labeling.AppHost.Postgres;

/// <summary>
/// The folder of one cluster: <c>cluster/</c> (PostgreSQL's own files), the passwords, and, where the account the
/// server runs under may not enter the data folder, the note <c>location</c> naming where the cluster is instead.
/// </summary>
internal sealed class ClusterFolder
{
    /// <summary>Used only by root, when the data folder lies where no other account may enter, such as /root.</summary>
    private const string SystemFolder = "/var/lib/labeling";

    private readonly string folder;
    private readonly ServerAccount? account;

    private ClusterFolder(string folder, ServerAccount? account, string home)
    {
        this.folder = folder;
        this.account = account;
        Home = home;
    }

    /// <summary>The folder that <see cref="Cluster"/> is in; the server's account may enter it.</summary>
    public string Home { get; }

    public string Cluster => Path.Combine(Home, "cluster");

    /// <summary>The password of the role Labeling's programs use.</summary>
    public string Password => Secret("password");

    /// <summary>The password of the role <c>postgres</c>, which only this program uses.</summary>
    public string SuperuserPassword => Secret("superuser-password");

    public static async Task<ClusterFolder> OpenAsync(string folder, ServerAccount? account, Action<string> say, CancellationToken cancellation)
    {
        Directory.CreateDirectory(folder);
        if (account is null)
            return new ClusterFolder(folder, account, folder);

        var note = Path.Combine(folder, "location");
        if (File.Exists(note))
            return new ClusterFolder(folder, account, (await File.ReadAllTextAsync(note, cancellation)).Trim());
        MakeEnterable(folder);
        if (await CanEnterAsync(folder, account, cancellation))
            return new ClusterFolder(folder, account, folder);
        if (Directory.Exists(Path.Combine(folder, "cluster")))
            throw new HostException($"The account {account.Name}, which runs the database, may no longer enter {folder}. Allow it to enter every folder on the way there (chmod o+x), or choose another folder with --data.");

        var home = Path.Combine(SystemFolder, Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(6)));
        Directory.CreateDirectory(home);
        MakeEnterable(SystemFolder);
        MakeEnterable(home);
        if (!await CanEnterAsync(home, account, cancellation))
            throw new HostException($"The account {account.Name}, which runs the database, may enter neither {folder} nor {home}. Choose another folder with --data.");
        await File.WriteAllTextAsync(note, home + "\n", cancellation);
        say($"The account {account.Name}, which runs the database, may not enter {folder}: its files are in {home}.");
        return new ClusterFolder(folder, account, home);
    }

    /// <summary>A folder for fetched programs that the server's account can reach: the wanted one, or one beside the relocated cluster.</summary>
    public string ReachableTools(string wanted) => Home == folder ? wanted : Path.Combine(SystemFolder, "tools");

    /// <summary>An empty folder for initdb, owned by the server's account. Leftovers of interrupted attempts are removed first.</summary>
    public string NewClusterFolder()
    {
        foreach (var leftover in Directory.GetDirectories(Home, "cluster-new-*"))
            Directory.Delete(leftover, recursive: true);
        var fresh = Path.Combine(Home, "cluster-new-" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(4)));
        Directory.CreateDirectory(fresh);
        GiveToAccount(fresh);
        return fresh;
    }

    /// <summary>Writes a text that only the server's account can read; the caller deletes it.</summary>
    public string WriteForAccount(string name, string text)
    {
        var file = Path.Combine(Home, name);
        File.Delete(file);
        WritePrivate(file, text);
        GiveToAccount(file);
        return file;
    }

    private void GiveToAccount(string path)
    {
        if (account is not null && !OperatingSystem.IsWindows())
            Unix.ChangeOwner(path, account);
    }

    /// <summary>Reads a password, or makes one before the first cluster exists.</summary>
    private string Secret(string name)
    {
        var file = Path.Combine(folder, name);
        if (File.Exists(file))
            return File.ReadAllText(file).Trim();
        if (Directory.Exists(Cluster))
            throw new HostException($"The database in {Cluster} has a password and {file}, which kept it, is missing. Put that file back from a backup.");
        var secret = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(24));
        var temporary = file + ".new";
        File.Delete(temporary);
        WritePrivate(temporary, secret + "\n");
        File.Move(temporary, file);
        return secret;
    }

    private static void WritePrivate(string file, string text)
    {
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        using var stream = new FileStream(file, options);
        stream.Write(System.Text.Encoding.UTF8.GetBytes(text));
        stream.Flush(flushToDisk: true);
    }

    /// <summary>Others may pass through, not list: the passwords in it are readable by their owner alone.</summary>
    private static void MakeEnterable(string path)
    {
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(path, File.GetUnixFileMode(path) | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
    }

    private static async Task<bool> CanEnterAsync(string path, ServerAccount account, CancellationToken cancellation)
    {
        var test = SearchPath.Find("test") ?? throw new HostException("The program 'test' of coreutils is missing.");
        return (await Command.RunAsync(new Launch(test, "-x", path) { Account = account }, cancellation)).Succeeded;
    }
}
