package sampler

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var (
	nan  = float32(math.NaN())
	inf  = float32(math.Inf(1))
	mask = float32(math.Inf(-1))
)

// logs returns logits whose softmax is p.
func logs(p ...float64) []float32 {
	l := make([]float32, len(p))
	for i := range p {
		l[i] = float32(math.Log(p[i]))
	}
	return l
}

func newSampler(t testing.TB, vocabulary int, o Options) *Sampler {
	t.Helper()
	s, err := New(vocabulary, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// survivors samples once and returns the distribution that the draw saw.
func survivors(t testing.TB, logits []float32, o Options) map[int32]float64 {
	t.Helper()
	s := newSampler(t, len(logits), o)
	if _, err := s.Sample(logits, 0); err != nil {
		t.Fatal(err)
	}
	return maps.Collect(s.Distribution())
}

func sortedIDs(m map[int32]float64) []int32 { return slices.Sorted(maps.Keys(m)) }

// The distribution of most tables: entropy 1.392, surprises 0.916, 1.204, 1.897, 2.303, 2.996, so that id 1 is the most
// typical, then 0, 2, 3, 4.
var steps = []float64{0.4, 0.3, 0.15, 0.1, 0.05}

func TestFilterKeepsTheIdsComputedByHand(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want []int32
	}{
		{"nothing set", Options{}, []int32{0, 1, 2, 3, 4}},
		{"top-k 1", Options{TopK: 1}, []int32{0}},
		{"top-k 3", Options{TopK: 3}, []int32{0, 1, 2}},
		{"top-k beyond the vocabulary", Options{TopK: 9}, []int32{0, 1, 2, 3, 4}},
		{"top-p below the first", Options{TopP: 0.01}, []int32{0}},
		{"top-p within the second", Options{TopP: 0.69}, []int32{0, 1}},
		{"top-p just beyond the second", Options{TopP: 0.71}, []int32{0, 1, 2}},
		{"top-p within the last", Options{TopP: 0.96}, []int32{0, 1, 2, 3, 4}},
		{"top-p 1", Options{TopP: 1}, []int32{0, 1, 2, 3, 4}},
		{"min-p 0.3", Options{MinP: 0.3}, []int32{0, 1, 2}},
		{"min-p 0.2", Options{MinP: 0.2}, []int32{0, 1, 2, 3}},
		{"min-p 1", Options{MinP: 1}, []int32{0}},
		{"typical 0.25", Options{Typical: 0.25}, []int32{1}},
		{"typical 0.5", Options{Typical: 0.5}, []int32{0, 1}},
		{"typical 0.75", Options{Typical: 0.75}, []int32{0, 1, 2}},
		{"typical 1", Options{Typical: 1}, []int32{0, 1, 2, 3, 4}},
		{"suppressed", Options{Suppress: []int32{0, 3, 3}}, []int32{1, 2, 4}},
		{"bias of −Inf", Options{Bias: map[int32]float32{1: mask}}, []int32{0, 2, 3, 4}},
		{"bias decides", Options{TopK: 1, Bias: map[int32]float32{4: 3, 0: -1, 1: 0.5}}, []int32{4}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Temperature = 1
			if got := sortedIDs(survivors(t, logs(steps...), c.o)); !slices.Equal(got, c.want) {
				t.Errorf("survivors %v, want %v", got, c.want)
			}
		})
	}
}

// Each case except bias and suppress, where a mask stays a mask either way, would end differently if the two steps it names changed places.
func TestChainRunsInTheOrderStated(t *testing.T) {
	for _, c := range []struct {
		name string
		o    Options
		want []int32
	}{
		{"top-k before typical", Options{TopK: 2, Typical: 0.5}, []int32{0}}, // of two, id 0 is the more typical
		{"top-k before top-p", Options{TopK: 2, TopP: 0.5}, []int32{0}},      // 0.4 / 0.7 is half already
		{"typical before top-p", Options{Typical: 0.25, TopP: 0.5}, []int32{1}},
		{"top-p before min-p", Options{TopP: 0.8, MinP: 0.3}, []int32{0, 1, 2}},
		{"typical before min-p", Options{Typical: 0.25, MinP: 0.9}, []int32{1}},
		{"top-p before temperature", Options{TopP: 0.5, Temperature: 10}, []int32{0, 1}},
		{"min-p before temperature", Options{MinP: 0.9, Temperature: 10}, []int32{0}},
		{"typical before temperature", Options{Typical: 0.25, Temperature: 0.1}, []int32{1}},
		{"bias before suppress", Options{Suppress: []int32{0}, Bias: map[int32]float32{0: 50}}, []int32{1, 2, 3, 4}},
		{"suppress before top-k", Options{Suppress: []int32{0}, TopK: 1}, []int32{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.o.Temperature == 0 {
				c.o.Temperature = 1
			}
			if got := sortedIDs(survivors(t, logs(steps...), c.o)); !slices.Equal(got, c.want) {
				t.Errorf("survivors %v, want %v", got, c.want)
			}
		})
	}
}

