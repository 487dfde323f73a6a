using Labeling.Training.Native;

namespace Labeling.Training.Tests.Native;

public sealed class WorkersTests
{
    [Fact]
    public void Every_piece_is_done_once_by_the_time_it_returns()
    {
        // Long enough between some rounds for the helpers to fall asleep.
        for (var round = 0; round < 200; round++)
        {
            if (round % 3 == 0) Workers.Wake();
            var done = new int[1 + round * 7 % 50];
            Workers.Run(done.Length, i => Interlocked.Increment(ref done[i]));
            Assert.All(done, count => Assert.Equal(1, count));
            if (round % 50 == 49) Thread.Sleep(5);
        }
    }

    [Fact]
    public void Callers_on_several_threads_do_not_disturb_each_other()
    {
        Parallel.For(0, 8, caller =>
        {
            for (var round = 0; round < 100; round++)
            {
                var sum = 0;
                Workers.Run(20, i => Interlocked.Add(ref sum, i + caller));
                Assert.Equal(190 + 20 * caller, sum);
            }
        });
    }

    [Fact]
    public void An_error_in_a_piece_reaches_the_caller()
    {
        for (var failing = 0; failing < 6; failing++)
            Assert.Throws<InvalidDataException>(() => Workers.Run(6, i => { if (i == failing) throw new InvalidDataException(); }));
        var after = 0;
        Workers.Run(6, _ => Interlocked.Increment(ref after));
        Assert.Equal(6, after);
    }
}
