using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics;
using Labeling.Training.Native;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Labeling.Training.Models;

/// <summary>
/// What follows a linear map's product, with the map's bias in the same pass: libtorch takes one for each and a further one for the bias's gradient, and
/// its tanh alone takes a twentieth of a training step. Calculated in float32, whatever the tensors are stored in; biases stay float32.
/// </summary>
static unsafe class BiasedRows
{
    /// <summary>f(x + bias).</summary>
    /// <param name="activation">f.</param>
    /// <param name="x">[..., columns].</param>
    /// <param name="bias">float32 [columns]; null for none.</param>
    public static Tensor Activate(Activation activation, Tensor x, Tensor? bias) => (activation, x.dtype) switch
    {
        _ when x.device_type != DeviceType.CPU => Elsewhere(activation, Plus(x, bias)),
        (Activation.GeluTanh, ScalarType.Float32) => Activate<GeluTanh, Float32Format>(x, bias),
        (Activation.GeluTanh, ScalarType.BFloat16) => Activate<GeluTanh, BFloat16Format>(x, bias),
        (Activation.Relu, ScalarType.Float32) => Activate<Relu, Float32Format>(x, bias),
        (Activation.Relu, ScalarType.BFloat16) => Activate<Relu, BFloat16Format>(x, bias),
        (Activation.Silu, ScalarType.Float32) => Activate<Silu, Float32Format>(x, bias),
        (Activation.Silu, ScalarType.BFloat16) => Activate<Silu, BFloat16Format>(x, bias),
        _ => Elsewhere(activation, Plus(x, bias)),
    };

    /// <summary>f(gate)·up (Shazeer 2020, arXiv 2002.05202).</summary>
    /// <param name="activation">f.</param>
    /// <param name="gate">[..., columns].</param>
    /// <param name="up">As the gate.</param>
    public static Tensor Gate(Activation activation, Tensor gate, Tensor up) => (activation, gate.dtype) switch
    {
        _ when gate.device_type != DeviceType.CPU => Elsewhere(activation, gate) * up,
        (Activation.Silu, ScalarType.Float32) => Gate<Silu, Float32Format>(gate, up),
        (Activation.Silu, ScalarType.BFloat16) => Gate<Silu, BFloat16Format>(gate, up),
        _ => Activate(activation, gate, null) * up,
    };

    /// <summary>residual + (x + bias).</summary>
    /// <param name="residual">[..., columns].</param>
    /// <param name="x">As the residual.</param>
    /// <param name="bias">float32 [columns]; null for none.</param>
    public static Tensor Add(Tensor residual, Tensor x, Tensor? bias) => x.dtype switch
    {
        _ when bias is null || x.device_type != DeviceType.CPU || residual.dtype != x.dtype => residual + Plus(x, bias),
        ScalarType.Float32 => Add<Float32Format>(residual, x, bias),
        ScalarType.BFloat16 => Add<BFloat16Format>(residual, x, bias),
        _ => residual + Plus(x, bias),
    };

    /// <summary>x + bias by libtorch.</summary>
    public static Tensor Plus(Tensor x, Tensor? bias) => bias is null ? x : x + bias.to_type(x.dtype);

    static Tensor Elsewhere(Activation activation, Tensor x) => activation switch
    {
        Activation.GeluTanh => F.gelu(x, TorchSharp.Modules.GELU.Approximate.tanh),
        Activation.Gelu => F.gelu(x),
        Activation.Relu => F.relu(x),
        _ => F.silu(x),
    };

    static Tensor Activate<TActivation, T>(Tensor x, Tensor? bias) where TActivation : IDifferentiableActivation where T : IFloatFormat
    {
        using var scope = NewDisposeScope();
        Tensor output, input;
        using (no_grad())
        {
            input = x.contiguous();
            output = empty_like(input);
            var columns = (int)x.shape[^1];
            byte* from = TensorMemory.Pointer(input), to = TensorMemory.Pointer(output);
            var added = (float*)TensorMemory.Pointer(RowPieces.Arranged<T>(bias, columns));
            RowPieces.Run(input, (row, _) => Map<TActivation, T>(from + row * columns * T.Bytes, added, to + row * columns * T.Bytes, columns));
        }
        Tensor[] biases = bias is null ? [] : [bias];
        return AutogradFunction.Join([x, .. biases], output, static (saved, gradient) =>
        {
            var (input, columns) = (saved[0], (int)saved[0].shape[^1]);
            var (biased, result, outer) = (saved.Length > 1, empty_like(input), gradient.contiguous());
            var sums = RowPieces.Sums(input);
            byte* from = TensorMemory.Pointer(input), to = TensorMemory.Pointer(result), incoming = TensorMemory.Pointer(outer);
            float* added = (float*)TensorMemory.Pointer(RowPieces.Arranged<T>(biased ? saved[1] : null, columns)), sum = (float*)TensorMemory.Pointer(sums);
            RowPieces.Run(input, (row, piece) => Slope<TActivation, T>(from + row * columns * T.Bytes, added, incoming + row * columns * T.Bytes, to + row * columns * T.Bytes, sum + (long)piece * columns, columns));
            return biased ? [result, RowPieces.Summed<T>(sums)] : [result];
        }, [input, .. biases]).MoveToOuterDisposeScope();
    }

