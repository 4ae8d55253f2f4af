package sampler

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
)

// law is the winner as doc.go states it, in the plainest way.
func law(logits []float32, temperature float64, seed uint64, position int) int32 {
	const gamma = 0x9e3779b97f4a7c15
	mix := func(z uint64) uint64 {
		z ^= z >> 30
		z *= 0xbf58476d1ce4e5b9
		z ^= z >> 27
		z *= 0x94d049bb133111eb
		z ^= z >> 31
		return z
	}
	base := mix(mix(seed) + gamma*uint64(position))
	highest := slices.Max(logits)
	winner, best := int32(-1), math.Inf(-1)
	for id, l := range logits {
		n := mix(base + gamma*uint64(id+1))
		u := (float64(n/4096) + 0.5) / (1 << 52)
		score := (float64(l)-float64(highest))/temperature - math.Log(-math.Log(u))
		if score > best {
			winner, best = int32(id), score
		}
	}
	return winner
}

func TestTheHighestScoreWins(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	temperatures := []float64{1, 0.7, 3, 0.01, 1e-300, 5e-324, 1e30, math.MaxFloat32}
	for i := range 3000 {
		logits := make([]float32, 1+r.IntN(500))
		for j := range logits {
			switch i % 4 {
			case 0: // a bell
				logits[j] = float32(r.NormFloat64() * 5)
			case 1: // equals
			case 2: // rising
				logits[j] = float32(j) / 8
			case 3: // the widest
				logits[j] = float32((r.Float64()*2 - 1) * math.MaxFloat32)
			}
		}
		o := Options{Temperature: temperatures[r.IntN(len(temperatures))], Seed: r.Uint64()}
		position := r.IntN(1 << 20)
		got, err := newSampler(t, len(logits), o).Sample(logits, position)
		if want := law(logits, o.Temperature, o.Seed, position); got != want || err != nil {
			t.Fatalf("case %d, temperature %v: %d (%v), want %d", i, o.Temperature, got, err, want)
		}
	}
	bell := modelLogits()
	for position := range 20 {
		for _, o := range []Options{{Temperature: 1}, {Temperature: 20}} {
			got, _ := newSampler(t, len(bell), o).Sample(bell, position)
			if want := law(bell, o.Temperature, 0, position); got != want {
				t.Errorf("position %d of a vocabulary of %d: %d, want %d", position, len(bell), got, want)
			}
		}
	}
}

func TestNoNoiseReachesItsCeiling(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for ones := range 65 {
		for range 2000 {
			n := ^(r.Uint64()>>1>>(ones) | 1<<63>>ones) // begins with that many ones
			if g, c := gumbel(n), ceiling(n)-0.9e-9; !(g <= c) || ones < 40 && g < c-4 {
				t.Fatalf("%#x: noise %v, ceiling %v", n, g, c)
			}
		}
	}
	for _, c := range []struct {
		n    uint64
		want float64
	}{{0, -3.6037790}, {math.MaxUint64, 36.7368005}, {1 << 63, 0.3665129}} {
		if got := gumbel(c.n); math.Abs(got-c.want) > 1e-7 {
			t.Errorf("gumbel(%#x) = %v, want %v", c.n, got, c.want)
		}
	}
}

// chiSquare compares counts that should be equal. It is about as large as their number, and exceeds the limit once in 10⁴ times.
func chiSquare(t *testing.T, what string, counts []float64) {
	t.Helper()
	sum, chi := 0.0, 0.0
	for _, n := range counts {
		sum += n
	}
	want := sum / float64(len(counts))
	for _, n := range counts {
		chi += (n - want) * (n - want) / want
	}
	free := float64(len(counts) - 1)
	limit := free * math.Pow(1-2/(9*free)+3.72*math.Sqrt(2/(9*free)), 3) // Wilson and Hilferty 1931
	t.Logf("%s: chi² %.1f of %.1f with %g degrees of freedom", what, chi, limit, free)
	if chi > limit {
		t.Errorf("%s: chi² %.1f, want at most %.1f; counts %v", what, chi, limit, counts)
	}
}

