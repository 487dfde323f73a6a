// Stage "pretrain": next-token prediction on raw text (Radford et al. 2019, GPT-2; Brown et al. 2020, arXiv 2005.14165), from scratch with the
// run's tokenizer or going on from a base model.
//
// Documents end with the end token and are packed to the context length (PackedText). AdamW with beta2 0.95, cosine learning rate
// after a short linear warm-up, gradient clipping at 1: GPT-3's appendix B. Files with a weight are mixed by it and not by their size (WeightedText), and
// how often each was passed over is reported. Validation is reported as loss per token and as bits per byte, which can be compared between vocabularies.
//
// Deliberate deviations: no dropout; GPT-2's or GPT-NeoX's architecture at any size; batch size does not ramp up.

using System.Text.Json.Nodes;
using Labeling.Training.Checkpoints;
using Labeling.Training.Data;
using Labeling.Training.Models;
using Labeling.Training.Optim;
using Labeling.Training.Runs;
using Labeling.Training.Tokenizers;
using static TorchSharp.torch;

namespace Labeling.Training.Pretraining;

/// <summary>Hyperparameters of the stage "pretrain".</summary>
public sealed record PretrainHyperparameters
{
    [Hyperparameter("Family of a new model. gpt2 has learned positions; gpt_neox has rotary ones, with which small models learn to copy and look up from less text. Not used with a base model.",
        Source = "GPT-2; GPT-NeoX, arXiv 2204.06745", Choices = ["gpt2", "gpt_neox"])]
    public string Architecture { get; init; } = "gpt2";

    [Hyperparameter("Width of a new model; a multiple of heads. Not used with a base model.", Unit = "numbers", Min = 1, Max = 65_536)]
    public int HiddenSize { get; init; } = 128;

    [Hyperparameter("Transformer blocks of a new model. Not used with a base model.", Unit = "blocks", Min = 1, Max = 1024)]
    public int Layers { get; init; } = 4;

    [Hyperparameter("Attention heads of a new model. Not used with a base model.", Unit = "heads", Min = 1, Max = 1024)]
    public int Heads { get; init; } = 4;

    [Hyperparameter("Longest text a new model can see at once. Also the length documents are packed to, unless pack_length says less.", Unit = "tokens", Source = "GPT-2: 1024", Min = 8, Max = 1_048_576)]
    public int ContextLength { get; init; } = 128;

    [Hyperparameter("Length documents are packed to when that is less than the context; 0 = the context length. With rotary positions a model can read further than it was trained.", Unit = "tokens", Min = 0, Max = 1_048_576)]
    public int PackLength { get; init; }

    [Hyperparameter("Step size of learning. Absent: from the model's size, 3e-3 at 1M parameters falling to 2e-4 at 1.3B.", Source = "GPT-3 table 2.1 at 1.3B", Min = 0, Max = 1)]
    public double? LearningRate { get; init; }

    [Hyperparameter("Passes over the text.", Unit = "epochs", Source = "GPT-3: about 1", Min = 1, Max = 10_000)]
    public int Epochs { get; init; } = 1;

    [Hyperparameter("Sequences of context length per step.", Unit = "sequences", Min = 1, Max = 65_536)]
    public int BatchSize { get; init; } = 32;

    [Hyperparameter("Sequences computed together within a step; their gradients are added up before it. Needs less memory and changes no result. 0 = all.", Unit = "sequences", Min = 0, Max = 65_536)]
    public int MicroBatchSize { get; init; }

    [Hyperparameter("Stop after this many steps; 0 = after all epochs.", Unit = "steps", Min = 0, Max = 100_000_000)]
    public int MaxSteps { get; init; }

    [Hyperparameter("Share of all steps in which the learning rate rises from zero.", Source = "GPT-3 B: 375M of 300B tokens; small runs need more", Min = 0, Max = 1)]
    public double WarmupRatio { get; init; } = 0.02;

    [Hyperparameter("Share of the learning rate that is left at the end of the cosine.", Source = "GPT-3 B", Min = 0, Max = 1)]
    public double MinLearningRateRatio { get; init; } = 0.1;

    [Hyperparameter("Pull of the weights towards zero.", Source = "GPT-3 B", Min = 0, Max = 10)]
    public double WeightDecay { get; init; } = 0.1;

