package sampler

import (
	"fmt"
	"iter"
	"math"
	"slices"
)

// A Sampler picks ids from logits. It belongs to one sequence of ids and is not safe for concurrent use.
type Sampler struct {
	// Process, if set, may change the logits between steps 2 and 3 of the chain: a copy of all or, in SampleIDs, of those that are given.
	Process func(logits []float32)

	options    Options
	vocabulary int
	window     int
	biases     []bias
	suppress   []int32

	recent []int32 // the last accepted ids, a ring once it is as long as the window
	oldest int     // where the ring's next id goes
	counts []int32 // [vocabulary], how often an id occurs in recent; nil without penalties

	edited []float32 // room for a copy of the logits after penalties, bias and suppression; nil without these
	buffer []entry   // empty, with room for as many candidates as top-k leaves
	final  []entry   // what the last draw chose among, in buffer
	mass   float64   // sum of final's weights; 0 until somebody asks
}

// New returns a sampler for a vocabulary of this many ids. It keeps no reference to o's map and slice.
func New(vocabulary int, o Options) (*Sampler, error) {
	if err := o.Validate(vocabulary); err != nil {
		return nil, err
	}
	s := &Sampler{
		options:    o,
		vocabulary: vocabulary,
		window:     o.PenaltyWindow,
		biases:     o.biases(),
		suppress:   slices.Clone(o.Suppress),
	}
	s.options.Bias, s.options.Suppress = nil, nil
	if s.window == 0 {
		s.window = DefaultPenaltyWindow
	}
	s.buffer = make([]entry, 0, s.most())
	if o.penalises() || len(o.Bias) > 0 || len(o.Suppress) > 0 {
		s.edited = make([]float32, vocabulary)
	}
	if o.penalises() {
		s.counts = make([]int32, vocabulary)
		s.recent = make([]int32, 0, min(s.window, 4096))
	}
	return s, nil
}

// most returns how many candidates top-k leaves at most.
func (s *Sampler) most() int {
	switch k := s.options.TopK; {
	case s.options.Temperature == 0:
		return 1
	case k == 0:
		return s.vocabulary
	default:
		return min(k, s.vocabulary)
	}
}

// Reset forgets the accepted ids: the sampler is as New made it.
func (s *Sampler) Reset() {
	for _, id := range s.recent {
		s.counts[id] = 0
	}
	s.recent, s.oldest = s.recent[:0], 0
	s.final, s.mass = nil, 0
}

// Accept appends id to what the penalties look back on. Call it with each id that the sequence actually received, whether sampled, forced
// or read; ids outside the vocabulary are ignored. Whether ids of the prompt count is the caller's choice.
func (s *Sampler) Accept(id int32) {
	if s.counts == nil || id < 0 || int(id) >= s.vocabulary {
		return
	}
	s.counts[id]++
	if len(s.recent) < s.window {
		s.recent = append(s.recent, id)
		return
	}
	s.counts[s.recent[s.oldest]]--
	s.recent[s.oldest] = id
	s.oldest++
	if s.oldest == s.window {
		s.oldest = 0
	}
}

// Sample picks the id for a position of the text, by convention the number of ids before it. logits, one per id of the vocabulary, are left
// as they are. It allocates nothing. The errors are [ErrNoCandidate], a logit that is NaN or +Inf, and the wrong number of logits.
func (s *Sampler) Sample(logits []float32, position int) (int32, error) {
	return s.SampleBits(logits, nil, position)
}

// SampleBits is Sample among the ids whose bits are set: 64 to a word, from the lowest bit on. It is as if the logits of all others were
// −Inf from step 3 of the chain on, at hardly any cost. Ids behind its end are not allowed; nil allows every id.
func (s *Sampler) SampleBits(logits []float32, allowed []uint64, position int) (int32, error) {
	if len(logits) != s.vocabulary {
		return 0, fmt.Errorf("sampler: %d logits for a vocabulary of %d", len(logits), s.vocabulary)
	}
	return s.sample(scores{logits: logits, allowed: allowed}, position)
}

// SampleIDs is Sample among these ids, ascending, whose logits alone are given, one for each.
func (s *Sampler) SampleIDs(logits []float32, ids []int32, position int) (int32, error) {
	if len(logits) != len(ids) {
		return 0, fmt.Errorf("sampler: %d logits of %d ids", len(logits), len(ids))
	}
	for i, id := range ids {
		if id < 0 || int(id) >= s.vocabulary || i > 0 && id <= ids[i-1] {
			return 0, fmt.Errorf("sampler: id %d at place %d of a mask: they must ascend within the vocabulary of %d", id, i, s.vocabulary)
		}
	}
	if ids == nil {
		ids = []int32{} // none, not all
	}
	return s.sample(scores{logits: logits, ids: ids}, position)
}

// sample draws from scores.
func (s *Sampler) sample(x scores, position int) (int32, error) {
	s.final, s.mass = nil, 0
	s.edit(&x)
	if s.options.Temperature == 0 {
		return s.greedy(x)
	}
	c, err := s.filter(x)
	if err != nil {
		return 0, err
	}
	s.final = c
	return race(c, s.options.Temperature, noiseBase(s.options.Seed, position)), nil
}

