package sampler

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
)

// DefaultPenaltyWindow is how many accepted ids the penalties look back on when PenaltyWindow is 0.
const DefaultPenaltyWindow = 64

// Options say how ids are picked; doc.go says in which order. The zero value is greedy: the highest logit, no penalties.
type Options struct {
	Temperature float64 // 0: greedy; 1: the model's own probabilities; higher: more even
	TopK        int     // how many ids survive; 0: all
	TopP        float64 // share of the probability that survives, in (0, 1]; 0 and 1: all
	MinP        float64 // least probability relative to the most likely id, in [0, 1]; 0: all
	Typical     float64 // share of the probability that survives, most typical ids first, in (0, 1]; 0 and 1: all

	RepeatPenalty    float64 // divides positive and multiplies negative logits of recent ids; 0 and 1: none
	FrequencyPenalty float64 // subtracted once per occurrence in the window; 0: none; below 0 it favours
	PresencePenalty  float64 // subtracted once from every id in the window; 0: none; below 0 it favours
	PenaltyWindow    int     // how many accepted ids the penalties look back on; 0: DefaultPenaltyWindow

	Bias     map[int32]float32 // added to the logits of these ids; −Inf: never picked
	Suppress []int32           // ids that are never picked

	Seed uint64 // of the draws; every number, 0 too, is a seed
}

// Default returns the sampling that Gemma's makers advise: temperature 1, top-k 64, top-p 0.95.
func Default() Options {
	return Options{Temperature: 1, TopK: 64, TopP: 0.95}
}

// Validate reports the first option that makes no sense for a vocabulary of this many ids.
func (o Options) Validate(vocabulary int) error {
	if vocabulary < 1 || vocabulary > math.MaxInt32 {
		return fmt.Errorf("sampler: vocabulary of %d ids, want 1 to %d", vocabulary, math.MaxInt32)
	}
	for _, f := range []struct {
		name               string
		value, least, most float64
	}{
		{"temperature", o.Temperature, 0, math.MaxFloat32},
		{"top-p", o.TopP, 0, 1},
		{"min-p", o.MinP, 0, 1},
		{"typical", o.Typical, 0, 1},
		{"repeat penalty", o.RepeatPenalty, 0, math.MaxFloat32},
		{"frequency penalty", o.FrequencyPenalty, -math.MaxFloat32, math.MaxFloat32},
		{"presence penalty", o.PresencePenalty, -math.MaxFloat32, math.MaxFloat32},
	} {
		if !(f.value >= f.least && f.value <= f.most) {
			return fmt.Errorf("sampler: %s is %v, want %.2g to %.2g", f.name, f.value, f.least, f.most)
		}
	}
	if o.TopK < 0 {
		return fmt.Errorf("sampler: top-k is %d, want 0 (all) or more", o.TopK)
	}
	if o.PenaltyWindow < 0 {
		return fmt.Errorf("sampler: penalty window is %d, want 0 (for %d) or more", o.PenaltyWindow, DefaultPenaltyWindow)
	}
	for _, b := range o.biases() {
		if b.id < 0 || int(b.id) >= vocabulary {
			return fmt.Errorf("sampler: bias of id %d, which is outside the vocabulary of %d", b.id, vocabulary)
		}
		if b.add != b.add || b.add > math.MaxFloat32 {
			return fmt.Errorf("sampler: bias of id %d is %v, want a finite number or -Inf", b.id, b.add)
		}
	}
	for _, id := range o.Suppress {
		if id < 0 || int(id) >= vocabulary {
			return fmt.Errorf("sampler: suppressed id %d is outside the vocabulary of %d", id, vocabulary)
		}
	}
	return nil
}

// Overrides change single options. A nil field keeps what is there; new(0.7) makes one that is not nil.
type Overrides struct {
	// The options of the same names.
	Temperature      *float64
	TopK             *int
	TopP             *float64
	MinP             *float64
	Typical          *float64
	RepeatPenalty    *float64
	FrequencyPenalty *float64
	PresencePenalty  *float64
	PenaltyWindow    *int
	Seed             *uint64

	Bias     map[int32]float32 // joins what is there; where both have an id, this one counts
	Suppress []int32           // joins what is there: suppressed ids stay suppressed
}

// With returns o changed by v. It shares no memory with either.
func (o Options) With(v Overrides) Options {
	set(&o.Temperature, v.Temperature)
	set(&o.TopK, v.TopK)
	set(&o.TopP, v.TopP)
	set(&o.MinP, v.MinP)
	set(&o.Typical, v.Typical)
	set(&o.RepeatPenalty, v.RepeatPenalty)
	set(&o.FrequencyPenalty, v.FrequencyPenalty)
	set(&o.PresencePenalty, v.PresencePenalty)
	set(&o.PenaltyWindow, v.PenaltyWindow)
	set(&o.Seed, v.Seed)
	if o.Bias = maps.Clone(o.Bias); o.Bias == nil {
		o.Bias = maps.Clone(v.Bias)
	} else {
		maps.Copy(o.Bias, v.Bias)
	}
	o.Suppress = slices.Concat(o.Suppress, v.Suppress)
	return o
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// penalises reports whether recent ids matter.
func (o Options) penalises() bool {
	return o.RepeatPenalty != 0 && o.RepeatPenalty != 1 || o.FrequencyPenalty != 0 || o.PresencePenalty != 0
}

type bias struct {
	id  int32
	add float32
}

// biases returns Bias in the order of ids, so that nothing depends on the order of a map.
func (o Options) biases() []bias {
	list := make([]bias, 0, len(o.Bias))
	for id, add := range o.Bias {
		list = append(list, bias{id, add})
	}
	slices.SortFunc(list, func(a, b bias) int { return cmp.Compare(a.id, b.id) })
	return list
}

// ErrNoCandidate is returned by Sample when no id can be picked: each one's logit is −Inf, or it is suppressed.
var ErrNoCandidate = errors.New("sampler: no id can be picked: every logit is -Inf or suppressed")