// Of four ids that are equal each has a weight of 1: sums are exact.
func TestTopPAndTypicalEndWhereTheShareIsReached(t *testing.T) {
	for share, want := range map[float64]int{0.25: 1, 0.5: 2, 0.75: 3} {
		for _, o := range []Options{{TopP: share}, {Typical: share}} {
			o.Temperature = 1
			if got := sortedIDs(survivors(t, make([]float32, 4), o)); len(got) != want {
				t.Errorf("top-p %v, typical %v: survivors %v, want the first %d", o.TopP, o.Typical, got, want)
			}
		}
	}
}

// With two ids, one of logit 0, the probability of the other gives its logit away.
func TestPenaltiesAndBiasChangeALogitAsTheFormulasSay(t *testing.T) {
	for _, c := range []struct {
		name   string
		logit  float32
		accept []int32
		o      Options
		want   float64
	}{
		{"no penalty", 2, []int32{0}, Options{}, 2},
		{"repetition of a positive logit", 2, []int32{0}, Options{RepeatPenalty: 4}, 0.5},
		{"repetition of a negative logit", -2, []int32{0}, Options{RepeatPenalty: 1.5}, -3},
		{"repetition counts once", 2, []int32{0, 0, 0}, Options{RepeatPenalty: 2}, 1},
		{"not accepted", 2, nil, Options{RepeatPenalty: 2, PresencePenalty: 3, FrequencyPenalty: 3}, 2},
		{"presence counts once", 2, []int32{0, 0}, Options{PresencePenalty: 0.5}, 1.5},
		{"frequency counts each", 2, []int32{0, 0, 0}, Options{FrequencyPenalty: 0.5}, 0.5},
		{"negative frequency favours", 2, []int32{0, 0}, Options{FrequencyPenalty: -0.5}, 3},
		{"repetition before presence", 2, []int32{0}, Options{RepeatPenalty: 2, PresencePenalty: 1}, 0},
		{"all three", 2, []int32{0, 0}, Options{RepeatPenalty: 2, PresencePenalty: 1, FrequencyPenalty: 0.25}, -0.5},
		{"penalty before bias", 2, []int32{0}, Options{RepeatPenalty: 2, Bias: map[int32]float32{0: 2}}, 3},
		{"bias alone", 2, nil, Options{Bias: map[int32]float32{0: -0.75}}, 1.25},
		{"window of 2 forgets", 2, []int32{0, 0, 0, 9, 9}, Options{FrequencyPenalty: 1, PenaltyWindow: 2}, 2},
		{"window of 4 keeps two", 2, []int32{0, 0, 0, 9, 9}, Options{FrequencyPenalty: 1, PenaltyWindow: 4}, 0},
		{"the default window forgets", 2, append([]int32{0}, slices.Repeat([]int32{9}, 64)...), Options{PresencePenalty: 1}, 2},
		{"the default window keeps", 2, append([]int32{0}, slices.Repeat([]int32{9}, 63)...), Options{PresencePenalty: 1}, 1},
		{"ids outside the vocabulary", 2, []int32{-1, 10, math.MaxInt32}, Options{PresencePenalty: 1, PenaltyWindow: 1}, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.o.Temperature = 1
			s := newSampler(t, 10, c.o)
			for _, id := range c.accept {
				s.Accept(id)
			}
			logits := []float32{c.logit, 0, mask, mask, mask, mask, mask, mask, mask, mask}
			for range 2 { // the second time sees the same: sampling neither accepts nor changes the logits
				if _, err := s.Sample(logits, 0); err != nil {
					t.Fatal(err)
				}
				got := math.Log(s.Probability(0) / s.Probability(1))
				if math.Abs(got-c.want) > 1e-6 {
					t.Errorf("logit %v, want %v", got, c.want)
				}
			}
			if logits[0] != c.logit {
				t.Error("the caller's logits have changed")
			}
		})
	}
}

