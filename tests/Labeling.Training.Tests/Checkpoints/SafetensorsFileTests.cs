using System.Buffers.Binary;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using Labeling.Training.Checkpoints;
using TorchSharp;
using static TorchSharp.torch;

namespace Labeling.Training.Tests.Checkpoints;

public sealed class SafetensorsFileTests : IDisposable
{
    readonly DirectoryInfo folder = Directory.CreateTempSubdirectory("labeling-test-");
    readonly DisposeScope scope = NewDisposeScope();

    string Path(string name) => System.IO.Path.Combine(folder.FullName, name);

    public void Dispose()
    {
        scope.Dispose();
        folder.Delete(recursive: true);
    }

    [Fact]
    public void Writes_what_it_reads_and_what_the_format_prescribes()
    {
        var tensors = new Dictionary<string, Tensor>
        {
            ["matrix"] = randn(3, 5),
            ["turned"] = randn(4, 6).t(),
            ["scalar"] = tensor(2.5),
            ["empty"] = zeros(0, 7),
            ["ids"] = arange(9, ScalarType.Int64),
            ["flags"] = tensor(new[] { true, false, true }),
        };
        SafetensorsFile.Write(Path("a.safetensors"), tensors);
        var bytes = File.ReadAllBytes(Path("a.safetensors"));
        var length = BinaryPrimitives.ReadInt64LittleEndian(bytes);
        Assert.Equal(0, (8 + length) % 8);
        var header = JsonNode.Parse(Encoding.UTF8.GetString(bytes, 8, (int)length))!;
        Assert.Equal("pt", header["__metadata__"]!["format"]!.GetValue<string>());
        Assert.Equal("[6,4]", header["turned"]!["shape"]!.ToJsonString());
        Assert.Equal("F32", header["turned"]!["dtype"]!.GetValue<string>());

        using var file = SafetensorsFile.Open(Path("a.safetensors"));
        Assert.Equal(tensors.Keys, file.Entries.Keys);
        foreach (var (name, expected) in tensors)
        {
            var actual = file.Read(name);
            Assert.Equal(expected.shape, actual.shape);
            Assert.Equal(expected.dtype, actual.dtype);
            Assert.True(expected.equal(actual).all().ToBoolean(), name);
        }
    }

    [Fact]
    public void Bfloat16_rounds_to_eight_bits_and_reads_back_as_float32()
    {
        SafetensorsFile.Write(Path("half"), new Dictionary<string, Tensor> { ["x"] = tensor(new[] { 1f, 1.00390625f, 3.1415927f, -1e30f }) }, ScalarType.BFloat16);
        using var file = SafetensorsFile.Open(Path("half"));
        Assert.Equal(ScalarType.BFloat16, file.Entries["x"].Type);
        var read = zeros(4);
        file.CopyTo("x", read);
        // 1 + 2^-8 lies between two neighbours and goes to the even one; pi has the neighbours 3.125 and 3.140625.
        Assert.Equal([1f, 1f, 3.140625f], read.data<float>().ToArray()[..3]);
    }

