using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Native;

public sealed class AutogradFunctionTests
{
    [Fact]
    public void Nodes_pass_gradients_on_and_to_every_use_of_their_inputs()
    {
        using var scope = NewDisposeScope();
        var x = tensor(new float[] { 2, 3 }).requires_grad_(true);

        // d/dx (x² · x² + x) = 4·x³ + 1
        var loss = (Square(x) * Square(x) + x).sum();
        AutogradFunction.RunBackward(loss);

        Assert.Equal([33, 109], x.grad!.data<float>().ToArray());
    }

    [Fact]
    public void What_a_node_keeps_goes_with_its_backward_pass_or_its_graph()
    {
        using var scope = NewDisposeScope();
        var x = ones(1000).requires_grad_(true);
        void Step(bool backward)
        {
            using var inner = NewDisposeScope();
            var y = Square(Square(x)).sum();
            if (backward) AutogradFunction.RunBackward(y);
        }
        Step(true);
        var before = DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount;

        for (var i = 0; i < 20; i++) Step(i % 2 == 0);

        Assert.Equal(before, DisposeScopeManager.Statistics.TensorStatistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void What_fails_in_a_backward_pass_is_what_the_caller_sees()
    {
        using var scope = NewDisposeScope();
        var x = ones(2).requires_grad_(true);
        var y = AutogradFunction.Join([x], x.detach() * 2, (_, _) => throw new InsufficientMemoryException("no room"));

        Assert.Equal("no room", Assert.Throws<InsufficientMemoryException>(() => AutogradFunction.RunBackward(y.sum())).Message);

        // The next one is not affected.
        AutogradFunction.RunBackward(Square(x).sum());
        Assert.Equal([2, 2], x.grad!.data<float>().ToArray());
    }

    [Fact]
    public void Without_gradients_there_is_no_node()
    {
        using var scope = NewDisposeScope();
        var x = ones(2).requires_grad_(true);
        using (no_grad()) Assert.False(Square(x).requires_grad);
        Assert.False(Square(x.detach()).requires_grad);
        Assert.True(Square(x).requires_grad);
    }

    static Tensor Square(Tensor x) => AutogradFunction.Join([x], x.detach() * x.detach(), (saved, gradient) => [gradient * saved[0] * 2], x);
}
