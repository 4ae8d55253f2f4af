package fit

import (
	"sort"

	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// Memory is what running a model takes, in bytes.
type Memory struct {
	Weights int64 // that each token needs: mapped from the file, and read from disk again where memory is short
	Cache   int64 // keys and values of a full context
	Working int64 // buffers of a pass, and the program itself
}

// program is what the program takes by itself, with a tokenizer.
const program = 64 << 20

// Memory returns what the model takes with one session of that many positions.
func (s *Shape) Memory(context int, cache tensor.Format) Memory {
	return Memory{s.Resident(), s.CacheBytes(context, cache, 0), s.PassBytes(model.DefaultBatch, 1) + program}
}

// Keeps reports whether keys and values can be kept in a format: whether each head is a whole number of its blocks.
func (s *Shape) Keeps(cache tensor.Format) bool {
	for i := range s.Layers {
		if s.Layers[i].HeadDim%cache.BlockLen() != 0 {
			return false
		}
	}
	return true
}

// Total returns the sum.
func (m Memory) Total() int64 { return m.Weights + m.Cache + m.Working }

// Longest returns how many positions, of the model's context at most, can be kept in so much memory beside all else, 0 if none can.
func (s *Shape) Longest(room int64, cache tensor.Format) int {
	return sort.Search(s.Context, func(n int) bool { return s.Memory(n+1, cache).Total() > room })
}

// Room is the memory of a machine, in bytes.
type Room struct {
	Total     int64 `json:"total_bytes,omitzero"`     // 0: not known
	Limit     int64 `json:"limit_bytes,omitzero"`     // for this process; 0: none
	Available int64 `json:"available_bytes,omitzero"` // now; 0: not known
}

// Most returns what there would be without other programs, 0 if that is not known.
func (r Room) Most() int64 {
	if r.Limit > 0 && (r.Total == 0 || r.Limit < r.Total) {
		return r.Limit
	}
	return r.Total
}

// Now returns what can be taken at this moment or, where that is not known, what there would be without other programs.
func (r Room) Now() int64 {
	if r.Available > 0 {
		return r.Available
	}
	return r.Most()
}

// Verdict says whether something fits.
type Verdict string

const (
	Unknown Verdict = "?"
	Fits    Verdict = "yes"
	Crowded Verdict = "without others" // other programs take too much of the memory
	TooBig  Verdict = "no"
)

// Holds tells whether there is room for so many bytes.
func (r Room) Holds(bytes int64) Verdict {
	switch {
	case r.Now() == 0:
		return Unknown
	case bytes <= r.Now():
		return Fits
	case bytes <= r.Most():
		return Crowded
	}
	return TooBig
}