    static Tensor Gate<TActivation, T>(Tensor gate, Tensor up) where TActivation : IDifferentiableActivation where T : IFloatFormat
    {
        using var scope = NewDisposeScope();
        Tensor output, first, second;
        using (no_grad())
        {
            (first, second) = (gate.contiguous(), up.contiguous());
            output = empty_like(first);
            var columns = (int)first.shape[^1];
            byte* from = TensorMemory.Pointer(first), factors = TensorMemory.Pointer(second), to = TensorMemory.Pointer(output);
            RowPieces.Run(first, (row, _) => Gate<TActivation, T>(from + row * columns * T.Bytes, factors + row * columns * T.Bytes, to + row * columns * T.Bytes, columns));
        }
        return AutogradFunction.Join([gate, up], output, static (saved, gradient) =>
        {
            var columns = (int)saved[0].shape[^1];
            var (outer, gateGradient, upGradient) = (gradient.contiguous(), empty_like(saved[0]), empty_like(saved[1]));
            byte* from = TensorMemory.Pointer(saved[0]), factors = TensorMemory.Pointer(saved[1]), incoming = TensorMemory.Pointer(outer);
            byte* toGate = TensorMemory.Pointer(gateGradient), toUp = TensorMemory.Pointer(upGradient);
            RowPieces.Run(outer, (row, _) =>
            {
                var at = row * columns * T.Bytes;
                GateSlopes<TActivation, T>(from + at, factors + at, incoming + at, toGate + at, toUp + at, columns);
            });
            return [gateGradient, upGradient];
        }, first, second).MoveToOuterDisposeScope();
    }

