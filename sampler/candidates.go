package sampler

import (
	"math"
	"slices"
)

// An entry is an id that can still be picked. Its weight, once weighed, is its probability times a factor that all entries share.
type entry struct {
	id     int32
	logit  float32
	weight float64
}

// better is the order of likelihood.
func better(a, b entry) bool { return a.logit > b.logit || a.logit == b.logit && a.id < b.id }

func worse(a, b entry) bool { return better(b, a) }

// scores are the logits that a draw looks at: of the whole vocabulary, or of some ids.
type scores struct {
	logits  []float32
	ids     []int32  // that they are of, ascending; nil: all
	allowed []uint64 // a bit for each id that may be picked, none behind its end; nil: all may
}

// at returns the id of logit i, and whether it may be picked.
func (x *scores) at(i int) (id int32, ok bool) {
	if x.ids != nil {
		return x.ids[i], true
	}
	return int32(i), x.allowed == nil || i>>6 < len(x.allowed) && x.allowed[i>>6]>>(i&63)&1 == 1
}

// find returns which logit is that of an id, if one is.
func (x *scores) find(id int32) (i int, ok bool) {
	if x.ids != nil {
		return slices.BinarySearch(x.ids, id)
	}
	return int(id), true
}

// above returns the place of the first logit from a place on that is not at most low, len(logits) if there is none. Most draws spend their
// time here.
func above(logits []float32, from int, low float32) int {
	for i, l := range logits[from:] {
		if !(l <= low) {
			return from + i
		}
	}
	return len(logits)
}

// every appends all logits that are not −Inf to dst, in the order of ids.
func every(dst []entry, x scores) ([]entry, error) {
	never, whole := float32(math.Inf(-1)), x.ids == nil && x.allowed == nil
	for i, l := range x.logits {
		if l == never {
			continue
		}
		id, ok := int32(i), true
		if !whole {
			id, ok = x.at(i)
		}
		if !finite(l) {
			return nil, brokenLogit(id, l)
		}
		if ok {
			dst = append(dst, entry{id: id, logit: l})
		}
	}
	return dst, nil
}

// highest appends the k highest logits that are not −Inf to dst, best first. It looks at each logit once and compares most of them only
// with the k-th best so far, before anything is asked about their ids.
func highest(dst []entry, x scores, k int) ([]entry, error) {
	low := float32(math.Inf(-1))
	for i := above(x.logits, 0, low); i < len(x.logits); i = above(x.logits, i+1, low) { // of equal ones the lower id, the first, stays
		l := x.logits[i]
		id, ok := x.at(i)
		if !finite(l) {
			return nil, brokenLogit(id, l)
		}
		if !ok {
			continue
		}
		e := entry{id: id, logit: l}
		if len(dst) < k {
			dst = append(dst, e)
			if len(dst) == k {
				heapify(dst, worse)
				low = dst[0].logit
			}
			continue
		}
		dst[0] = e
		sink(dst, 0, worse)
		low = dst[0].logit
	}
	heapify(dst, worse)
	for n := len(dst) - 1; n > 0; n-- {
		dst[0], dst[n] = dst[n], dst[0]
		sink(dst[:n], 0, worse)
	}
	return dst, nil
}

// topLogit returns the highest logit.
func topLogit(c []entry) float64 {
	top := c[0].logit
	for _, e := range c {
		top = max(top, e.logit)
	}
	return float64(top)
}

// weigh sets each weight to exp((logit − highest logit) / temperature) and returns their sum.
func weigh(c []entry, temperature float64) float64 {
	top, sum := topLogit(c), 0.0
	for i := range c {
		c[i].weight = exp((float64(c[i].logit) - top) / temperature)
		sum += c[i].weight
	}
	return sum
}

// mostLikely keeps the fewest entries that hold this share of the weight.
func mostLikely(c []entry, share float64) []entry {
	sum := mass(c)
	// Entries below (1 − share) / len of the mass hold less than 1 − share together: none of them is needed, and a long tail never enters
	// the heap. One is added to len because the mean of equals may be rounded to more than each of them.
	c = atLeast(c, (1-share)*sum/float64(len(c)+1))
	return firstOf(c, share*sum, better)
}

// mostTypical keeps the fewest entries that hold this share of the weight, starting with those whose surprise −log p is closest to the
// entropy. As −log p = log Z − logit, that distance is the one between the logit and the expected logit.
func mostTypical(c []entry, share float64) []entry {
	sum, expected := mass(c), 0.0
	for _, e := range c {
		expected += float64(e.weight * float64(e.logit))
	}
	expected /= sum
	distance := func(e entry) float64 {
		d := float64(e.logit) - expected
		return max(d, -d)
	}
	return firstOf(c, share*sum, func(a, b entry) bool {
		x, y := distance(a), distance(b)
		return x < y || x == y && better(a, b)
	})
}

// likelyEnough keeps the entries with at least this share of the greatest weight.
func likelyEnough(c []entry, share float64) []entry {
	greatest := 0.0
	for _, e := range c {
		greatest = max(greatest, e.weight)
	}
	return atLeast(c, share*greatest)
}

func mass(c []entry) float64 {
	sum := 0.0
	for _, e := range c {
		sum += e.weight
	}
	return sum
}

// atLeast keeps, in place and in order, the entries of this weight or more.
func atLeast(c []entry, weight float64) []entry {
	kept := c[:0]
	for _, e := range c {
		if e.weight >= weight {
			kept = append(kept, e)
		}
	}
	return kept
}

// firstOf keeps the shortest prefix of c, in the order of before, whose weights add up to mass, at least one entry. It sorts no more than
// that: the rest stays a heap.
func firstOf(c []entry, mass float64, before func(a, b entry) bool) []entry {
	heapify(c, before)
	sum, n := 0.0, len(c)
	for n > 0 && (n == len(c) || sum < mass) {
		sum += c[0].weight
		n--
		c[0], c[n] = c[n], c[0]
		sink(c[:n], 0, before)
	}
	c = c[n:]
	slices.Reverse(c)
	return c
}

// heapify orders c as a binary heap: no entry comes before its parent, (i−1)/2.
func heapify(c []entry, before func(a, b entry) bool) {
	for i := len(c)/2 - 1; i >= 0; i-- {
		sink(c, i, before)
	}
}

// sink moves entry i down to its place in the heap.
func sink(c []entry, i int, before func(a, b entry) bool) {
	for {
		child := 2*i + 1
		if child >= len(c) {
			return
		}
		if child+1 < len(c) && before(c[child+1], c[child]) {
			child++
		}
		if !before(c[child], c[i]) {
			return
		}
		c[i], c[child] = c[child], c[i]
		i = child
	}
}
