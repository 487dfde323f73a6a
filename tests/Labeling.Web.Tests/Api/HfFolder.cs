using System.Buffers.Binary;
using System.Text;

namespace Labeling.Web.Tests.Api;

/// <summary>The smallest folder that is a model: one tensor of two floats.</summary>
internal static class HfFolder
{
    public static IReadOnlyDictionary<string, byte[]> Write(string folder)
    {
        var header = """{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}"""u8;
        var weights = new byte[8 + header.Length + 8];
        BinaryPrimitives.WriteInt64LittleEndian(weights, header.Length);
        header.CopyTo(weights.AsSpan(8));
        BinaryPrimitives.WriteSingleLittleEndian(weights.AsSpan(8 + header.Length), 1.5f);
        BinaryPrimitives.WriteSingleLittleEndian(weights.AsSpan(12 + header.Length), float.NaN);
        var files = new Dictionary<string, byte[]>
        {
            ["config.json"] = Encoding.UTF8.GetBytes("""{"architectures":["GPT2LMHeadModel"],"model_type":"gpt2"}"""),
            ["tokenizer.json"] = Encoding.UTF8.GetBytes("{}"),
            ["model.safetensors"] = weights,
        };
        foreach (var (name, bytes) in files)
        {
            File.WriteAllBytes(Path.Combine(folder, name), bytes);
        }

        return files;
    }
}
