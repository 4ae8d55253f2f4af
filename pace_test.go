package gemma4

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// simulatedSteps is a machine of which is known what its steps take, in steps of 1.
type simulatedSteps struct {
	steps []float64 // of 1, 2, 3 … positions; longer ones follow as the last two do
	price float64   // of drafting a token
	noise bool      // 30% up or down, and every twentieth takes ten times as long
	deep  float64   // how much longer all steps take after 4096 tokens
	rnd   *rand.Rand
	text  int // tokens until now
}

func (m *simulatedSteps) of(n int) float64 {
	last := len(m.steps)
	if n <= last {
		return m.steps[n-1]
	}
	return m.steps[last-1] + float64(n-last)*(m.steps[last-1]-m.steps[last-2])
}

const stepOf1 = 20 * time.Millisecond

func (m *simulatedSteps) measured(took float64) time.Duration {
	took *= 1 + m.deep*float64(m.text)/4096
	if m.noise {
		took *= 0.7 + 0.6*m.rnd.Float64()
		if m.rnd.IntN(20) == 0 {
			took *= 10
		}
	}
	return time.Duration(took * float64(stepOf1))
}

// steps of the levels, as they are and as they should become.
var simulatedLevels = map[string][]float64{
	"avx2":          {1, 1.2, 1.5, 1.76, 2.01, 2.26, 2.51, 2.76},
	"avx2 wanted":   {1, 1.11, 1.23, 1.35, 1.56, 1.77, 1.99, 2.2},
	"avx512":        {1, 1.08, 1.16, 1.24, 1.38, 1.52, 1.66, 1.8},
	"avx512 wanted": {1, 1.04, 1.08, 1.12, 1.22, 1.31, 1.41, 1.5},
	"neon":          {1, 1.5, 2, 2.6, 3.1, 3.6, 4.2, 4.7},
	"by fours":      {1, 1.3, 1.3, 1.3, 1.9, 1.9, 1.9, 1.9},
	"no gain":       {1, 2, 3, 4, 5, 6, 7, 8},
}

// likely is how likely a token is right, by its place in the text and in the draft.
type likely func(text, place int) float64

func always(a float64) likely { return func(int, int) float64 { return a } }

// luck is the same for a token whoever drafts it.
func luck(seed uint64, text int) float64 {
	return rand.New(rand.NewPCG(seed, uint64(text))).Float64()
}

func (m *simulatedSteps) right(seed uint64, text, k int, a likely) int {
	for i := range k {
		if luck(seed, text+i) >= a(text+i, i) {
			return i
		}
	}
	return k
}

// fixed returns the speed of drafts of k over none.
func (m *simulatedSteps) fixed(seed uint64, tokens, k int, a likely) float64 {
	clock, text := 0.0, 0
	for text < tokens {
		clock += m.of(1+k) + float64(k)*m.price
		text += 1 + m.right(seed, text, k, a)
	}
	return float64(text) / clock
}

// paced returns the speed of a pace.
func (m *simulatedSteps) paced(p *pace, seed uint64, tokens int, a likely) float64 {
	clock := 0.0
	m.rnd, m.text = rand.New(rand.NewPCG(seed, 1)), 0
	for m.text < tokens {
		k := p.length(mostDraft, stepShare{})
		if k > 0 {
			clock += float64(k) * m.price
			p.drafted(k, m.measured(float64(k)*m.price))
		}
		clock += m.of(1 + k)
		p.costs.add(1+k, m.measured(m.of(1+k)))
		n := m.right(seed, m.text, k, a)
		p.checked(k, n, nil)
		m.text += 1 + n
	}
	return float64(m.text) / clock
}

var acceptances = map[string]likely{
	"never":         always(0),
	"0.3":           always(0.3),
	"0.5":           always(0.5),
	"0.7":           always(0.7),
	"0.9":           always(0.9),
	"1":             always(1),
	"in turns":      func(text, _ int) float64 { return float64(text/700%2) * 0.9 },
	"less and less": func(_, place int) float64 { return [...]float64{0.95, 0.9, 0.5, 0.3, 0.2, 0.1, 0.1}[place] },
	"after a first": func(_, place int) float64 { return [...]float64{0.4, 0.8, 0.95, 0.95, 0.95, 0.95, 0.95}[place] },
}