func TestZeroOptionsPickTheHighestLogit(t *testing.T) {
	for _, c := range []struct {
		logits []float32
		o      Options
		want   int32
	}{
		{[]float32{-3, 1, 2, 1}, Options{}, 2},
		{[]float32{1, 5, 5, 5}, Options{}, 1}, // ties: the lowest id
		{[]float32{mask, mask, -math.MaxFloat32, mask}, Options{}, 2},
		{[]float32{-3, 1, 2, 1}, Options{Suppress: []int32{2}}, 1},
		{[]float32{-3, 1, 2, 1}, Options{Bias: map[int32]float32{0: 10}}, 0},
		{[]float32{-3, 1, 2, 1}, Options{TopK: 1, TopP: 0.1, MinP: 1, Typical: 0.1, Seed: 5}, 2},
	} {
		s := newSampler(t, len(c.logits), c.o)
		got, err := s.Sample(c.logits, 0)
		if err != nil || got != c.want {
			t.Errorf("Sample(%v) with %+v = %d, %v, want %d", c.logits, c.o, got, err, c.want)
		}
		if p := s.Probability(got); p != 1 {
			t.Errorf("probability of a greedy choice is %v", p)
		}
	}
	s := newSampler(t, 3, Options{RepeatPenalty: 3})
	for i, want := range []int32{2, 1, 0} {
		got, _ := s.Sample([]float32{3, 5, 6}, 0)
		if got != want {
			t.Errorf("penalised greedy choice %d is %d, want %d", i, got, want)
		}
		s.Accept(got)
	}
}

func TestTiesKeepTheLowestIds(t *testing.T) {
	even := make([]float32, 100)
	for _, o := range []Options{{TopK: 7}, {TopP: 0.065}, {Typical: 0.065}} {
		o.Temperature = 1
		got := sortedIDs(survivors(t, even, o))
		if want := []int32{0, 1, 2, 3, 4, 5, 6}; !slices.Equal(got, want) {
			t.Errorf("%+v keeps %v, want %v", o, got, want)
		}
	}
}

func TestFrequenciesFollowTheProbabilities(t *testing.T) {
	const draws = 200000
	for _, c := range []struct {
		name string
		o    Options
		want []float64
	}{
		{"plain", Options{Temperature: 1}, steps},
		{"hot", Options{Temperature: 2}, []float64{0.300124, 0.259915, 0.183788, 0.150062, 0.106110}}, // √p over their sum
		{"cold", Options{Temperature: 0.5}, []float64{0.56140, 0.31579, 0.07895, 0.03509, 0.00877}},
		{"Gemma's advice", Default(), steps},
		{"top-k 2", Options{Temperature: 1, TopK: 2}, []float64{4.0 / 7, 3.0 / 7, 0, 0, 0}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.name == "Gemma's advice" { // 0.95 is the sum of the first four: which of four and five is up to rounding
				c.o.TopP = 0.96
			}
			c.o.Seed = 7
			s := newSampler(t, len(steps), c.o)
			logits := logs(steps...)
			count := make([]float64, len(steps))
			for i := range draws {
				id, err := s.Sample(logits, i)
				if err != nil {
					t.Fatal(err)
				}
				count[id]++
			}
			chi := 0.0
			for id, p := range c.want {
				if math.Abs(s.Probability(int32(id))-p) > 1e-5 {
					t.Errorf("probability of %d is %v, want %v", id, s.Probability(int32(id)), p)
				}
				if p == 0 {
					if count[id] != 0 {
						t.Errorf("id %d drawn", id)
					}
					continue
				}
				d := count[id] - p*draws
				chi += d * d / (p * draws)
			}
			if chi > 18.5 { // four degrees of freedom: exceeded once in a thousand seeds
				t.Errorf("chi² %.1f, counts %v", chi, count)
			}
		})
	}
}

// scattered returns logits in [−16, 16) that are the same on every machine: multiples of 2⁻¹⁰, with ties.
func scattered(n int, seed uint64) []float32 {
	r := rand.NewPCG(seed, 1)
	l := make([]float32, n)
	for i := range l {
		l[i] = float32(int64(r.Uint64()>>49)-1<<14) / 1024
	}
	return l
}

