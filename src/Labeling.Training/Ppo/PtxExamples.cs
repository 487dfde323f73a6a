using Labeling.Training.Data;
using Labeling.Training.Pretraining;
using Labeling.Training.Runs;

namespace Labeling.Training.Ppo;

/// <summary>
/// What PPO-ptx mixes in (arXiv 2203.02155, section 3.5, eq. 2): raw text packed to the context length, or demonstrations supervised on
/// their answers, drawn pass after pass in new random orders.
/// </summary>
internal sealed class PtxExamples
{
    private readonly IReadOnlyList<Sequence> examples;
    private readonly EndlessOrder order;

    public PtxExamples(IReadOnlyList<Sequence> examples, long seed) => (this.examples, order) = (examples, new EndlessOrder(examples.Count, seed));

    /// <summary>Number of different examples.</summary>
    public int Count => examples.Count;

    /// <summary>Reads the rows of split "pretrain"; null when the run has none.</summary>
    public static PtxExamples? Read(RunFolder run, ChatEncoder chat, int context, string overlong)
    {
        var rows = Rows.TextsAndDemonstrations(run.Spec.DataOf("pretrain"), run.Spec.File, required: false);
        if (rows.Count == 0)
        {
            return null;
        }
        var documents = rows.Where(r => r.Text is not null).Select(r => (int[])[.. chat.Tokenizer.Encode(r.Text!), chat.EosId]).ToList();
        var demonstrations = rows.Where(r => r.Demonstration is not null).Select(r => r.Demonstration!).ToList();
        var examples = Examples.Demonstrations(demonstrations, chat, context, overlong, run);
        if (documents.Count > 0)
        {
            var text = new PackedText(documents, context, batchSize: 1, Seeds.Derive(run.Spec.Seed, -3));
            examples.AddRange(Enumerable.Range(0, text.StepsPerEpoch).SelectMany(text.Batch));
        }
        return new PtxExamples(examples, Seeds.Derive(run.Spec.Seed, -4));
    }

    /// <summary>The examples at positions of the endless stream.</summary>
    public List<Sequence> Range(long first, int count) => [.. order.Range(first, count).Select(i => examples[i])];
}
