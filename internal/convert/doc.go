// Package convert opens a model's weights, GGUF or safetensors, as one list of GGUF tensors and metadata, read by rows.
//
//	w, err := convert.Open("gemma-4-E2B-it")  // a folder as its maker publishes it, or a GGUF file
//	if err != nil {
//		return err
//	}
//	defer w.Close()
//	err = w.Tensors[0].Read(rows, 0, 16)
//
// # Checkpoints
//
// What the makers of a model publish is a folder, a checkpoint:
//
//	model.safetensors                     the weights, or in several files
//	model.safetensors.index.json          the names of these, such as model-00001-of-00002.safetensors
//	config.json                           the shape of text model, towers or drafter
//	tokenizer.json                        tokens and merges
//	tokenizer_config.json                 which tokens begin and end a text, older ones with the chat template; may be missing
//	chat_template.jinja                   may be missing
//	generation_config.json                how to sample; may be missing
//
// GGUF makes two files of one: the text model ([Text]) and the projector of pictures and sounds ([Projector]). A drafter has a checkpoint
// of its own, which is told by its architecture.
//
// Names and shapes of all tensors follow from config.json. What a checkpoint lacks, has in another shape, or has beside these is an error
// that names it, [model.ErrUnknown] for the last: what is left out in silence could change every answer. So are keys of config.json that
// ask for another graph, and those that nobody here knows unless they say nothing: null, false, 0, or empty; of drafters the latter pass.
// Layers that use the keys and values of another may have some of their own, which no one reads; they are left out.
//
// Values are those of the checkpoint. What GGUF keeps as F32 (vectors, norms, the router, convolutions, embeddings of patches and places)
// comes as F32, everything else in the checkpoint's own type: F32, F16 or BF16. Only these tensors are not as they were: patches and, in
// models without towers, places are in another order; the scale of queries in the tower of sounds has softplus applied; rope_freqs, by
// which global layers divide their frequencies, are made up.
//
// Nothing of a tensor is in memory: each is read when it is asked for, by rows. Files are hostile, see [safetensors].
package convert