// These ids hold on every architecture; a change here breaks every user's stored seeds.
func TestSeedGivesTheseIds(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want []int32
	}{
		{Options{Temperature: 1, Seed: 1}, []int32{337, 959, 228, 836, 401, 404, 58, 917, 763, 291, 296, 720}},
		{Options{Temperature: 5, Seed: 2, TopP: 0.95, MinP: 0.01}, []int32{959, 248, 103, 687, 62, 131, 654, 86, 588, 520, 844, 572}},
		{Options{Temperature: 3, Seed: 3, TopK: 40, RepeatPenalty: 1.3},
			[]int32{860, 959, 833, 626, 665, 171, 468, 895, 354, 589, 749, 26}},
		{Options{Temperature: 0.7, Seed: 0, Typical: 0.5}, []int32{838, 304, 630, 81, 429, 896, 884, 843, 258, 962, 296, 312}},
	} {
		s := newSampler(t, 1000, c.o)
		var got []int32
		for i := range uint64(12) {
			id, err := s.Sample(scattered(1000, i), int(i))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, id)
			s.Accept(id)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%+v gives\n%#v, want\n%#v", c.o, got, c.want)
		}
	}
}

func TestResetRepeatsWhatFollowedNew(t *testing.T) {
	o := Options{Temperature: 4, TopK: 50, FrequencyPenalty: 1, PenaltyWindow: 5, Seed: 9}
	run := func(s *Sampler) (ids []int32) {
		for i := range uint64(40) {
			id, err := s.Sample(scattered(300, i%3), int(i))
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
			s.Accept(id)
		}
		return ids
	}
	s := newSampler(t, 300, o)
	first := run(s)
	s.Reset()
	if got := run(s); !slices.Equal(got, first) {
		t.Errorf("after Reset %v, after New %v", got, first)
	}
	o.Seed = 10
	if got := run(newSampler(t, 300, o)); slices.Equal(got, first) {
		t.Error("another seed gives the same ids")
	}
}

func TestOddLogits(t *testing.T) {
	for _, c := range []struct {
		name   string
		logits []float32
		o      Options
		want   string // of the error; empty: sampled
	}{
		{"NaN", []float32{1, 2, nan, 3}, Options{}, "logit of id 2 is NaN"},
		{"NaN at first", []float32{nan, 2, 1, 3}, Options{}, "logit of id 0 is NaN"},
		{"all NaN", []float32{nan, nan, nan, nan}, Options{}, "logit of id 0 is NaN"},
		{"+Inf", []float32{1, 2, 3, inf}, Options{}, "logit of id 3 is +Inf"},
		{"+Inf with a penalty", []float32{inf, 2, 3, 1}, Options{RepeatPenalty: 2, PresencePenalty: 1}, "logit of id 0 is +Inf"},
		{"NaN with a bias", []float32{nan, 2, 3, 1}, Options{Bias: map[int32]float32{0: 1}}, "logit of id 0 is NaN"},
		{"all −Inf", []float32{mask, mask, mask, mask}, Options{}, "no id can be picked"},
		{"all suppressed", []float32{1, 2, 3, 4}, Options{Suppress: []int32{3, 1, 0, 2}}, "no id can be picked"},
		{"the rest suppressed", []float32{1, mask, mask, mask}, Options{Suppress: []int32{0}}, "no id can be picked"},
		{"−Inf stays −Inf", []float32{mask, mask, mask, mask}, Options{RepeatPenalty: 1e-30, PresencePenalty: -1e38,
			Bias: map[int32]float32{0: 1e38}}, "no id can be picked"},
		{"one left", []float32{mask, mask, 0, mask}, Options{}, ""},
		{"the greatest numbers", []float32{math.MaxFloat32, -math.MaxFloat32, 0, 1}, Options{}, ""},
		{"the greatest bias", []float32{math.MaxFloat32, 1, 0, 1}, Options{Bias: map[int32]float32{0: math.MaxFloat32}}, ""},
		{"the greatest penalty", []float32{-math.MaxFloat32, -1e30, mask, mask}, Options{RepeatPenalty: math.MaxFloat32}, ""},
		{"the least temperature", []float32{1, 2, 3, 4}, Options{Temperature: math.SmallestNonzeroFloat64}, ""},
		{"the greatest temperature", []float32{1, 2, 3, -1e38}, Options{Temperature: math.MaxFloat32}, ""},
		{"the least shares", []float32{1, 2, 3, 4}, Options{TopP: math.SmallestNonzeroFloat64,
			Typical: math.SmallestNonzeroFloat64, MinP: math.SmallestNonzeroFloat64}, ""},
		{"too short", []float32{1, 2, 3}, Options{}, "3 logits for a vocabulary of 4"},
		{"too long", []float32{1, 2, 3, 4, 5}, Options{}, "5 logits for a vocabulary of 4"},
		{"none", nil, Options{}, "0 logits for a vocabulary of 4"},
	} {
		for _, how := range []struct {
			name string
			o    Options
		}{{"greedy", Options{}}, {"drawn", Options{Temperature: 1}}, {"filtered", Options{Temperature: 1, TopK: 2, TopP: 0.9,
			MinP: 0.1, Typical: 0.9}}} {
			t.Run(c.name+", "+how.name, func(t *testing.T) {
				o := c.o
				o.TopK = how.o.TopK
				for _, f := range []struct{ to, from *float64 }{{&o.Temperature, &how.o.Temperature}, {&o.TopP, &how.o.TopP},
					{&o.MinP, &how.o.MinP}, {&o.Typical, &how.o.Typical}} {
					if *f.to == 0 {
						*f.to = *f.from
					}
				}
				s := newSampler(t, 4, o)
				for id := range int32(4) {
					s.Accept(id)
				}
				id, err := s.Sample(c.logits, 0)
				if c.want == "" {
					if err != nil || c.logits[id] == mask {
						t.Fatalf("id %d, %v", id, err)
					}
					if p := s.Probability(id); !(p > 0 && p <= 1) {
						t.Errorf("probability %v", p)
					}
					return
				}
				if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "sampler: ") {
					t.Fatalf("id %d, error %v, want %q", id, err, c.want)
				}
				if errors.Is(err, ErrNoCandidate) != strings.Contains(c.want, "no id") {
					t.Errorf("errors.Is(%v, ErrNoCandidate)", err)
				}
				for range s.Distribution() {
					t.Error("a distribution after an error")
				}
			})
		}
	}
}

