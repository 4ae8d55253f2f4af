// Package model is the Gemma 4 text model: its shape, its weights by name, its cache and its graph.
//
// A [Model] is built over an open GGUF file, whose metadata gives the shape ([Config]) and whose tensors are checked against
// it. Nothing is hard-coded to a size: the same graph runs dense models (12B, 31B), models with experts (26B-A4B) and models
// with per-layer embeddings and shared keys and values (E2B, E4B). A [Session] is one text in the model:
//
//	s, err := m.NewSession(model.SessionOptions{Cache: tensor.F16})
//	err = s.Read(ctx, []model.Input{{Tokens: prompt}}, lastOnly, func(pos int, logits []float32) error { … })
//	logits, err := s.Write(ctx, id) // one generated token at a time
//
// [Session.Read] takes prompts: tokens, or embeddings of images and sounds, in chunks. [Session.Write] takes generated tokens.
// Both append to the session's keys and values; [Session.Truncate] takes positions back, and [Session.Snapshot] shares them with other sessions.
//
// The graph is in forward.go, in the order in which it runs; attention.go and experts.go hold what is below it, cache.go the
// keys and values in pages, history.go which pages of sliding layers are kept when their window has passed. Layers that
// share an earlier layer's keys and values run only for positions whose logits are wanted, which in E2B saves two thirds of
// the work of reading a prompt.
//
// Results do not depend on how a prompt is cut into chunks, nor on the number of workers.
package model