    [Theory]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}""", 12, "b starts at data byte 4")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}""", 12, "gaps")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", 8, "the file at")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", 8, "need 12 bytes")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,800]}}""", 8, "outside the data")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", 8, "outside the data")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", 8, "dimension 0")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]}}""", 8, "overflows")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1e400],"data_offsets":[0,8]}}""", 8, "dimension 0")]
    [InlineData("""{"a":{"dtype":"F99","shape":[2],"data_offsets":[0,8]}}""", 8, "dtype F99")]
    [InlineData("""{"a":{"shape":[2],"data_offsets":[0,8]}}""", 8, "dtype is missing")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", 8, "'a'")]
    [InlineData("""[1,2]""", 0, "not a JSON object")]
    [InlineData("""{"a":7}""", 0, "not a JSON object")]
    [InlineData("""{"a":""", 0, "damaged")]
    public void Refuses_damaged_headers_naming_what_is_wrong(string header, int dataLength, string expected)
    {
        WriteRaw("bad", header, dataLength);
        var error = Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(Path("bad")).Dispose());
        Assert.Contains(expected, error.Message);
        Assert.Contains(Path("bad"), error.Message);
    }

    [Fact]
    public void Refuses_files_that_are_something_else()
    {
        File.WriteAllBytes(Path("pickle"), [0x80, 2, .. new byte[40]]);
        Assert.Contains("pickle", Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(Path("pickle"))).Message);
        File.WriteAllBytes(Path("zip"), [(byte)'P', (byte)'K', 3, 4, .. new byte[40]]);
        Assert.Contains("weights_only", Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(Path("zip"))).Message);
        File.WriteAllBytes(Path("huge"), [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]);
        Assert.Contains("claims", Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(Path("huge"))).Message);
        File.WriteAllBytes(Path("short"), [1, 2, 3]);
        Assert.Contains("too few", Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(Path("short"))).Message);
        Assert.Contains("cannot be opened", Assert.Throws<SafetensorsException>(() => SafetensorsFile.Open(Path("none"))).Message);
    }

    [Fact]
    public void A_missing_tensor_and_a_wrong_shape_are_named()
    {
        SafetensorsFile.Write(Path("a"), new Dictionary<string, Tensor> { ["x"] = zeros(2, 3) });
        using var file = SafetensorsFile.Open(Path("a"));
        Assert.Contains("no tensor y", Assert.Throws<SafetensorsException>(() => file.Read("y")).Message);
        Assert.Contains("[2, 3]", Assert.Throws<SafetensorsException>(() => file.CopyTo("x", zeros(3, 2))).Message);
    }

    [Fact]
    public void Mutated_files_open_or_are_refused_and_never_cost_memory()
    {
        SafetensorsFile.Write(Path("good"), new Dictionary<string, Tensor> { ["weight"] = randn(4, 4), ["bias"] = randn(4), ["ids"] = arange(3, ScalarType.Int64) });
        var good = File.ReadAllBytes(Path("good"));
        var header = (int)BinaryPrimitives.ReadInt64LittleEndian(good);
        var mutation = Gen.Select(Gen.Int[0, 7 + header], Gen.Byte, Gen.Int[0, 3]).Array[1, 4];
        mutation.Sample(changes =>
        {
            var bytes = good.ToList();
            foreach (var (at, value, kind) in changes)
            {
                var index = Math.Min(at, bytes.Count - 1);
                if (kind == 0) bytes[index] = value;
                else if (kind == 1) bytes[index] ^= (byte)(1 << (value & 7));
                else if (kind == 2) bytes.RemoveAt(index);
                else bytes.Insert(index, value);
            }
            var path = Path($"mutant-{Environment.CurrentManagedThreadId}");
            File.WriteAllBytes(path, [.. bytes]);
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using var file = SafetensorsFile.Open(path);
                foreach (var name in file.Entries.Keys) file.Read(name).Dispose();
            }
            catch (SafetensorsException)
            {
            }
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20);
        }, iter: 3000, threads: 1);
    }

    [Fact]
    public void Headers_with_any_numbers_open_or_are_refused_and_never_cost_memory()
    {
        var number = Gen.OneOf(Gen.Long[-2, 40].Select(n => n.ToString()), Any("9223372036854775807", "18446744073709551615", "-9223372036854775808", "4611686018427387904", "1e308", "0.5", "null", "\"4\"", "[]", "1e400"));
        var type = Any("F32", "BF16", "U8", "I64", "F64", "F8_E4M3", "BOOL", "");
        var tensor = Gen.Select(type, number.Array[0, 4], number, number, (t, shape, from, to) => $$"""{"dtype":"{{t}}","shape":[{{string.Join(',', shape)}}],"data_offsets":[{{from}},{{to}}]}""");
        Gen.Select(Any("a", "b", "__metadata__").Array[0, 3], tensor.Array[3], Gen.Int[0, 40], Gen.Long[-3, 3]).Sample((names, entries, data, extra) =>
        {
            var path = Path("numbers");
            WriteRaw("numbers", "{" + string.Join(',', names.Select((n, i) => $"\"{n}\":{entries[i]}")) + "}", data);
            if (extra != 0)
            {
                // The header's length, somewhat or very wrong.
                using var file = File.OpenWrite(path);
                file.Write(BitConverter.GetBytes(extra > 1 ? long.MaxValue >> (int)extra : extra));
            }
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                using var file = SafetensorsFile.Open(path);
                foreach (var name in file.Entries.Keys) file.Read(name).Dispose();
            }
            catch (SafetensorsException)
            {
            }
            Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 1 << 20);
        }, iter: 3000, threads: 1);
    }

    static Gen<string> Any(params string[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    void WriteRaw(string name, string header, int dataLength)
    {
        var text = Encoding.UTF8.GetBytes(header);
        var bytes = new byte[8 + text.Length + dataLength];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, text.Length);
        text.CopyTo(bytes, 8);
        File.WriteAllBytes(Path(name), bytes);
    }
}