func TestDistributionCanBeLeftEarly(t *testing.T) {
	s := newSampler(t, len(steps), Options{Temperature: 1, TopK: 3})
	if _, err := s.Sample(logs(steps...), 0); err != nil {
		t.Fatal(err)
	}
	n := 0
	for range s.Distribution() {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 || s.Probability(4) != 0 || s.Probability(-1) != 0 {
		t.Errorf("%d candidates, probability %v of one that was cut", n, s.Probability(4))
	}
}

func TestSamplerWorksOnAfterAnError(t *testing.T) {
	s := newSampler(t, 3, Options{Temperature: 1, TopK: 2, PresencePenalty: 1})
	s.Accept(1)
	for range 3 {
		if _, err := s.Sample([]float32{1, nan, 2}, 0); err == nil {
			t.Fatal("no error")
		}
		if id, err := s.Sample([]float32{1, 90, 2}, 0); id != 1 || err != nil {
			t.Fatalf("%d, %v", id, err)
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Temperature: -1}, "temperature is -1, want 0 to 3.4e+38"},
		{Options{Temperature: math.NaN()}, "temperature is NaN"},
		{Options{Temperature: math.Inf(1)}, "temperature is +Inf"},
		{Options{TopK: -1}, "top-k is -1, want 0 (all) or more"},
		{Options{TopP: 1.5}, "top-p is 1.5, want 0 to 1"},
		{Options{TopP: -0.1}, "top-p is -0.1, want 0 to 1"},
		{Options{TopP: math.NaN()}, "top-p is NaN"},
		{Options{MinP: 2}, "min-p is 2, want 0 to 1"},
		{Options{MinP: math.NaN()}, "min-p is NaN"},
		{Options{Typical: -1}, "typical is -1, want 0 to 1"},
		{Options{Typical: math.Inf(1)}, "typical is +Inf"},
		{Options{RepeatPenalty: -1}, "repeat penalty is -1"},
		{Options{RepeatPenalty: math.Inf(1)}, "repeat penalty is +Inf"},
		{Options{FrequencyPenalty: math.NaN()}, "frequency penalty is NaN, want -3.4e+38 to 3.4e+38"},
		{Options{PresencePenalty: math.Inf(1)}, "presence penalty is +Inf, want -3.4e+38 to 3.4e+38"},
		{Options{PenaltyWindow: -1}, "penalty window is -1, want 0 (for 64) or more"},
		{Options{Bias: map[int32]float32{10: 1}}, "bias of id 10, which is outside the vocabulary of 10"},
		{Options{Bias: map[int32]float32{-1: 1}}, "bias of id -1"},
		{Options{Bias: map[int32]float32{5: nan}}, "bias of id 5 is NaN"},
		{Options{Bias: map[int32]float32{5: inf}}, "bias of id 5 is +Inf"},
		{Options{Suppress: []int32{3, 10}}, "suppressed id 10 is outside the vocabulary of 10"},
		{Options{Suppress: []int32{-2}}, "suppressed id -2"},
	} {
		s, err := New(10, c.o)
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), "sampler: "+c.want) {
			t.Errorf("New(10, %+v) = %v, want %q", c.o, err, c.want)
		}
	}
	for _, vocabulary := range []int{0, -1} {
		if _, err := New(vocabulary, Options{}); err == nil || !strings.Contains(err.Error(), fmt.Sprint("vocabulary of ", vocabulary)) {
			t.Errorf("New(%d) = %v", vocabulary, err)
		}
	}
	// A large option is no reason to allocate at once.
	s := newSampler(t, 10, Options{Temperature: 1, TopK: math.MaxInt, PresencePenalty: 1, PenaltyWindow: math.MaxInt})
	if cap(s.buffer) > 10 || cap(s.recent) > 4096 {
		t.Errorf("room for %d candidates and %d ids", cap(s.buffer), cap(s.recent))
	}
}

