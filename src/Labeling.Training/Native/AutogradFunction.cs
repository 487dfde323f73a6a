using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using static TorchSharp.torch;

namespace Labeling.Training.Native;

/// <summary>
/// A calculation of our own with a backward pass of our own as one node of libtorch's autograd graph. TorchSharp's classes for this leave what a node keeps,
/// and the gradients it returns, to the garbage collector, which does not know how large they are; here everything is released where its last use is.
/// </summary>
static unsafe partial class AutogradFunction
{
    /// <summary>Gradients with respect to the inputs, in their order; null for none.</summary>
    /// <param name="saved">What <see cref="Join"/> was told to keep.</param>
    /// <param name="gradient">With respect to the output, of any strides.</param>
    public delegate Tensor?[] Backward(Tensor[] saved, Tensor gradient);

    // libtorch calls a node without saying which one it is, so every live node needs functions of its own. They are used again: there are never more
    // than one step has nodes.
    static readonly Stack<Node> Unused = new();

    // libtorch's pointers do not keep the functions of a node in use alive.
    static readonly List<Node> All = [];

    [ThreadStatic]
    static Tensor?[]? returned;

    [ThreadStatic]
    static nint* wrapped;

    [ThreadStatic]
    static ExceptionDispatchInfo? failure;

    /// <summary>The output as the result of the inputs, where gradients are asked for; otherwise the output as it is.</summary>
    /// <param name="inputs">What the output was calculated from.</param>
    /// <param name="output">A new tensor, calculated without gradients.</param>
    /// <param name="backward">The backward pass; runs at most once.</param>
    /// <param name="saved">Tensors that the backward pass needs, the output or inputs among them; none of them may change before it.</param>
    public static Tensor Join(Tensor[] inputs, Tensor output, Backward backward, params ReadOnlySpan<Tensor> saved)
    {
        if (!is_grad_enabled() || !inputs.Any(i => i.requires_grad)) return output;
        var node = Take();
        nint joined = 0;
        wrapped = &joined;
        // Without their history: a node that held its own output's would hold itself.
        node.Saved = [.. saved.ToArray().Select(s => s.detach().DetachFromDisposeScope())];
        node.Backward = backward;
        var native = THSAutograd_CSharpNode_ctor(node.ApplyPointer, node.DeletedPointer);
        CheckForErrors();
        var handles = stackalloc nint[inputs.Length + 1];
        for (var i = 0; i < inputs.Length; i++) handles[i] = inputs[i].Handle;
        handles[inputs.Length] = output.Handle;
        THSAutograd_CSharpNode_setNextEdges(native, new(handles, inputs.Length), 1);
        CheckForErrors();
        THSAutograd_Function_wrapOutputs(new(handles, inputs.Length), default, default, new(handles + inputs.Length, 1), native, &AllocateWrapped);
        CheckForErrors();
        // From here on the graph alone holds the node.
        THSAutograd_CSharpNode_disposeWeakPtr(native);
        THSAutograd_CSharpNode_disposeSharedPtr(native);
        GC.KeepAlive(inputs);
        output.Dispose();
        return Tensor.UnsafeCreateTensor(joined);
    }

    /// <summary>Adds the gradients of a tensor to everything that it was calculated from.</summary>
    /// <param name="tensor">A loss, or any tensor where its gradient is given.</param>
    /// <param name="gradient">Of the tensor's shape; null for 1, where the tensor is a single number.</param>
    public static void RunBackward(Tensor tensor, Tensor? gradient = null)
    {
        try
        {
            tensor.backward(gradient is null ? null : [gradient]);
        }
        catch (ExternalException) when (failure is not null)
        {
            var own = failure;
            failure = null;
            own.Throw();
        }
        finally
        {
            Release();
        }
    }

    /// <summary>Releases what the last node returned: libtorch has references of its own once it asks the next.</summary>
    static void Release()
    {
        foreach (var tensor in returned ?? []) tensor?.Dispose();
        returned = null;
    }

    static Node Take()
    {
        lock (Unused)
        {
            if (Unused.TryPop(out var node)) return node;
            All.Add(node = new Node());
            return node;
        }
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static nint* AllocateWrapped(nuint count) => wrapped;

    [StructLayout(LayoutKind.Sequential)]
    readonly struct TensorArray(nint* tensors, long count)
    {
        readonly nint* tensors = tensors;
        readonly long count = count;
    }

    [StructLayout(LayoutKind.Sequential)]
    readonly struct NativeNode
    {
        readonly nint shared;
        readonly nint weak;
    }

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    delegate TensorArray Apply(nint* gradients, int count);

    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    delegate void Deleted();

    sealed class Node
    {
        const int MostInputs = 4;

        readonly Apply apply;
        readonly Deleted deleted;
        readonly nint* results = (nint*)NativeMemory.AllocZeroed(MostInputs, (nuint)sizeof(nint));

        public Node()
        {
            (apply, deleted) = (Run, Release);
            (ApplyPointer, DeletedPointer) = (Marshal.GetFunctionPointerForDelegate(apply), Marshal.GetFunctionPointerForDelegate(deleted));
        }

        public nint ApplyPointer { get; }
        public nint DeletedPointer { get; }
        public Tensor[] Saved { get; set; } = [];
        public Backward? Backward { get; set; }

        TensorArray Run(nint* gradients, int count)
        {
            AutogradFunction.Release();
            try
            {
                using var scope = NewDisposeScope();
                var gradient = Tensor.UnsafeCreateTensor(gradients[0]);
                var all = Backward!(Saved, gradient);
                for (var i = 0; i < all.Length; i++) results[i] = all[i]?.DetachFromDisposeScope().Handle ?? 0;
                returned = all;
                Forget();
                return new(results, all.Length);
            }
            catch (Exception e)
            {
                // An exception cannot pass through libtorch's frames; without results libtorch throws one of its own, in whose place RunBackward gives this one.
                failure = ExceptionDispatchInfo.Capture(e);
                return default;
            }
        }

        void Forget()
        {
            foreach (var tensor in Saved) tensor.Dispose();
            (Saved, Backward) = ([], null);
        }

        void Release()
        {
            Forget();
            lock (Unused)
            {
                Unused.Push(this);
            }
        }
    }

    [LibraryImport("LibTorchSharp")]
    private static partial NativeNode THSAutograd_CSharpNode_ctor(nint apply, nint deleted);

    [LibraryImport("LibTorchSharp")]
    private static partial void THSAutograd_CSharpNode_disposeSharedPtr(NativeNode node);

    [LibraryImport("LibTorchSharp")]
    private static partial void THSAutograd_CSharpNode_disposeWeakPtr(NativeNode node);

    [LibraryImport("LibTorchSharp")]
    private static partial void THSAutograd_CSharpNode_setNextEdges(NativeNode node, TensorArray inputs, byte executable);

    [LibraryImport("LibTorchSharp")]
    private static partial void THSAutograd_Function_wrapOutputs(TensorArray inputs, TensorArray nonDifferentiable, TensorArray dirty, TensorArray outputs, NativeNode node, delegate* unmanaged[Cdecl]<nuint, nint*> allocate);
}
