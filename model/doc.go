// Package model is the Gemma 4 text model: its shape, its weights by name, its cache and its graph.
//
// A [Model] is built over an open GGUF file, whose metadata gives the shape ([Config]) and whose tensors are checked against
// it. Nothing is hard-coded to a size: the same graph runs dense models (12B, 31B), models with experts (26B-A4B) and models
// with per-layer embeddings and shared keys and values (E2B, E4B). A [Sequence] is one text in the model: its keys and values.
// A [Pass] takes positions of sequences through the layers:
//
//	s, err := m.NewSequence(model.SequenceOptions{Cache: tensor.F16})
//	p := m.NewPass()
//	err = p.Read(ctx, &model.Chunk{Sequence: s, Input: []model.Input{{Tokens: prompt}}, Want: last, Yield: …})
//	logits, err := p.Write(ctx, s, id) // one generated token at a time
//
// [Pass.Read] takes prompts of any length: tokens, or embeddings of images and sounds. [Pass.Write] takes generated tokens. Both append to the
// sequence's keys and values; [Sequence.Truncate] takes positions back, and [Sequence.Snapshot] shares them with other sequences. A pass
// takes positions of any number of sequences at once, over the weights once: [Pass.Prefill] chunks of prompts, [Pass.Decode] generated tokens.
// A batch of users is such a pass, and so is a draft being checked. Whether two texts begin alike, pictures included, their identities tell
// ([Model.Identities], [CommonLen]).
//
// The graph is in forward.go, in the order in which it runs, over regions that the workers share (region.go); attention.go and
// experts.go hold what is below it, pass.go what is around it, cache.go the keys and values in pages, history.go which pages of
// sliding layers are kept when their window has passed. Layers that share an earlier layer's keys and values run only for
// positions whose logits are wanted, which in E2B saves two thirds of the work of reading a prompt.
//
// Results do not depend on how a prompt is cut into chunks, on which other sequences are in a pass, nor on the number of workers.
package model