func TestNewCopiesItsOptions(t *testing.T) {
	o := Options{Bias: map[int32]float32{0: 5}, Suppress: []int32{1}}
	s := newSampler(t, 3, o)
	o.Bias[2], o.Suppress[0] = 100, 0
	if id, err := s.Sample([]float32{1, 2, 3}, 0); id != 0 || err != nil {
		t.Errorf("%d, %v", id, err)
	}
}

// naive is the chain as doc.go states it, in the plainest way: sort everything, cut, and sort again.
func naive(logits []float32, o Options) []int32 {
	type pair struct {
		id int32
		l  float64
	}
	var c []pair
	for id, l := range logits {
		if l != mask {
			c = append(c, pair{int32(id), float64(l)})
		}
	}
	softmax := func() []float64 {
		p, sum := make([]float64, len(c)), 0.0
		for i := range c {
			p[i] = math.Exp(c[i].l - 100)
			sum += p[i]
		}
		for i := range p {
			p[i] /= sum
		}
		return p
	}
	descending := func(a, b pair) int {
		if a.l != b.l {
			if a.l > b.l {
				return -1
			}
			return 1
		}
		return int(a.id - b.id)
	}
	cut := func(share float64) {
		sum := 0.0
		for i, p := range softmax() {
			if sum += p; sum >= share {
				c = c[:i+1]
				return
			}
		}
	}
	slices.SortFunc(c, descending)
	if o.TopK > 0 && o.TopK < len(c) {
		c = c[:o.TopK]
	}
	if o.Typical > 0 && o.Typical < 1 {
		entropy := 0.0
		for _, p := range softmax() {
			entropy -= p * math.Log(p)
		}
		p := softmax()
		surprise := map[int32]float64{}
		for i := range c {
			surprise[c[i].id] = math.Abs(-math.Log(p[i]) - entropy)
		}
		slices.SortStableFunc(c, func(a, b pair) int {
			switch d := surprise[a.id] - surprise[b.id]; {
			case math.Abs(d) < 1e-12:
				return descending(a, b)
			case d < 0:
				return -1
			}
			return 1
		})
		// Of the sorted ids, the shortest prefix that holds the share.
		p, sum := softmax(), 0.0
		for i := range p {
			if sum += p[i]; sum >= o.Typical {
				c = c[:i+1]
				break
			}
		}
	}
	slices.SortFunc(c, descending)
	if o.TopP > 0 && o.TopP < 1 {
		cut(o.TopP)
	}
	if o.MinP > 0 {
		p := softmax()
		n := 0
		for i := range p {
			if p[i] >= o.MinP*p[0] {
				n++
			}
		}
		c = c[:n]
	}
	var ids []int32
	for _, e := range c {
		ids = append(ids, e.id)
	}
	slices.Sort(ids)
	return ids
}

func TestFiltersAgreeWithTheNaiveChain(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	pick := func(v ...float64) float64 { return v[r.IntN(len(v))] }
	for i := range 3000 {
		n := 1 + r.IntN(200)
		logits := make([]float32, n)
		for j := range logits {
			logits[j] = float32(r.NormFloat64() * 3)
			if r.IntN(10) == 0 {
				logits[j] = float32(r.IntN(3))
			}
			if r.IntN(10) == 0 && j > 0 {
				logits[j] = mask
			}
		}
		o := Options{
			Temperature: 1,
			TopK:        int(pick(0, 0, 1, 5, 40, 150)),
			TopP:        pick(0, 0, 0.1234567, 0.5111, 0.9012, 0.9912, 0.9999),
			Typical:     pick(0, 0, 0, 0.201, 0.503, 0.951),
			MinP:        pick(0, 0, 0.0101, 0.1003, 0.5007),
		}
		if got, want := sortedIDs(survivors(t, logits, o)), naive(logits, o); !slices.Equal(got, want) {
			t.Fatalf("case %d, %+v: survivors\n%v, want\n%v", i, o, got, want)
		}
	}
}

