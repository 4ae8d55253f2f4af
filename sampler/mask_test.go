package sampler

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// bitsOf returns ids as a mask of a vocabulary.
func bitsOf(vocabulary int, ids []int32) []uint64 {
	bits := make([]uint64, (vocabulary+63)/64)
	for _, id := range ids {
		bits[id>>6] |= 1 << (id & 63)
	}
	return bits
}

// TestMasksAreLogitsOfMinusInfinity draws under a mask in three ways: as bits, as ids with their logits alone, and as the definition has
// it, from logits that penalties and biases have changed and whose others are −Inf.
func TestMasksAreLogitsOfMinusInfinity(t *testing.T) {
	const n = 300
	r := rand.New(rand.NewPCG(7, 11))
	for i := range 400 {
		logits := scattered(n, uint64(i))
		o := Options{
			Temperature: []float64{0, 0.3, 1, 2}[r.IntN(4)], TopK: []int{0, 1, 8, 64}[r.IntN(4)], TopP: []float64{0, 0.5, 0.95}[r.IntN(3)],
			MinP: []float64{0, 0.05}[r.IntN(2)], Typical: []float64{0, 0.7}[r.IntN(2)], Seed: r.Uint64(),
		}
		if r.IntN(2) == 0 {
			o.RepeatPenalty, o.FrequencyPenalty, o.PresencePenalty = 1.3, 0.2, 0.1
		}
		if r.IntN(2) == 0 {
			o.Bias, o.Suppress = map[int32]float32{3: 2, 77: -1, 200: 4}, []int32{5, 150, 299}
		}
		var ids []int32
		share := []float64{0.02, 0.3, 0.95}[r.IntN(3)]
		for id := range int32(n) {
			if r.Float64() < share || id == 9 {
				ids = append(ids, id)
			}
		}
		some := make([]float32, len(ids))
		masked := slices.Repeat([]float32{mask}, n)
		for j, id := range ids {
			some[j], masked[id] = logits[id], logits[id]
		}
		whole, dense, sparse := newSampler(t, n, o), newSampler(t, n, o), newSampler(t, n, o)
		for pos := range 20 {
			want, err := whole.Sample(masked, pos)
			if err != nil {
				t.Fatal(err)
			}
			for name, f := range map[string]func() (int32, error){
				"bits": func() (int32, error) { return dense.SampleBits(logits, bitsOf(n, ids), pos) },
				"ids":  func() (int32, error) { return sparse.SampleIDs(some, ids, pos) },
			} {
				if got, err := f(); err != nil || got != want {
					t.Fatalf("case %d, %s, %+v: id %d, %v, want %d", i, name, o, got, err, want)
				}
			}
			d := maps.Collect(whole.Distribution())
			for name, s := range map[string]*Sampler{"bits": dense, "ids": sparse} {
				if got := maps.Collect(s.Distribution()); !maps.Equal(got, d) {
					t.Fatalf("case %d, %s, %+v:\n%v, want\n%v", i, name, o, got, d)
				}
			}
			for _, s := range []*Sampler{whole, dense, sparse} {
				s.Accept(want)
			}
		}
	}
}

func TestMasksThatAllowNothingOrDoNotFit(t *testing.T) {
	logits := logs(steps...)
	for _, o := range []Options{{}, Default(), {Temperature: 1}} {
		s := newSampler(t, len(logits), o)
		for name, f := range map[string]func() (int32, error){
			"no bits": func() (int32, error) { return s.SampleBits(logits, []uint64{0}, 0) },
			"short":   func() (int32, error) { return s.SampleBits(logits, []uint64{}, 0) },
			"no ids":  func() (int32, error) { return s.SampleIDs(nil, nil, 0) },
			"-Inf":    func() (int32, error) { return s.SampleIDs([]float32{mask}, []int32{2}, 0) },
		} {
			if _, err := f(); !errors.Is(err, ErrNoCandidate) {
				t.Errorf("%+v, %s: %v", o, name, err)
			}
		}
		for want, f := range map[string]func() (int32, error){
			"2 logits of 1 ids":  func() (int32, error) { return s.SampleIDs(logits[:2], []int32{1}, 0) },
			"id 1 at place 1":    func() (int32, error) { return s.SampleIDs(logits[:2], []int32{1, 1}, 0) },
			"id 5 at place 0":    func() (int32, error) { return s.SampleIDs(logits[:1], []int32{5}, 0) },
			"the logit of id 3 ": func() (int32, error) { return s.SampleIDs([]float32{1, nan}, []int32{1, 3}, 0) },
			"the logit of id 4 ": func() (int32, error) { return s.SampleBits([]float32{0, 0, 0, 0, inf}, []uint64{1}, 0) },
		} {
			if _, err := f(); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%+v: %v, want %q", o, err, want)
			}
		}
	}
}

func TestMaskedDrawsAllocateNothing(t *testing.T) {
	logits := scattered(5000, 1)
	ids := []int32{1, 7, 4000}
	bits := bitsOf(len(logits), ids)
	for _, o := range []Options{{}, Default(), {Temperature: 1, RepeatPenalty: 1.1, Suppress: []int32{1}}} {
		s := newSampler(t, len(logits), o)
		if n := testing.AllocsPerRun(20, func() {
			id, _ := s.SampleBits(logits, bits, 0)
			s.Accept(id)
			id, _ = s.SampleIDs(logits[:3], ids, 1)
			s.Accept(id)
		}); n != 0 {
			t.Errorf("%+v: %v allocations", o, n)
		}
	}
}
