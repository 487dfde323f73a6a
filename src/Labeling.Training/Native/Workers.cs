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
    static long awakeUntil;

    /// <summary>Wakes the helpers for work that comes within a millisecond: one that still slept then would begin when small work is nearly done.</summary>
    public static void Wake()
    {
        Volatile.Write(ref awakeUntil, Stopwatch.GetTimestamp() + Stopwatch.Frequency / 1000);
        WakeSleeping();
    }

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
        WakeSleeping();
        job.Work(0);
        job.Wait();
        Interlocked.CompareExchange(ref current, null, job);
        job.Error?.Throw();
    }

    static void WakeSleeping()
    {
        Interlocked.MemoryBarrier();
        if (sleeping == 0) return;
        lock (Gate) Monitor.PulseAll(Gate);
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
                var now = Stopwatch.GetTimestamp();
                if (now - since < Patience || now < Volatile.Read(ref awakeUntil)) continue;
                Sleep(last);
                since = Stopwatch.GetTimestamp();
            }
            last = job;
            if (number < job.Helpers) job.Work(number + 1);
        }
    }

    static void Sleep(Job? last)
    {
        lock (Gate)
        {
            Interlocked.Increment(ref sleeping);
            while ((Volatile.Read(ref current) is not { } job || job == last) && Stopwatch.GetTimestamp() >= Volatile.Read(ref awakeUntil)) Monitor.Wait(Gate);
            Interlocked.Decrement(ref sleeping);
        }
    }

    /// <summary>
    /// Every thread has a range of neighbouring pieces of its own, which it does from the front: memory is read fastest from one end to the other, and the
    /// same thread meets the same rows again in the next job. Whoever is through takes from the back of the others' ranges.
    /// </summary>
    sealed class Job(int count, int helpers, Action<int> body)
    {
        // A range's first piece and its end share a word, so that both change together; a cache line lies between two ranges.
        const int Apart = 128 / sizeof(long);

        readonly long[] ranges = Shares(count, helpers + 1);
        int done;

        public int Helpers => helpers;
        public ExceptionDispatchInfo? Error { get; private set; }

        static long[] Shares(int count, int threads)
        {
            var ranges = new long[(threads + 1) * Apart];
            for (var i = 0; i < threads; i++) ranges[(i + 1) * Apart] = Range((int)((long)i * count / threads), (int)((long)(i + 1) * count / threads));
            return ranges;
        }

        static long Range(int from, int end) => ((long)from << 32) | (uint)end;

        /// <param name="thread">0 for the caller, then the helpers.</param>
        public void Work(int thread)
        {
            for (var i = 0; i <= helpers; i++)
            {
                ref var range = ref ranges[((thread + i) % (helpers + 1) + 1) * Apart];
                while (Take(ref range, back: i > 0) is var piece and >= 0) Do(piece);
            }
        }

        static int Take(ref long range, bool back)
        {
            while (true)
            {
                var seen = Volatile.Read(ref range);
                var (from, end) = ((int)(seen >> 32), (int)seen);
                if (from >= end) return -1;
                if (Interlocked.CompareExchange(ref range, back ? Range(from, end - 1) : Range(from + 1, end), seen) == seen) return back ? end - 1 : from;
            }
        }

        void Do(int piece)
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

        public void Wait()
        {
            var wait = new SpinWait();
            while (Volatile.Read(ref done) < count) wait.SpinOnce(sleep1Threshold: -1);
        }
    }
}