// Texts, vocabularies and series of seeds consist of neighbours: none may tell anything about the next.
func TestNoiseOfNeighboursIsIndependent(t *testing.T) {
	at := func(seed uint64, position int, id int32) uint64 { return noise(noiseBase(seed, position), id) }
	for _, c := range []struct {
		name string
		pair func(i int) (a, b uint64)
	}{
		{"ids", func(i int) (a, b uint64) { return at(1, 7, int32(i)), at(1, 7, int32(i+1)) }},
		{"positions", func(i int) (a, b uint64) { return at(1, i, 7), at(1, i+1, 7) }},
		{"seeds", func(i int) (a, b uint64) { return at(uint64(i), 7, 7), at(uint64(i+1), 7, 7) }},
		{"seed and position", func(i int) (a, b uint64) { return at(uint64(i), i+1, 7), at(uint64(i+1), i, 7) }},
		{"position and id", func(i int) (a, b uint64) { return at(3, i, int32(i+1)), at(3, i+1, int32(i)) }},
		{"ids far apart", func(i int) (a, b uint64) { return at(9, i, 5), at(9, i, 5+1<<17) }},
	} {
		for _, bits := range []struct {
			name  string
			shift int
		}{{"the highest bits", 60}, {"the middle bits", 36}, {"the lowest bits", 12}} {
			counts := make([]float64, 256)
			for i := range 1 << 17 {
				a, b := c.pair(i)
				counts[a>>bits.shift&15<<4|b>>bits.shift&15]++
			}
			chiSquare(t, c.name+", "+bits.name, counts)
		}
	}
}

func TestNoiseHasTheGumbelDistribution(t *testing.T) {
	const n = 200000
	for name, at := range map[string]func(i int) uint64{
		"ids":       func(i int) uint64 { return noise(noiseBase(0, 0), int32(i)) },
		"positions": func(i int) uint64 { return noise(noiseBase(0, i), 0) },
		"seeds":     func(i int) uint64 { return noise(noiseBase(uint64(i), 0), 0) },
	} {
		x := make([]float64, n)
		for i := range x {
			x[i] = gumbel(at(i))
		}
		slices.Sort(x)
		gap := 0.0
		for i, g := range x {
			gap = max(gap, math.Abs(math.Exp(-math.Exp(-g))-(float64(i)+0.5)/n))
		}
		if d := gap * math.Sqrt(n); d > 2.2 { // Kolmogorov and Smirnov: exceeded once in 8000 times
			t.Errorf("%s: the distribution is off by %.2f/√n", name, d)
		}
	}
	// The tail that decides among 262144 equals: as many numbers begin with that many ones as should.
	count := make([]float64, 65)
	base := noiseBase(11, 12)
	total := 1 << 26
	if testing.Short() {
		total = 1 << 22
	}
	for id := range int32(total) {
		count[int((ceiling(noise(base, id))-1e-9)/math.Ln2+0.5)]++
	}
	for ones := 12; ones < 20; ones++ {
		beyond := 0.0
		for _, c := range count[ones+1:] {
			beyond += c
		}
		want := float64(total) / float64(int(1)<<ones)
		if math.Abs(beyond-want) > 4*math.Sqrt(want) {
			t.Errorf("%.0f numbers begin with %d ones, want %.0f ± %.0f", beyond, ones, want, math.Sqrt(want))
		}
	}
}

func TestWinnersOfNeighbouringPositionsAndSeedsAreIndependent(t *testing.T) {
	even := make([]float32, 16)
	s := newSampler(t, len(even), Options{Temperature: 1, Seed: 3})
	draw := func(s *Sampler, position int) int {
		id, err := s.Sample(even, position)
		if err != nil {
			t.Fatal(err)
		}
		return int(id)
	}
	positions, seeds := make([]float64, 256), make([]float64, 256)
	before, seedBefore := draw(s, 0), 0
	for i := range 1 << 15 {
		id := draw(s, i+1)
		positions[before<<4|id]++
		before = id
		s.options.Seed = uint64(i)
		seed := draw(s, 100)
		seeds[seedBefore<<4|seed]++
		seedBefore, s.options.Seed = seed, 3
	}
	chiSquare(t, "positions", positions)
	chiSquare(t, "seeds", seeds)
}

