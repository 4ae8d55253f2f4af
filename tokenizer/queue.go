package tokenizer

// queue is a binary heap of pairs waiting to be merged: the lowest rank first, the leftmost of equal ones. An entry is
// the rank in the upper half and the node in the lower one, so that comparing the numbers follows the rule.
type queue []uint64

func (q *queue) push(node, rank int32) {
	x := uint64(rank)<<32 | uint64(node)
	h := append(*q, x)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up] <= x {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = x
	*q = h
}

func (q *queue) pop() (node, rank int32) {
	h := *q
	top, x := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*q = h
	i := 0
	for 2*i+1 < len(h) {
		down := 2*i + 1
		if down+1 < len(h) && h[down+1] < h[down] {
			down++
		}
		if x <= h[down] {
			break
		}
		h[i] = h[down]
		i = down
	}
	if len(h) > 0 {
		h[i] = x
	}
	return int32(top), int32(top >> 32)
}