// TestAPaceIsNeverSlowerThanNoDraftsAndAboutAsFastAsTheBestLength: on all levels, with drafters of all prices and habits.
func TestAPaceIsNeverSlowerThanNoDraftsAndAboutAsFastAsTheBestLength(t *testing.T) {
	const tokens, seeds = 4000, 2
	for level, steps := range simulatedLevels {
		for _, price := range []float64{0, 0.025, 0.4, 3} {
			for accepted, a := range acceptances {
				for _, noise := range []bool{false, true} {
					m := &simulatedSteps{steps: steps, price: price, deep: 1, noise: noise}
					best := 0.0
					for k := range mostDraft + 1 {
						best = max(best, m.fixed(1, tokens, k, a))
					}
					least, share := 0.98, 0.92 // of one run, of the mean of all
					if noise {
						least, share = 0.75, 0.85
					}
					mean := 0.0
					for seed := range uint64(seeds) {
						s := m.paced(newPace(newStepCosts()), seed, tokens, a)
						if mean += s / seeds; s < least {
							t.Errorf("%s, a token drafted for %v, accepted: %s, noise %v: %.3f times the speed without drafts",
								level, price, accepted, noise, s)
						}
					}
					if mean < share*best {
						t.Errorf("%s, a token drafted for %v, accepted: %s, noise %v: %.3f times the speed without drafts, "+
							"%.3f are possible", level, price, accepted, noise, mean, best)
					}
				}
			}
		}
	}
}

func TestDraftsReachTheSpeedsThatLevelsAllow(t *testing.T) {
	for _, test := range []struct {
		level string
		price float64
		want  map[string]float64
	}{
		{"avx512 wanted", 0.025, map[string]float64{"0.5": 1.4, "0.7": 1.9, "0.9": 2.8}},
		{"avx512 wanted", 0, map[string]float64{"0.5": 1.5, "0.7": 2, "0.9": 3.1}},
		{"avx2 wanted", 0.025, map[string]float64{"0.5": 1.25, "0.7": 1.65, "0.9": 2.25}},
		{"avx2 wanted", 0, map[string]float64{"0.5": 1.25, "0.7": 1.65, "0.9": 2.25}},
		{"avx512", 0.025, map[string]float64{"0.5": 1.35, "0.7": 1.85, "0.9": 2.7}},
	} {
		for accepted, want := range test.want {
			m := &simulatedSteps{steps: simulatedLevels[test.level], price: test.price}
			if s := m.paced(newPace(newStepCosts()), 1, 4000, acceptances[accepted]); s < want {
				t.Errorf("%s, a token drafted for %v, accepted: %s: %.3f times the speed without drafts, expected %v",
					test.level, test.price, accepted, s, want)
			}
		}
	}
}

func TestADrafterThatIsNeverRightCostsLittleWhateverItsPrice(t *testing.T) {
	for level, steps := range simulatedLevels {
		for _, price := range []float64{0, 0.02, 0.4, 2, 10} {
			tokens := int(1000 * max(1, price)) // the first draft shows the price, and counts
			m := &simulatedSteps{steps: steps, price: price}
			if s := m.paced(newPace(newStepCosts()), 1, tokens, always(0)); s < 0.98 {
				t.Errorf("%s, a token drafted for %v: %.3f times the speed without drafts", level, price, s)
			}
		}
	}
}

func TestAPaceNoticesThatTextTurns(t *testing.T) {
	for level, steps := range simulatedLevels {
		for _, price := range []float64{0, 0.025, 0.4} {
			m := &simulatedSteps{steps: steps, price: price}
			for k := range mostDraft + 1 {
				if m.fixed(1, 1000, k, always(0.9)) > 1.2 {
					p := newPace(newStepCosts())
					m.paced(p, 1, 3000, always(0))
					if s := m.paced(p, 2, 1000, always(0.9)); s < 1.05 {
						t.Errorf("%s, a token drafted for %v: %.3f times the speed without drafts", level, price, s)
					}
					if s := m.paced(p, 3, 200, always(0)); s < 0.8 {
						t.Errorf("%s, a token drafted for %v: %.3f times the speed without drafts, as it turns back", level, price, s)
					}
					break
				}
			}
		}
	}
}

