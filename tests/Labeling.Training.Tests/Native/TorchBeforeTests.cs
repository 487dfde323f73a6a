using System.Runtime.CompilerServices;
using Labeling.Training.Native;

namespace Labeling.Training.Tests.Native;

static class TorchBeforeTests
{
    // Tests may touch TorchSharp before they touch Labeling.Training.
    [ModuleInitializer]
    internal static void Load() => LibTorch.Initialize();
}
