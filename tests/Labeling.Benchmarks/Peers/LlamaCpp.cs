using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Labeling.Benchmarks.Peers;

/// <summary>The part of llama.h (llama.cpp 0.5.0) that reads prompts and decodes.</summary>
internal static unsafe partial class LlamaCpp
{
    /// <summary>Numbers of ggml_type.</summary>
    public const int Float32 = 0, Float16 = 1, BFloat16 = 30;

    private const int LogError = 4;

    /// <summary>Loads the libraries of a folder, and the fastest of its processor backends for this machine.</summary>
    public static void Load(string folder)
    {
        // ggml first: libllama finds it loaded.
        var ggml = NativeLibrary.Load(Find(folder, "libggml.*"));
        var llama = NativeLibrary.Load(Find(folder, "libllama.*"));
        NativeLibrary.SetDllImportResolver(typeof(LlamaCpp).Assembly, (name, _, _) => name switch { "ggml" => ggml, "llama" => llama, _ => 0 });
        SetLog(&Log, 0);
        LoadBackends(folder);
        Initialize();
    }

    /// <summary>Whether a folder has the libraries.</summary>
    public static bool IsIn(string folder) => Directory.Exists(folder) && Directory.EnumerateFiles(folder, "libllama.*so*").Any();

    private static string Find(string folder, string pattern) =>
        Directory.EnumerateFiles(folder, pattern).FirstOrDefault() ?? throw new FileNotFoundException($"{folder} has no {pattern}; it must hold llama.cpp's shared libraries.");

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static void Log(int level, byte* text, nint data)
    {
        if (level == LogError) Console.Error.Write(Marshal.PtrToStringUTF8((nint)text));
    }

    /// <summary>llama_model_params, used with its defaults only. Larger than it is, which does no harm to a last argument passed in memory.</summary>
    [StructLayout(LayoutKind.Sequential, Size = 256)]
    public struct ModelParams;

    /// <summary>llama_context_params; the fields that are set here or tell whether the layout is the known one.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 256)]
    public struct ContextParams
    {
        /// <summary>n_ctx: tokens of all sequences together.</summary>
        [FieldOffset(0)] public uint Context;
        /// <summary>n_batch: most tokens of a call.</summary>
        [FieldOffset(4)] public uint Batch;
        /// <summary>n_ubatch: most tokens calculated at once.</summary>
        [FieldOffset(8)] public uint MicroBatch;
        /// <summary>n_seq_max.</summary>
        [FieldOffset(12)] public uint Sequences;
        /// <summary>n_threads.</summary>
        [FieldOffset(28)] public int Threads;
        /// <summary>n_threads_batch.</summary>
        [FieldOffset(32)] public int BatchThreads;
        /// <summary>flash_attn_type: -1 where it helps, 0 never.</summary>
        [FieldOffset(52)] public int FlashAttention;
        /// <summary>type_k.</summary>
        [FieldOffset(104)] public int KeyType;
        /// <summary>type_v.</summary>
        [FieldOffset(108)] public int ValueType;

        public readonly bool IsKnown => (Context, Batch, MicroBatch, Sequences, Threads, BatchThreads, FlashAttention, KeyType, ValueType) == (512, 2048, 512, 1, 4, 4, -1, Float16, Float16);
    }

    /// <summary>llama_batch.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Batch
    {
        public int Count;
        public int* Tokens;
        public float* Embeddings;
        public int* Positions;
        public int* SequenceCounts;
        public int** Sequences;
        public sbyte* Logits;
    }

    [LibraryImport("llama", EntryPoint = "llama_log_set")]
    private static partial void SetLog(delegate* unmanaged[Cdecl]<int, byte*, nint, void> log, nint data);

    [LibraryImport("llama", EntryPoint = "llama_backend_init")]
    private static partial void Initialize();

    [LibraryImport("ggml", EntryPoint = "ggml_backend_load_all_from_path", StringMarshalling = StringMarshalling.Utf8)]
    private static partial void LoadBackends(string folder);

    [LibraryImport("llama", EntryPoint = "llama_model_default_params")]
    public static partial ModelParams DefaultModelParams();

    [LibraryImport("llama", EntryPoint = "llama_context_default_params")]
    public static partial ContextParams DefaultContextParams();

    [LibraryImport("llama", EntryPoint = "llama_model_load_from_file", StringMarshalling = StringMarshalling.Utf8)]
    public static partial nint LoadModel(string path, ModelParams parameters);

    [LibraryImport("llama", EntryPoint = "llama_init_from_model")]
    public static partial nint NewContext(nint model, ContextParams parameters);

    [LibraryImport("llama", EntryPoint = "llama_free")]
    public static partial void FreeContext(nint context);

    [LibraryImport("llama", EntryPoint = "llama_get_memory")]
    public static partial nint Memory(nint context);

    [LibraryImport("llama", EntryPoint = "llama_memory_clear")]
    public static partial void ClearMemory(nint memory, [MarshalAs(UnmanagedType.U1)] bool data);

    [LibraryImport("llama", EntryPoint = "llama_batch_init")]
    public static partial Batch NewBatch(int tokens, int embedding, int sequences);

    [LibraryImport("llama", EntryPoint = "llama_batch_free")]
    public static partial void FreeBatch(Batch batch);

    [LibraryImport("llama", EntryPoint = "llama_decode")]
    public static partial int Decode(nint context, Batch batch);

    [LibraryImport("llama", EntryPoint = "llama_get_logits_ith")]
    public static partial float* Logits(nint context, int index);
}