func TestAPaceOfAnHeirStartsWithWhatIsKnown(t *testing.T) {
	m := &simulatedSteps{steps: simulatedLevels["avx2"], price: 0.4}
	p := newPace(newStepCosts())
	m.paced(p, 1, 2000, always(0))
	if s := m.paced(p.heir(), 1, 100, always(0)); s < 0.98 {
		t.Errorf("never right: %.3f times the speed without drafts in the first 100 tokens", s)
	}
	p = newPace(newStepCosts())
	m.price = 0
	m.paced(p, 1, 2000, always(1))
	if s := m.paced(p.heir(), 1, 100, always(1)); s < 2.5 {
		t.Errorf("always right: %.3f times the speed without drafts in the first 100 tokens", s)
	}
}

// together returns the speed of streams that share steps over that of none of them drafting, and that of the best fixed length.
func (m *simulatedSteps) together(streams, tokens int, a func(stream int) likely) (speed, best float64) {
	costs := newStepCosts()
	paces, shares, text := make([]*pace, streams), make([]stepShare, streams), make([]int, streams)
	for i := range paces {
		paces[i], shares[i] = newPace(costs), stepShare{1, 1, 1, 0}
	}
	m.rnd, m.text = rand.New(rand.NewPCG(1, 1)), 0
	clock, all := 0.0, 0
	for all < tokens*streams {
		n, drafts, next := 0, make([]int, streams), make([]stepShare, streams)
		for i, p := range paces {
			var others stepShare
			for j, s := range shares {
				if j != i {
					others = others.with(s)
				}
			}
			k := p.length(mostDraft, others)
			clock += float64(k) * m.price
			p.drafted(k, m.measured(float64(k)*m.price))
			drafts[i], next[i] = k, p.share()
			n += 1 + k
		}
		shares = next
		clock += m.of(n)
		costs.add(n, m.measured(m.of(n)))
		for i, p := range paces {
			r := m.right(uint64(i), text[i], drafts[i], a(i))
			p.checked(drafts[i], r, nil)
			text[i] += 1 + r
			all += 1 + r
		}
		m.text = all / streams
	}
	for k := range mostDraft + 1 {
		clock, all := 0.0, 0
		text := make([]int, streams)
		for all < tokens*streams {
			clock += m.of(streams*(1+k)) + float64(streams*k)*m.price
			for i := range text {
				r := m.right(uint64(i), text[i], k, a(i))
				text[i] += 1 + r
				all += 1 + r
			}
		}
		best = max(best, float64(all)/clock)
	}
	plain := float64(streams) / m.of(streams)
	return float64(all) / clock / plain, best / plain
}

func TestStreamsThatShareStepsDraftForTheGoodOfAll(t *testing.T) {
	for _, level := range []string{"avx2", "avx2 wanted", "avx512", "avx512 wanted"} {
		for _, streams := range []int{2, 8} {
			for _, price := range []float64{0, 0.025} {
				for accepted, a := range acceptances {
					m := &simulatedSteps{steps: simulatedLevels[level], price: price}
					speed, best := m.together(streams, 2500, func(int) likely { return a })
					if speed < 0.97 || speed < 0.9*best {
						t.Errorf("%d streams, %s, a token drafted for %v, accepted: %s: %.3f times the speed without drafts, "+
							"%.3f are possible", streams, level, price, accepted, speed, best)
					}
				}
				m := &simulatedSteps{steps: simulatedLevels[level], price: price}
				if speed, best := m.together(streams, 2500, func(i int) likely { return always(float64(i % 2)) }); speed < best {
					t.Errorf("%d streams, %s, a token drafted for %v, half of them never right: %.3f times the speed without drafts, "+
						"%.3f are possible with the same length for all", streams, level, price, speed, best)
				}
			}
		}
	}
}