    [Hyperparameter("Longest allowed gradient; longer ones are scaled down.", Source = "GPT-3 B", Min = 1e-6, Max = 1e6)]
    public double MaxGradNorm { get; init; } = 1;

    [Hyperparameter("Read text that looks like a control token (such as <|user|>) as that token. Only for text you made yourself: otherwise anyone's text could steer the model.")]
    public bool SpecialTokensInText { get; init; }

    [Hyperparameter("Number type of the finished weights on disk; bfloat16 halves the file and rounds the weights.", Choices = ["float32", "bfloat16"])]
    public string StoreAs { get; init; } = "float32";

    [Hyperparameter(ComputePrecision.Help, Source = "arXiv 1710.03740", Choices = ["float32", "bfloat16"])]
    public string Precision { get; init; } = "float32";

    [Hyperparameter("Steps between evaluations on the validation text; 0 = once per epoch.", Unit = "steps", Min = 0, Max = 1_000_000)]
    public int EvalEvery { get; init; }

    [Hyperparameter("Steps between checkpoints.", Unit = "steps", Min = 1, Max = 1_000_000)]
    public int CheckpointEvery { get; init; } = 200;
}

/// <summary>Trains a language model on raw text.</summary>
public static class PretrainStage
{
    /// <summary>Runs the stage to its end.</summary>
    /// <exception cref="BadInputException">The run, its data, tokenizer or base model cannot be used.</exception>
    /// <exception cref="RunStoppedException">Asked to stop; a checkpoint is written.</exception>
    public static void Run(RunFolder run)
    {
        var settings = run.Spec.Hyperparameters<PretrainHyperparameters>();
        run.Progress(0, 0, "loading");
        var folder = run.Spec.Base ?? run.Spec.Tokenizer ?? throw new BadInputException($"{run.Spec.File}: 'pretrain' needs 'tokenizer', the folder of a tokenizer, or 'base', a model to go on from.");
        var tokenizer = ModelFolder.Open(folder, Tokenizer.FromFolder);
        var eos = tokenizer.EosId ?? throw new BadInputException($"The tokenizer of '{folder}' names no eos_token; documents could not be told apart.");
        ModelFolder.RequirePadApart(tokenizer, folder);
        var pad = tokenizer.PadId ?? eos;
        using var model = run.Spec.Base is null ? Create(settings, tokenizer, eos, run.Spec) : ModelFolder.Policy(folder, tokenizer);
        var context = run.Spec.Base is null ? settings.ContextLength : Math.Min(settings.ContextLength, model.Config.MaxPositions);
        if (settings.PackLength > 0)
        {
            context = Math.Min(context, settings.PackLength);
        }

        int[] Encode(string text) => tokenizer.Encode(text, settings.SpecialTokensInText);
        PackedText Packed(IReadOnlyList<string> files, int batchSize, long seed)
        {
            var packed = new PackedText([.. Rows.Texts(files, run.Spec.File).Select(text => (int[])[.. Encode(text), eos])], context, batchSize, seed);
            return packed.Tokens > 1 ? packed : throw new BadInputException($"The training data ({string.Join(", ", files.Select(Path.GetFileName))}) holds no text; a token to predict is needed.");
        }

        var files = run.Spec.Data.Where(d => d.Split == "train").ToList();
        var mix = files.All(f => f.Weight is null) ? null : new WeightedText([.. files.Select((f, i) =>
            new WeightedSource(Path.GetFileName(f.Path), Packed([f.Path], 1, Seeds.Derive(run.Spec.Seed, i, 2)), f.Weight!.Value))], settings.BatchSize);
        var text = mix is null ? Packed(run.Spec.DataOf("train"), settings.BatchSize, run.Spec.Seed) : null;
        Func<int, List<Sequence>> batchOf = mix is null ? text!.Batch : mix.Batch;
        var (stepsPerEpoch, textTokens) = mix is null ? (text!.StepsPerEpoch, text.Tokens) : (mix.StepsPerEpoch, mix.Tokens);
        var validTexts = Rows.Texts(run.Spec.DataOf("valid"), run.Spec.File, required: false);
        var valid = validTexts.Count == 0 ? null : new HeldOutText(validTexts, Encode, eos, context, settings.BatchSize);
        SelfChecks.Padding(model, batchOf(0)[0].Ids, eos, pad);
        // Only now: the check looks for differences that the rounding of bfloat16 would hide.
        model.ComputeType = ComputePrecision.TypeOf(settings.Precision);

        var total = settings.MaxSteps > 0 ? settings.MaxSteps : stepsPerEpoch * settings.Epochs;
        var peak = settings.LearningRate ?? LearningRates.Pretraining(model.ParameterCount);
        var schedule = new LearningRate(ScheduleKind.Cosine, peak, total, (long)Math.Ceiling(settings.WarmupRatio * total), settings.MinLearningRateRatio);
        using var optimizer = new AdamW(model.Parameters, new AdamWOptions(0.9, 0.95, 1e-8, settings.WeightDecay, settings.MaxGradNorm));
        var evalEvery = settings.EvalEvery > 0 ? settings.EvalEvery : stepsPerEpoch;

        var checkpoints = new RunCheckpoints(run, settings.CheckpointEvery, new Dictionary<string, IEnumerable<KeyValuePair<string, Tensor>>> { ["model"] = model.Parameters },
            new Dictionary<string, AdamW> { ["optimizer"] = optimizer });
        var (step, state) = checkpoints.Resume();
        var tokens = state["num_tokens"]?.GetValue<long>() ?? 0;
        run.Log($"Pre-training of {model.ParameterCount:N0} parameters on {textTokens:N0} tokens: {total} steps of {settings.BatchSize} x {context}, learning rate {peak:G3}.");
        foreach (var source in mix?.Epochs(total) ?? [])
        {
            run.Log(FormattableString.Invariant($"Mix: {source.Name}, {source.Tokens:N0} tokens, {source.Share:P1} of the training text, {source.Epochs:F2} epochs in {total} steps."));
        }

        while (step < total)
        {
            run.Progress(step, total, "training");
            Dictionary<string, double> metrics;
            using (NewDisposeScope())
            {
                var batch = batchOf(step);
                double targets = batch.Sum(s => s.Supervised);
                double loss = 0;
                foreach (var part in BatchPlan.MicroBatches(batch, settings.MicroBatchSize))
                {
                    using var inner = NewDisposeScope();
                    var share = part.Sum(s => s.Supervised) / targets;
                    loss += share * Finite.Loss(NextTokenLoss.Backward(model, TokenBatch.Hidden(model, part, pad), TokenBatch.Targets(part), share).Loss, step + 1);
                }
                var learningRate = schedule.At(step);
                metrics = new Dictionary<string, double>
                {
                    ["loss"] = loss,
                    ["grad_norm"] = optimizer.Step(learningRate),
                    ["lr"] = learningRate,
                    ["epoch"] = (step + 1.0) / stepsPerEpoch,
                    ["num_tokens"] = tokens += (long)targets,
                };
            }
            step++;
            foreach (var source in mix?.Epochs(step) ?? [])
            {
                metrics["epochs/" + source.Name] = source.Epochs;
            }
            if (valid is not null && (step % evalEvery == 0 || step == total))
            {
                run.Progress(step, total, "evaluating");
                (metrics["eval/loss"], metrics["eval/bits_per_byte"]) = valid.Evaluate(model, pad);
            }
            run.Metrics(step, metrics);
            checkpoints.AfterStep(step, total, () => new JsonObject { ["num_tokens"] = tokens });
        }
        run.Progress(total, total, "saving");
        run.WriteOutput(output => model.Save(output, folder, settings.StoreAs == "bfloat16" ? WeightType.BFloat16 : WeightType.Float32));
        run.Finish(total, run.LastMetrics());
        run.Progress(total, total, "done");
    }

    private static CausalLm Create(PretrainHyperparameters settings, Tokenizer tokenizer, int eos, RunSpec spec)
    {
        try
        {
            Func<int, int, int, int, int, int?, int?, ModelConfig> family = settings.Architecture == "gpt_neox" ? ModelConfig.GptNeoX : ModelConfig.Gpt2;
            return CausalLm.New(family(tokenizer.VocabSize, settings.HiddenSize, settings.Layers, settings.Heads, settings.ContextLength, eos, tokenizer.PadId), Seeds.Derive(spec.Seed, -1));
        }
        catch (ModelConfigException e)
        {
            throw new BadInputException($"{spec.File}: {e.Message}", e);
        }
    }
}