func TestEqualsOfAWholeVocabularyWinEquallyOften(t *testing.T) {
	c, _ := every(nil, scores{logits: make([]float32, 1<<18)})
	high, low := make([]float64, 16), make([]float64, 16)
	for position := range 640 {
		id := race(c, 1, noiseBase(1, position))
		high[id>>14]++
		low[id&15]++
	}
	chiSquare(t, "the ids' high bits", high)
	chiSquare(t, "the ids' low bits", low)
}

func TestWhatIsDrawnDependsOnThePositionAlone(t *testing.T) {
	o := Options{Temperature: 2, TopK: 100, TopP: 0.9, Seed: 17}
	inOrder := newSampler(t, 500, o)
	var want []int32
	for i := range 50 {
		id, err := inOrder.Sample(scattered(500, uint64(i)), 1000+i)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, id)
	}
	other := newSampler(t, 500, o)
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(50) {
		other.Sample(scattered(500, 99), 1000+i)
		if id, _ := other.Sample(scattered(500, uint64(i)), 1000+i); id != want[i] {
			t.Errorf("position %d drawn out of order: %d, want %d", 1000+i, id, want[i])
		}
	}
}

// Two races with the same noise agree with a probability of at least (1 − d) / (1 + d), d being the distance in total variation: 0.1 here.
// With noise of their own they would agree in 0.24 of all cases.
func TestADrafterWithNearlyTheSameLogitsDrawsNearlyAlwaysTheSame(t *testing.T) {
	const draws = 20000
	logits, drafter := logs(0.3, 0.3, 0.2, 0.1, 0.1), logs(0.35, 0.25, 0.15, 0.15, 0.1)
	a, b := newSampler(t, 5, Options{Temperature: 1, Seed: 6}), newSampler(t, 5, Options{Temperature: 1, Seed: 6})
	same := 0.0
	for i := range draws {
		x, _ := a.Sample(logits, i)
		if y, _ := b.Sample(drafter, i); x == y {
			same++
		}
	}
	if share := same / draws; share < 0.9/1.1 {
		t.Errorf("%.3f of the draws agree, want %.3f", share, 0.9/1.1)
	}
}

func TestNoiseHasTheseBitsOnEveryMachine(t *testing.T) {
	h := fnv.New64a()
	for i := range 20000 {
		binary.Write(h, binary.LittleEndian, gumbel(noise(noiseBase(uint64(i), i*i), int32(i*7))))
	}
	if got := h.Sum64(); got != 0x929c799dbf28f999 {
		t.Errorf("the bits of 20000 numbers have the hash %#x", got)
	}
}

func TestLogIsCorrectToTheLastBits(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 200000 {
		x := math.Exp(r.Float64()*1400 - 700)
		switch i % 4 {
		case 1:
			x = r.Float64() + 1e-300
		case 2:
			x = 1 - math.Ldexp(r.Float64(), -r.IntN(53))
		case 3:
			x = 1 + math.Ldexp(r.Float64(), -r.IntN(53))
		}
		if x == 0 {
			continue
		}
		want := math.Log(x)
		if math.Abs(x-1) < 0.25 { // math.Log is as exact, but by the same reduction
			d, _ := new(big.Float).Sub(big.NewFloat(x), big.NewFloat(1)).Float64()
			want = math.Log1p(d)
		}
		if got := log(x); math.Abs(got-want) > math.Abs(want)*0x1p-50 {
			t.Fatalf("log(%v) = %v, want %v", x, got, want)
		}
	}
	if log(1) != 0 {
		t.Errorf("log(1) = %v", log(1))
	}
}