// TestADraftEndsWhereTheDrafterIsUnsure: it is faster for that.
func TestADraftEndsWhereTheDrafterIsUnsure(t *testing.T) {
	const tokens = 4000
	sure := func(text int) float64 { // what the drafter says, somewhat too sure
		return []float64{0.95, 0.3}[int(luck(99, text)*3)/2]
	}
	a := func(text, _ int) float64 { return sure(text) * 0.9 }
	for _, level := range []string{"avx2", "avx2 wanted", "avx512", "avx512 wanted"} {
		m := &simulatedSteps{steps: simulatedLevels[level], price: 0.025}
		blind := m.paced(newPace(newStepCosts()), 1, tokens, a)
		p, clock, text := newPace(newStepCosts()), 0.0, 0
		for text < tokens {
			limit := p.length(mostDraft, stepShare{})
			var told []float64
			for len(told) < limit && p.worth(told) {
				told = append(told, sure(text+len(told)))
			}
			clock += float64(len(told)) * m.price
			p.drafted(len(told), m.measured(float64(len(told))*m.price))
			k := p.cut(told)
			clock += m.of(1 + k)
			p.costs.add(1+k, m.measured(m.of(1+k)))
			all := m.right(1, text, len(told), a)
			n := min(all, k)
			p.checked(min(len(told), n+1), all, told) // that one behind those checked is compared with the text as well
			text += 1 + n
		}
		if s := float64(text) / clock; s < blind {
			t.Errorf("%s: %.3f times the speed without drafts, %.3f for drafts of a length", level, s, blind)
		}
	}
}

func TestStepsCostWhatWasMeasured(t *testing.T) {
	for _, test := range []struct {
		name   string
		passes [][2]float64 // positions, milliseconds
		want   map[int]float64
	}{
		{"nothing", nil, map[int]float64{1: 0, 8: 0, 1000: 0}},
		{"one length", [][2]float64{{1, 20}}, map[int]float64{1: 20, 4: 35, 8: 55}},
		{"one length of several streams", [][2]float64{{8, 55}}, map[int]float64{1: 20, 8: 55, 9: 60}},
		{"what lies between and behind", [][2]float64{{1, 20}, {1, 20}, {5, 30}}, map[int]float64{1: 20, 3: 25, 5: 30, 9: 40, 64: 177.5}},
		{"between knots", [][2]float64{{1, 20}, {8, 30}, {20, 60}, {1, 20}, {8, 30}, {20, 60}}, map[int]float64{20: 60}},
		{"longer ones that were faster", [][2]float64{{1, 20}, {2, 30}, {3, 26}}, map[int]float64{1: 20, 2: 28, 3: 28}},
		{"a slow first one", [][2]float64{{1, 900}, {1, 20}, {1, 20}}, map[int]float64{1: 20, 4: 35}},
		{"no time", [][2]float64{{1, 0}, {1, -5}, {0, 7}, {-1, 7}}, map[int]float64{1: 0}},
		{"more than a step has", [][2]float64{{1, 20}, {4096, 9000}}, map[int]float64{1: 20}},
	} {
		c := newStepCosts()
		for _, p := range test.passes {
			c.add(int(p[0]), time.Duration(p[1]*float64(time.Millisecond)))
		}
		for n, want := range test.want {
			if got := c.of(n).Seconds() * 1000; math.Abs(got-want) > 0.02*want {
				t.Errorf("%s: a step of %d takes %.2f ms, expected %v", test.name, n, got, want)
			}
		}
	}
}

// TestCostsKeepTheirRatiosWhileTextsGrow: though one length is hardly ever measured.
func TestCostsKeepTheirRatiosWhileTextsGrow(t *testing.T) {
	c := newStepCosts()
	for i := range 4000 {
		d := stepOf1 + stepOf1*time.Duration(i)/2000
		if i < 10 || i%500 == 0 {
			c.add(1, d)
		} else {
			c.add(4, d*3/2)
		}
	}
	if r := float64(c.of(4)) / float64(c.of(1)); math.Abs(r-1.5) > 0.05 {
		t.Errorf("a step of 4 takes %.3f of 1, expected 1.5", r)
	}
	if d := c.of(4).Seconds() / (4.5 * stepOf1.Seconds()); math.Abs(d-1) > 0.05 {
		t.Errorf("a step of 4 is %.3f of what it was last", d)
	}
}

