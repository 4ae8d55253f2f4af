package gemma4

import (
	"fmt"
	"slices"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/model"
)

// Adapter is a low-rank adapter (LoRA) of a model: thin matrices beside the model's own, which change what it writes. It lies in memory and
// need not be closed. Any number of sessions may use it at once, beside others with other adapters or none: those that are at work at the
// same time share their passes all the same, and each has the bytes that it would have alone.
type Adapter = model.Adapter

// Scaled is an adapter and how much it counts: 1 as it was made, 0 not at all.
type Scaled = model.Scaled

// ErrOtherAdapters is wrapped by the error of a saved session that was read with other adapters, or other scales, than those of
// SessionOptions.Adapters.
var ErrOtherAdapters = model.ErrOtherAdapters

// OpenAdapter reads an adapter from a GGUF file (general.type adapter, adapter.type lora). One for another model is an error that names the
// tensor that does not fit, and so is one that is broken. What it says of norms is left out, as by other programs, and told to the Logger.
//
// The logits with an adapter are those of the model that it was merged into, up to rounding. A head that is the model's embedding as well
// changes with that.
func (m *Model) OpenAdapter(path string) (*Adapter, error) {
	if err := m.enter(); err != nil {
		return nil, err
	}
	defer m.leave()
	f, err := gguf.Open(path)
	if err != nil {
		return nil, fmt.Errorf("gemma4: the adapter: %w", err)
	}
	defer f.Close()
	a, err := model.OpenAdapter(f, m.graph)
	if err != nil {
		return nil, fmt.Errorf("gemma4: the adapter %s: %w", path, err)
	}
	m.log.Info("adapter opened", "file", path, "name", a.Name, "rank", a.Rank, "tensors", a.Pairs, "bytes", a.Bytes)
	if len(a.Ignored) > 0 {
		m.log.Warn("norms of an adapter left out", "file", path, "tensors", len(a.Ignored))
	}
	return a, nil
}

// Adapted returns a short text that tells some adapters, with their scales and in any order, from others: the same in every program; "" if
// there are none. One of another model is an error.
func (m *Model) Adapted(a ...Scaled) (string, error) {
	key, err := m.graph.Adapted(a...)
	return key, wrap(err)
}

// Adapter has the model read and write with these adapters from now on, with none if there are none, without being opened again. They add,
// in any order. The text stays, but what was read with other adapters has to be read again, by the next call that needs it: until then
// Logits are unknown. It is an error, and changes nothing, if the text has embeddings, which only the caller still has: rewind it before
// them, or to 0.
//
// A [Chat] is told by its Options.Adapters.
func (s *Session) Adapter(a ...Scaled) error {
	if err := s.begin(); err != nil {
		return err
	}
	defer s.end()
	return s.adapt(a, true)
}

// adapt has the text read with other adapters, if they are other ones. It is kept to be read again, or forgotten.
func (s *Session) adapt(a []Scaled, keep bool) error {
	key, err := s.m.graph.Adapted(a...)
	if err != nil {
		return wrap(err)
	}
	if key != s.seq.Adapted() {
		again := s.again
		if i := slices.IndexFunc(s.ids, func(id identity) bool { return idOf(id) == embedded }); keep && i >= 0 {
			return fmt.Errorf("gemma4: position %d of the text is an embedding, which cannot be read again with other adapters", i)
		}
		if again == nil {
			again = appendTokens(nil, s.ids)
		}
		s.rewind(0)
		if err := s.seq.Adapt(a...); err != nil {
			return wrap(err)
		}
		s.saved = nil
		if keep && len(again) > 0 {
			s.mu.Lock()
			s.again = again
			s.mu.Unlock()
		}
	}
	s.options.Adapters = slices.Clone(a)
	return nil
}