    static Tensor Add<T>(Tensor residual, Tensor x, Tensor bias) where T : IFloatFormat
    {
        using var scope = NewDisposeScope();
        Tensor output;
        using (no_grad())
        {
            var (first, second, columns) = (residual.contiguous(), x.contiguous(), (int)x.shape[^1]);
            output = empty_like(second);
            byte* from = TensorMemory.Pointer(first), other = TensorMemory.Pointer(second), to = TensorMemory.Pointer(output);
            var added = (float*)TensorMemory.Pointer(RowPieces.Arranged<T>(bias, columns));
            RowPieces.Run(second, (row, _) => Add<T>(from + row * columns * T.Bytes, other + row * columns * T.Bytes, added, to + row * columns * T.Bytes, columns));
        }
        return AutogradFunction.Join([residual, x, bias], output, static (_, gradient) =>
        {
            var outer = gradient.contiguous();
            var (sums, columns) = (RowPieces.Sums(outer), (int)outer.shape[^1]);
            var from = TensorMemory.Pointer(outer);
            var sum = (float*)TensorMemory.Pointer(sums);
            RowPieces.Run(outer, (row, piece) => AddTo<T>(from + row * columns * T.Bytes, sum + (long)piece * columns, columns));
            return [outer.alias(), outer.alias(), RowPieces.Summed<T>(sums)];
        }).MoveToOuterDisposeScope();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Map<TActivation, T>(byte* from, float* bias, byte* to, int columns) where TActivation : IActivation where T : IFloatFormat
    {
        var i = 0;
        for (; i + IFloatFormat.Width <= columns; i += IFloatFormat.Width, from += IFloatFormat.Width * T.Bytes, to += IFloatFormat.Width * T.Bytes)
        {
            var (a, b) = T.Load(from);
            T.Store(to, TActivation.Of(a + Vector512.Load(bias + i)), TActivation.Of(b + Vector512.Load(bias + i + 16)));
        }
        for (; i < columns; i++, from += T.Bytes, to += T.Bytes) T.Write(to, TActivation.Of(Vector512.Create(T.Read(from) + bias[i]))[0]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Slope<TActivation, T>(byte* from, float* bias, byte* incoming, byte* to, float* sums, int columns) where TActivation : IDifferentiableActivation where T : IFloatFormat
    {
        var i = 0;
        for (; i + IFloatFormat.Width <= columns; i += IFloatFormat.Width, from += IFloatFormat.Width * T.Bytes, to += IFloatFormat.Width * T.Bytes, incoming += IFloatFormat.Width * T.Bytes)
        {
            var ((a, b), (c, d)) = (T.Load(from), T.Load(incoming));
            a = TActivation.Slope(a + Vector512.Load(bias + i)) * c;
            b = TActivation.Slope(b + Vector512.Load(bias + i + 16)) * d;
            T.Store(to, a, b);
            (Vector512.Load(sums + i) + a).Store(sums + i);
            (Vector512.Load(sums + i + 16) + b).Store(sums + i + 16);
        }
        for (; i < columns; i++, from += T.Bytes, to += T.Bytes, incoming += T.Bytes)
        {
            var slope = TActivation.Slope(Vector512.Create(T.Read(from) + bias[i]))[0] * T.Read(incoming);
            T.Write(to, slope);
            sums[i] += slope;
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Gate<TActivation, T>(byte* gate, byte* up, byte* to, int columns) where TActivation : IActivation where T : IFloatFormat
    {
        var i = 0;
        for (; i + IFloatFormat.Width <= columns; i += IFloatFormat.Width, gate += IFloatFormat.Width * T.Bytes, up += IFloatFormat.Width * T.Bytes, to += IFloatFormat.Width * T.Bytes)
        {
            var ((a, b), (c, d)) = (T.Load(gate), T.Load(up));
            T.Store(to, TActivation.Of(a) * c, TActivation.Of(b) * d);
        }
        for (; i < columns; i++, gate += T.Bytes, up += T.Bytes, to += T.Bytes) T.Write(to, TActivation.Of(Vector512.Create(T.Read(gate)))[0] * T.Read(up));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void GateSlopes<TActivation, T>(byte* gate, byte* up, byte* incoming, byte* toGate, byte* toUp, int columns) where TActivation : IDifferentiableActivation where T : IFloatFormat
    {
        var i = 0;
        for (; i + IFloatFormat.Width <= columns; i += IFloatFormat.Width)
        {
            var at = i * T.Bytes;
            var ((a, b), (c, d), (e, f)) = (T.Load(gate + at), T.Load(up + at), T.Load(incoming + at));
            T.Store(toUp + at, TActivation.Of(a) * e, TActivation.Of(b) * f);
            T.Store(toGate + at, TActivation.Slope(a) * c * e, TActivation.Slope(b) * d * f);
        }
        for (; i < columns; i++)
        {
            var at = i * T.Bytes;
            var (x, outer) = (Vector512.Create(T.Read(gate + at)), T.Read(incoming + at));
            T.Write(toUp + at, TActivation.Of(x)[0] * outer);
            T.Write(toGate + at, TActivation.Slope(x)[0] * T.Read(up + at) * outer);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void Add<T>(byte* x, byte* y, float* bias, byte* to, int columns) where T : IFloatFormat
    {
        var i = 0;
        for (; i + IFloatFormat.Width <= columns; i += IFloatFormat.Width)
        {
            var at = i * T.Bytes;
            var ((a, b), (c, d)) = (T.Load(x + at), T.Load(y + at));
            T.Store(to + at, a + (c + Vector512.Load(bias + i)), b + (d + Vector512.Load(bias + i + 16)));
        }
        for (; i < columns; i++) T.Write(to + i * T.Bytes, T.Read(x + i * T.Bytes) + (T.Read(y + i * T.Bytes) + bias[i]));
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    static void AddTo<T>(byte* x, float* sums, int columns) where T : IFloatFormat
    {
        var i = 0;
        for (; i + IFloatFormat.Width <= columns; i += IFloatFormat.Width)
        {
            var (a, b) = T.Load(x + i * T.Bytes);
            (Vector512.Load(sums + i) + a).Store(sums + i);
            (Vector512.Load(sums + i + 16) + b).Store(sums + i + 16);
        }
        for (; i < columns; i++) sums[i] += T.Read(x + i * T.Bytes);
    }
}