func TestExpIsCorrectToTheLastBits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 200000 {
		x := -r.Float64() * 708
		if i%2 == 0 {
			x = -r.Float64() * 3
		}
		if got, want := exp(x), math.Exp(x); math.Abs(got-want) > want*5e-16 {
			t.Fatalf("exp(%v) = %v, want %v", x, got, want)
		}
	}
	for _, c := range []struct{ x, want float64 }{{0, 1}, {math.Copysign(0, -1), 1}, {-708.1, 0}, {-1e300, 0}, {math.Inf(-1), 0}} {
		if got := exp(c.x); got != c.want {
			t.Errorf("exp(%v) = %v, want %v", c.x, got, c.want)
		}
	}
	if got := exp(-708); got < 3e-308 {
		t.Errorf("exp(-708) = %v", got)
	}
}

func TestSampleAllocatesNothing(t *testing.T) {
	logits := scattered(5000, 1)
	for _, o := range []Options{{}, Default(), {Temperature: 1}, {Temperature: 1, TopP: 0.9, Typical: 0.9, MinP: 0.1},
		{Temperature: 1, TopK: 20, RepeatPenalty: 1.1, PenaltyWindow: 10, Suppress: []int32{1}, Bias: map[int32]float32{1: 1}}} {
		s := newSampler(t, len(logits), o)
		if n := testing.AllocsPerRun(20, func() {
			id, _ := s.Sample(logits, 0)
			s.Accept(id)
		}); n != 0 {
			t.Errorf("%+v: %v allocations", o, n)
		}
	}
}

func FuzzSample(f *testing.F) {
	f.Add([]byte{0, 0, 128, 63, 0, 0, 0, 64, 0, 0, 192, 255}, uint8(2), 1.0, 0.9, 0.1, 0.5, 1.1, 0.2, int8(0))
	f.Add([]byte{0, 0, 128, 255, 0, 0, 128, 127}, uint8(0), 0.0, 0.0, 0.0, 0.0, 0.0, -1e38, int8(1))
	f.Fuzz(func(t *testing.T, raw []byte, topK uint8, temperature, topP, minP, typical, repeat, presence float64, edited int8) {
		n := len(raw) / 4
		logits := make([]float32, n)
		for i := range logits {
			b := raw[4*i:]
			logits[i] = math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
		}
		o := Options{Temperature: temperature, TopK: int(topK), TopP: topP, MinP: minP, Typical: typical, RepeatPenalty: repeat,
			PresencePenalty: presence, FrequencyPenalty: presence, PenaltyWindow: 3, Seed: uint64(topK)}
		if edited >= 0 {
			o.Bias = map[int32]float32{int32(edited): float32(presence)}
			o.Suppress = []int32{int32(edited) / 2}
		}
		a, err := New(n, o)
		if err != nil {
			return
		}
		b := newSampler(t, n, o)
		before := slices.Clone(logits)
		for i := range 4 {
			id, err := a.Sample(logits, i)
			again, err2 := b.Sample(logits, i)
			if id != again || (err == nil) != (err2 == nil) {
				t.Fatalf("%d (%v) and %d (%v)", id, err, again, err2)
			}
			if err != nil {
				return
			}
			if id < 0 || int(id) >= n || slices.Contains(o.Suppress, id) || !finite(logits[id]) {
				t.Fatalf("picked %d of %v with %+v", id, logits, o)
			}
			sum := 0.0
			for _, p := range a.Distribution() {
				if !(p >= 0 && p <= 1) {
					t.Fatalf("probability %v", p)
				}
				sum += p
			}
			if math.Abs(sum-1) > 1e-9 || a.Probability(id) == 0 {
				t.Fatalf("probabilities add up to %v, that of %d is %v", sum, id, a.Probability(id))
			}
			a.Accept(id)
			b.Accept(id)
		}
		for i := range before {
			if math.Float32bits(before[i]) != math.Float32bits(logits[i]) {
				t.Fatal("the caller's logits have changed")
			}
		}
		TopLogProbs(logits, int(topK))
	})
}

