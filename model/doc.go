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
//	logits, err := p.Write(ctx, s, id) // decode, one token at a time
//
// [Pass.Read] prefills: it takes prompts of any length, tokens or embeddings of images and sounds. [Pass.Write] decodes: it takes generated
// tokens. Both append to the sequence's keys and values; [Sequence.Truncate] takes positions back, and [Sequence.Snapshot] shares them with
// other sequences. Below these, a pass takes positions of any number of sequences through the weights at once: [Pass.Prefill] chunks of
// prompts, [Pass.Decode] generated tokens. Those of many users are such a pass, and so is a draft being checked. Identities tell how far
// two texts are alike, pictures included ([Model.Identities], [CommonLen]).
//
// The graph is in forward.go, in the order in which it runs, over regions that the workers share (region.go); attention.go, experts.go
// and head.go hold what is below it, pass.go what is around it, cache.go the keys and values in pages, and history.go decides which pages
// of sliding layers are kept once the window has moved past them. Layers that share an earlier layer's keys and values run only for
// positions whose logits are wanted, which, with the head, saves three quarters of E2B's prefill.
//
// Embeddings of pictures and sounds come from a [Projector], which is opened from a file of its own, by towers that run over the same
// regions: vision.go and hearing.go are their graphs, gaze.go is the attention of patches, mel.go and picture.go are what comes before. A
// [Sight] takes pictures through, a [Hearing] one sound while it comes.
//
// A [Drafter] is a small graph with a file of its own that guesses what the model writes next: its layers are those of a model, but they
// read the model's keys and values. A [Draft] takes it through; a decode of several tokens checks what it guessed.
//
// Results do not depend on how a prompt is cut, on which other sequences share a pass, or on the number of workers.
//
// # Words
//
// Each has one meaning here; those of package tensor hold, too, but for chunk: there it is what a worker claims of a region, here a job.
//
//	text       what a sequence holds: the tokens and embeddings at its positions
//	position   one place in a text, and what goes through the layers for it
//	pass       once through the layers, in the role of prefill or decode
//	chunk      what one sequence brings to a pass
//	batch      how many positions of a prompt a prefill takes at a time
//	layer      attention and a feed-forward part; block is tensor's word
//	tied       a layer whose values give its keys, but for what rotates
//	page       the keys and values of 128 positions of one layer
//	window     the positions that a sliding layer sees; history is what is kept before it
//	mark       a position to go back to: the end of a turn of the chat
//	tile       a few positions of a sequence that attend together
//	split      a part of the positions that a tile sees, for one worker; a strip is 64 of them
//	job        what a worker does at a time, be it in attention or in another region
//	snapshot   a text at one moment, shared; a saved text is one in a file
//	segment    what is appended to a saved text when it has changed
//	patch      a square of pixels; a token of a picture stands for a square of patches
//	frame      10 ms of a sound; a token stands for four
//	identity   what a text has at a position, so that texts can be compared
//	draft      tokens that a drafter guesses behind a text, one a step
package model
