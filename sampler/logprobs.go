package sampler

import "math"

// LogProbs are the natural logarithms of the probabilities that the logits of a position stand for: log(softmax(logits)), at temperature 1
// and without any of a sampler's options. It refers to the logits; it does not copy them.
type LogProbs struct {
	logits []float32
	norm   float64
}

// A Candidate is an id and the logarithm of its probability.
type Candidate struct {
	ID      int32   // of the vocabulary
	LogProb float64 // natural, at most 0
}

// NewLogProbs reads the logits of a position, one per id of the vocabulary. That costs one exponential per logit. Logits among which there
// is NaN or +Inf, or nothing but −Inf, stand for no probabilities: each of the logarithms is NaN.
func NewLogProbs(logits []float32) LogProbs {
	top := float32(math.Inf(-1))
	for _, l := range logits {
		if l <= top {
			continue
		}
		if !finite(l) {
			return LogProbs{logits, math.NaN()}
		}
		top = l
	}
	if !finite(top) {
		return LogProbs{logits, math.NaN()}
	}
	sum := 0.0
	for _, l := range logits {
		sum += exp(float64(l) - float64(top))
	}
	return LogProbs{logits, float64(top) + log(sum)}
}

// Of returns the log-probability of id, −Inf for one that is masked or outside the vocabulary.
func (p LogProbs) Of(id int32) float64 {
	if id < 0 || int(id) >= len(p.logits) {
		return math.Inf(-1)
	}
	return float64(p.logits[id]) - p.norm
}

// Top returns the n most likely ids, best first, of equal ones the lower first. There are fewer if fewer logits are above
// −Inf, and none if the logits stand for no probabilities.
func (p LogProbs) Top(n int) []Candidate {
	n = min(n, len(p.logits))
	if n <= 0 || math.IsNaN(p.norm) {
		return nil
	}
	best, _ := highest(make([]entry, 0, n), scores{logits: p.logits}, n) // a broken logit has made norm NaN
	list := make([]Candidate, len(best))
	for i, e := range best {
		list[i] = Candidate{e.id, p.Of(e.id)}
	}
	return list
}

// TopLogProbs is NewLogProbs(logits).Top(n).
func TopLogProbs(logits []float32, n int) []Candidate {
	return NewLogProbs(logits).Top(n)
}