// greedy picks the highest logit, of equal ones the lowest id.
func (s *Sampler) greedy(x scores) (int32, error) {
	best, high := int32(-1), float32(math.Inf(-1))
	for i := above(x.logits, 0, high); i < len(x.logits); i = above(x.logits, i+1, high) {
		l := x.logits[i]
		id, ok := x.at(i)
		if !finite(l) {
			return 0, brokenLogit(id, l)
		}
		if ok {
			best, high = id, l
		}
	}
	if best < 0 {
		return 0, ErrNoCandidate
	}
	s.final, s.mass = append(s.buffer, entry{id: best, logit: high, weight: 1}), 1
	return best, nil
}

// filter returns the candidates that top-k, typical, top-p and min-p leave. There is at least one.
func (s *Sampler) filter(x scores) ([]entry, error) {
	o := &s.options
	var c []entry
	var err error
	if cap(s.buffer) == s.vocabulary {
		c, err = every(s.buffer, x)
	} else {
		c, err = highest(s.buffer, x, cap(s.buffer))
	}
	if err != nil {
		return nil, err
	}
	if len(c) == 0 {
		return nil, ErrNoCandidate
	}
	typical, topP := o.Typical > 0 && o.Typical < 1, o.TopP > 0 && o.TopP < 1
	if typical || topP || o.MinP > 0 {
		weigh(c, 1)
	}
	if typical {
		c = mostTypical(c, o.Typical)
	}
	if topP {
		c = mostLikely(c, o.TopP)
	}
	if o.MinP > 0 {
		c = likelyEnough(c, o.MinP)
	}
	return c, nil
}

// Distribution iterates over the ids that the last Sample chose among, with their probabilities (their sum is 1), in an order
// that is fixed but has no meaning. After a greedy choice that is the one id with probability 1; after an error, nothing.
func (s *Sampler) Distribution() iter.Seq2[int32, float64] {
	return func(yield func(int32, float64) bool) {
		s.weigh()
		for _, e := range s.final {
			if !yield(e.id, e.weight/s.mass) {
				return
			}
		}
	}
}

// Probability returns the probability that id had in the last Sample: 0 if a step of the chain had removed it.
func (s *Sampler) Probability(id int32) float64 {
	s.weigh()
	for _, e := range s.final {
		if e.id == id {
			return e.weight / s.mass
		}
	}
	return 0
}

// weigh gives the final candidates their weights; the draw does without.
func (s *Sampler) weigh() {
	if s.mass == 0 && len(s.final) > 0 {
		s.mass = weigh(s.final, s.options.Temperature)
	}
}

// edit replaces the logits by a copy after penalties, bias and suppression, if there is any of these.
func (s *Sampler) edit(x *scores) {
	if s.edited == nil {
		if s.Process == nil {
			return
		}
		s.edited = make([]float32, s.vocabulary)
	}
	x.logits = s.edited[:copy(s.edited, x.logits)]
	s.penalise(x)
	for _, b := range s.biases {
		if i, ok := x.find(b.id); ok {
			x.logits[i] = shift(x.logits[i], float64(b.add))
		}
	}
	if s.Process != nil {
		s.Process(x.logits)
	}
	for _, id := range s.suppress {
		if i, ok := x.find(id); ok {
			x.logits[i] = float32(math.Inf(-1))
		}
	}
}

// penalise lowers the logits of the recent ids, each once.
func (s *Sampler) penalise(x *scores) {
	o := &s.options
	for _, id := range s.recent {
		n := s.counts[id]
		i, ok := x.find(id)
		if n < 0 || !ok {
			continue
		}
		s.counts[id] = -n // done; undone below
		l := x.logits[i]
		if r := o.RepeatPenalty; r != 0 && r != 1 && finite(l) {
			if l > 0 {
				l = clamp(float64(l) / r)
			} else {
				l = clamp(float64(l) * r)
			}
		}
		x.logits[i] = shift(l, -o.PresencePenalty-float64(o.FrequencyPenalty*float64(n)))
	}
	for _, id := range s.recent {
		if s.counts[id] < 0 {
			s.counts[id] = -s.counts[id]
		}
	}
}

// shift adds d to a finite logit; a mask (−Inf) and a broken logit stay what they are.
func shift(l float32, d float64) float32 {
	if !finite(l) {
		return l
	}
	if math.IsInf(d, -1) {
		return float32(d)
	}
	return clamp(float64(l) + d)
}

// clamp rounds to float32 without reaching an infinity, which would turn a strong wish into a mask or an error.
func clamp(x float64) float32 {
	return float32(max(-math.MaxFloat32, min(math.MaxFloat32, x)))
}

func finite(l float32) bool { return l-l == 0 }

func brokenLogit(id int32, l float32) error {
	return fmt.Errorf("sampler: the logit of id %d is %v, want a finite number or -Inf", id, l)
}
