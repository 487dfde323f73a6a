using System.Diagnostics;
using System.Runtime.ExceptionServices;
using static TorchSharp.torch;

namespace Labeling.Training.Native;

/// <summary>
/// Threads that help with short pieces of work, as many together as libtorch is allowed. The caller never waits for a helper that has
/// not begun: whatever is not claimed it does itself, so a busy machine that gives the helpers no core costs nothing but their help.
/// </summary>
static class Workers
{
    // A helper waits this long for the next piece before it sleeps; decoding hands out one every few dozen microseconds.
    static readonly long Patience = Stopwatch.Frequency / 20_000;
    static readonly Lock Starting = new();
    static readonly object Gate = new();
    static int started;
    static int sleeping;
    static Job? current;

    /// <summary>Runs <paramref name="body"/> for 0 .. count - 1, in any order, on several threads; returns when all are done.</summary>
    /// <param name="count">Number of pieces.</param>
    /// <param name="body">One piece; it must not need the others.</param>
    public static void Run(int count, Action<int> body)
    {
        var helpers = Math.Min(count, get_num_threads()) - 1;
        if (helpers <= 0)
        {
            for (var i = 0; i < count; i++) body(i);
            return;
        }
        if (started < helpers) Start(helpers);
        var job = new Job(count, helpers, body);
        Volatile.Write(ref current, job);
        Interlocked.MemoryBarrier();
        if (sleeping > 0)
        {
            lock (Gate) Monitor.PulseAll(Gate);
        }
        job.Work();
        job.Wait();
        Interlocked.CompareExchange(ref current, null, job);
        job.Error?.Throw();
    }

    static void Start(int helpers)
    {
        lock (Starting)
        {
            for (; started < helpers; started++)
            {
                var number = started;
                new Thread(() => Help(number)) { IsBackground = true, Name = "decoding" }.Start();
            }
        }
    }

    static void Help(int number)
    {
        Job? last = null;
        while (true)
        {
            var since = Stopwatch.GetTimestamp();
            Job? job;
            while ((job = Volatile.Read(ref current)) is null || job == last)
            {
                if (Stopwatch.GetTimestamp() - since < Patience) continue;
                Sleep(last);
                since = Stopwatch.GetTimestamp();
            }
            last = job;
            if (number < job.Helpers) job.Work();
        }
    }

    static void Sleep(Job? last)
    {
        lock (Gate)
        {
            Interlocked.Increment(ref sleeping);
            while (Volatile.Read(ref current) is not { } job || job == last) Monitor.Wait(Gate);
            Interlocked.Decrement(ref sleeping);
        }
    }

    sealed class Job(int count, int helpers, Action<int> body)
    {
        int claimed;
        int done;

        public int Helpers => helpers;
        public ExceptionDispatchInfo? Error { get; private set; }

        public void Work()
        {
            int piece;
            while ((piece = Interlocked.Increment(ref claimed) - 1) < count)
            {
                try
                {
                    body(piece);
                }
                catch (Exception e)
                {
                    Error = ExceptionDispatchInfo.Capture(e);
                }
                Interlocked.Increment(ref done);
            }
        }

        public void Wait()
        {
            var wait = new SpinWait();
            while (Volatile.Read(ref done) < count) wait.SpinOnce(sleep1Threshold: -1);
        }
    }
}