func TestOverridesChangeTheFieldsThatAreSet(t *testing.T) {
	advice := Options{Temperature: 0.6, TopK: 64, TopP: 0.95, MinP: 0.1, Typical: 0.8, RepeatPenalty: 1.1, FrequencyPenalty: 0.2,
		PresencePenalty: 0.3, PenaltyWindow: 10, Bias: map[int32]float32{1: 1, 2: 2}, Suppress: []int32{7}, Seed: 5}
	changed := func(change func(*Options)) Options {
		o := advice
		o.Bias, o.Suppress = maps.Clone(o.Bias), slices.Clone(o.Suppress)
		change(&o)
		return o
	}
	for name, c := range map[string]struct {
		v      Overrides
		change func(*Options)
	}{
		"nothing":           {Overrides{}, func(*Options) {}},
		"temperature":       {Overrides{Temperature: new(0.0)}, func(o *Options) { o.Temperature = 0 }},
		"top-k":             {Overrides{TopK: new(0)}, func(o *Options) { o.TopK = 0 }},
		"top-p":             {Overrides{TopP: new(1.0)}, func(o *Options) { o.TopP = 1 }},
		"min-p":             {Overrides{MinP: new(0.0)}, func(o *Options) { o.MinP = 0 }},
		"typical":           {Overrides{Typical: new(0.0)}, func(o *Options) { o.Typical = 0 }},
		"repeat penalty":    {Overrides{RepeatPenalty: new(2.0)}, func(o *Options) { o.RepeatPenalty = 2 }},
		"frequency penalty": {Overrides{FrequencyPenalty: new(2.0)}, func(o *Options) { o.FrequencyPenalty = 2 }},
		"presence penalty":  {Overrides{PresencePenalty: new(2.0)}, func(o *Options) { o.PresencePenalty = 2 }},
		"penalty window":    {Overrides{PenaltyWindow: new(2)}, func(o *Options) { o.PenaltyWindow = 2 }},
		"seed":              {Overrides{Seed: new(uint64(0))}, func(o *Options) { o.Seed = 0 }},
		"bias": {Overrides{Bias: map[int32]float32{2: 0, 3: 3}},
			func(o *Options) { o.Bias = map[int32]float32{1: 1, 2: 0, 3: 3} }},
		"suppress": {Overrides{Suppress: []int32{9}}, func(o *Options) { o.Suppress = []int32{7, 9} }},
	} {
		got, want := advice.With(c.v), changed(c.change)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, want %+v", name, got, want)
		}
	}
	// Each field of Options has its override.
	for _, f := range reflect.VisibleFields(reflect.TypeFor[Options]()) {
		if v, ok := reflect.TypeFor[Overrides]().FieldByName(f.Name); !ok || v.Type != f.Type && v.Type != reflect.PointerTo(f.Type) {
			t.Errorf("%s %v has no override", f.Name, f.Type)
		}
	}
}

func TestWithSharesNoMemory(t *testing.T) {
	o := Options{Bias: map[int32]float32{1: 1}, Suppress: make([]int32, 1, 8)}
	v := Overrides{Bias: map[int32]float32{2: 2}, Suppress: make([]int32, 1, 8)}
	for _, got := range []Options{o.With(v), o.With(Overrides{}), Options{}.With(v)} {
		got.Bias[1], got.Bias[2], got.Suppress[0] = 9, 9, 9
		_ = append(got.Suppress, 9)
	}
	if o.Bias[1] != 1 || len(o.Bias) != 1 || v.Bias[2] != 2 || len(v.Bias) != 1 || o.Suppress[0] != 0 || v.Suppress[0] != 0 ||
		o.Suppress[:2][1] != 0 {
		t.Errorf("%v, %v", o, v)
	}
}

// The mean of equal weights can be rounded to more than each of them, and then a share of nearly nothing left none of them.
func TestSmallestSharesLeaveACandidate(t *testing.T) {
	logits := []float32{0.5057246, 0.5057246, 1.2667966, 0.5057246}
	for _, o := range []Options{
		{Temperature: 1, Typical: 0.5, TopP: 1e-20},
		{Temperature: 1, Typical: 0.5, TopP: 5e-324, MinP: 1},
		{Temperature: 5e-324, Typical: 5e-324, TopP: 5e-324, MinP: 5e-324},
	} {
		s, err := New(len(logits), o)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := s.Sample(logits, 0); err != nil || s.Probability(id) <= 0 {
			t.Errorf("%+v: %d with probability %v, %v", o, id, s.Probability(id), err)
		}
	}
}
