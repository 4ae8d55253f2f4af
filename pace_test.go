package gemma4

import (
	"math/rand/v2"
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

// TestAPaceIsNeverMuchSlowerThanTheBestLengthOrNone: on all levels, with drafters of all prices and habits.
func TestAPaceIsNeverMuchSlowerThanTheBestLengthOrNone(t *testing.T) {
	const tokens, seeds = 4000, 4
	for level, steps := range simulatedLevels {
		for _, price := range []float64{0, 0.025, 0.4, 3} {
			for accepted, a := range acceptances {
				m := &simulatedSteps{steps: steps, price: price, deep: 1}
				best := 0.0
				for k := range mostDraft + 1 {
					best = max(best, m.fixed(1, 5*tokens, k, a))
				}
				mean := 0.0
				for seed := range uint64(seeds) {
					s := m.paced(newPace(newStepCosts()), seed, tokens, a)
					if s < 0.98 {
						t.Errorf("%s, a token drafted for %v, accepted: %s: %.3f times the speed without drafts", level, price, accepted, s)
					}
					mean += s / seeds
				}
				if mean < 0.92*best {
					t.Errorf("%s, a token drafted for %v, accepted: %s: %.3f times the speed without drafts, %.3f are possible",
						level, price, accepted, mean, best)
				}
			}
		}
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
