// Package quantize writes a model's file in another format.
//
//	r, err := quantize.File(ctx, "gemma-4-E2B-it-BF16.gguf", "e2b.gguf", quantize.Options{Type: quantize.Q4_K_M})
//	fmt.Println(r)
//
// The source is a GGUF file of any kind (model, projector, drafter), any part of a split one, or a checkpoint in safetensors of the maker's
// layout. It is read by rows, encoded on all cores and written in its order, so that a model of any size takes a few hundred MB of memory.
// The file appears under its name when it is complete and on the disk. The same source gives the same bytes with any number of threads.
//
// # Types
//
// A [Type] is a mix of formats: most of a file's name says what most matrices are in. The mixes are those of llama.cpp, tensor by tensor,
// so that a file is what its name promises. Vectors, norms, routers, convolutions and tables of positions stay as they are, and with
// quantised types so does the projection of per-layer embeddings. Where a row is no whole number of blocks, another format takes the place
// of the type's:
//
//	Q4_K    Q5_0
//	Q5_K    Q5_1
//	Q6_K    Q8_0
//	IQ4_XS  IQ4_NL
//
// and F16 where a row is no multiple of 32. A tensor that has the format already is copied.
//
// # Quantisation-aware training
//
// Checkpoints of quantisation-aware training hold, as BF16, weights that lie on a grid of 4 bits. With the type Q4_0 they are found, and
// packed without error: what such a file runs is what was trained, while a scale that is searched for, or the usual one, moves most weights
// a little. This goes for all matrices that are on a grid, the tables of embeddings and the projection of per-layer embeddings too, which
// are larger in other files of this type. The [Report] says how many blocks were on the grid, and how many of these give the checkpoint's
// own bits again. Weights that an adapter was merged into are not on the grid any longer.
//
// # Importance
//
// An importance matrix tells how large what a column is multiplied with is. Formats with a search of scales then keep the errors where they
// do least harm. The command gemma4 perplexity -imatrix makes one, and so do other programs.
package quantize