func TestAPaceBearsAnything(t *testing.T) {
	durations := []time.Duration{0, -1, math.MinInt64, 1, time.Millisecond, math.MaxInt64}
	counts := []int{0, 1, -1, 2, 3, 7, 8, 64, 65, math.MaxInt, math.MinInt}
	rnd := rand.New(rand.NewPCG(1, 2))
	c := newStepCosts()
	p := newPace(c)
	for range 20000 {
		n := counts[rnd.IntN(len(counts))]
		c.add(n, durations[rnd.IntN(len(durations))])
		if d := c.of(n); d < 0 {
			t.Fatalf("a step of %d takes %v", n, d)
		}
		others := stepShare{rnd.IntN(3), rnd.IntN(100), float64(rnd.IntN(100)), durations[rnd.IntN(len(durations))]}
		most := counts[rnd.IntN(len(counts))]
		k := p.length(most, others)
		if k < 0 || k > max(0, min(most, mostDraft)) || math.IsNaN(p.gain()) || math.IsInf(p.gain(), 0) {
			t.Fatalf("%d tokens of %d, %v times as fast", k, most, p.gain())
		}
		told := []float64{rnd.Float64(), math.NaN(), -1, math.Inf(1), 0, 1, 2, 3, 4}[:rnd.IntN(10)]
		p.worth(told)
		if n := p.cut(told); n < 0 || n > len(told) {
			t.Fatalf("%d of %d tokens", n, len(told))
		}
		p.drafted(counts[rnd.IntN(len(counts))], durations[rnd.IntN(len(durations))])
		p.checked(counts[rnd.IntN(len(counts))], counts[rnd.IntN(len(counts))], told)
	}
}

func TestDraftStatsAreSumsBySource(t *testing.T) {
	sums := addDrafts(nil, DraftStats{"drafter", 2, 6, 3, time.Second}, DraftStats{"lookup", 1, 7, 7, 0})
	sums = addDrafts(sums, DraftStats{"drafter", 2, 2, 1, time.Second})
	if want := []DraftStats{{"drafter", 4, 8, 4, 2 * time.Second}, {"lookup", 1, 7, 7, 0}}; !slices.Equal(sums, want) {
		t.Errorf("%v, expected %v", sums, want)
	}
	if a, n := sums[0].Acceptance(), sums[0].PerPass(); a != 0.5 || n != 2 {
		t.Errorf("acceptance %v, %v tokens per pass, expected 0.5 and 2", a, n)
	}
	if a, n := (DraftStats{}).Acceptance(), (DraftStats{}).PerPass(); a != 0 || n != 1 {
		t.Errorf("of nothing: acceptance %v, %v tokens per pass", a, n)
	}
}

// TestASourceThatIsSeldomSureIsOff: of what it drafts hardly anything is worth a check, so that what was checked tells little.
func TestASourceThatIsSeldomSureIsOff(t *testing.T) {
	c := newStepCosts()
	for i := range 100 {
		c.add(1+i%8, time.Duration(100+20*(i%8))*time.Millisecond)
	}
	p := newPace(c)
	asked := 0
	for i := range 2000 {
		k := p.length(mostDraft, stepShare{})
		if k == 0 {
			continue
		}
		asked++
		told := []float64{0.02}
		sure := i < 200 // at first
		if sure {
			told[0] = 0.95
		}
		p.drafted(1, 8*time.Millisecond)
		if n := p.cut(told); n > 0 {
			right := 0
			if sure {
				right = 1
			}
			p.checked(1, right, told)
		}
	}
	if asked > 600 {
		t.Errorf("asked for %d of 2000 steps", asked)
	}
}

// TestASourceOfFewTokensIsOffToo: what steps of the first length cost is not known where a source never gives so many.
func TestASourceOfFewTokensIsOffToo(t *testing.T) {
	for _, most := range []int{1, 2, mostDraft} {
		c := newStepCosts()
		p := newPace(c)
		asked := 0
		for range 1000 {
			k := p.length(most, stepShare{})
			if k == 0 {
				c.add(1, 100*time.Millisecond)
				continue
			}
			asked++
			p.drafted(1, 8*time.Millisecond)
			p.checked(1, 0, nil)
			c.add(2, 120*time.Millisecond)
		}
		if asked > 100 {
			t.Errorf("at most %d: asked for %d of 1000 steps, and never right", most, asked)
		}
	}
}
