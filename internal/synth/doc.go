// Package synth writes GGUF files of the true Gemma 4 architecture with random weights, models, the projectors that give them eyes and
// ears, the drafters that guess what they write, and adapters: for tests of any shape, and for benchmarks without a download.
//
//	c, err := synth.Parse("e2b:q4_0")     // a preset and a format
//	err = synth.WriteFile(ctx, "e2b.gguf", c)  // 2.6 GB, at the speed of the disk
//
// # Presets
//
// e2b, e4b, 12b, 26b and 31b have the published models' full sizes. Each has a narrow twin (e2b-narrow, …) with the same
// layers, heads, head sizes, window and context but a small width, small MLPs, few experts and 512 tokens: its cache
// behaves like the real one's and its weights fit anywhere. A short one (e2b-short, …) has the true widths, two periods of layers and
// 8192 tokens: each of its matrices takes the same time. tiny-* (tiny-e, tiny-e4, tiny-dense, tiny-moe) are small all
// over but wide enough for every format; micro-* are a quarter of that. [Presets] lists all of them.
//
// Each, but for narrow ones, has a projector: e2b-mmproj makes embeddings of pictures (gemma4v) and sounds (gemma4a) for e2b, 12b-mmproj
// does so without towers (gemma4uv, gemma4ua), 31b-mmproj takes pictures alone. Those of short presets have towers of the true width with
// two layers. [Projectors] lists them. e2b-draft is the drafter of e2b, with the published one's shape, and so with the others: [Drafters].
// e2b-lora and e2b-qv-lora are adapters of rank 16: see [ParseAdapter].
//
// # Formats
//
// The part after the colon is any weight format (f32, q8_0, iq3_xxs, …) for all matrices, or the mix q4_k_m. Vectors and the router are
// always F32; per_layer_model_proj is BF16 unless everything is F32. A matrix whose rows are not a multiple of the format's block is Q8_0
// or, if they are not a multiple of 32 either, F16.
//
// # Other shapes
//
// A [Config] has a field for every dimension and for some oddities that few files have, and so have a [Projector] and a [Drafter]: change a
// preset's, or start from nothing. [Build] returns metadata and tensors before they are written, to be changed further.
//
// # Checkpoints
//
// A [Checkpoint] is the same model, with its projector, or drafter as the maker publishes it: safetensors, config.json and tokenizer.json,
// under other names and partly in another order. It is for tests of conversions, which it shares nothing with.
//
// # The numbers
//
// Blocks are random but valid: what an encoder could have written, with finite scales. Decoded, a matrix of n inputs has mean 0 and a
// standard deviation of 1/√n, so that activations keep their size through any number of layers. Norms' weights lie around 1 (those of keys
// around 2/√head, so that attention looks at more than one position). The same configuration and seed give the same bytes on every machine.
// Large tensors are made from pieces of a small pool of blocks, of random place and length: rows differ, but a compressor would notice.
package synth
