package model

import "context"

// Identity is what a text has at a position, so that texts can be compared: the id of a token or, below 0, the identity of an embedding,
// which is made from what its input is of ([Input].ID) and where in it the position lies. As far as two texts have the same identities from
// the beginning, and were prefilled, they have the same keys and values.
type Identity int64

// Unknown is the identity of an embedding whose input has no ID. It equals nothing, not even itself.
const Unknown Identity = -1

// Token returns the id of a token; for an embedding ok is false.
func (i Identity) Token() (id int32, ok bool) { return int32(i), i >= 0 }

// Identities appends those of the positions of an input to dst.
func (m *Model) Identities(dst []Identity, in ...Input) []Identity {
	for _, x := range in {
		for _, id := range x.Tokens {
			dst = append(dst, Identity(id))
		}
		if len(x.Tokens) > 0 {
			continue
		}
		n := m.count(x)
		for i := range n {
			dst = append(dst, x.identity(i, n))
		}
	}
	return dst
}

// identity returns that of embedding i of n. The positions of an image may see each other: the identity of each is that of the whole.
func (x Input) identity(i, n int) Identity {
	switch {
	case x.IDs != nil:
		return ^Identity(scramble(x.IDs[i]) >> 1)
	case x.ID == 0:
		return Unknown
	}
	h := scramble(x.ID + uint64(i)*stride)
	if x.Image {
		h = scramble(h ^ scramble(x.ID+uint64(n)))
	}
	return ^Identity(h >> 1) // Unknown once in 2⁶³
}

// stride is how far the identities of neighbours are apart before they are scrambled, so that what is left after a cut has an ID further by
// that much per embedding. It is 2⁶⁴ divided by the golden ratio: its multiples keep far away from each other.
const stride = 0x9e3779b97f4a7c15

// scramble is the function that SplitMix64 ends with (Steele, Lea, Flood: Fast splittable pseudorandom number generators): one to one, and
// every bit that comes in changes half of those that go out.
func scramble(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// cut returns the first k positions of an input and the rest, all of them with the identities that they have in it.
func (x Input) cut(k, width int) (before, behind Input) {
	before, behind = x, x
	switch l := x.Later; {
	case len(x.Tokens) > 0:
		before.Tokens, behind.Tokens = x.Tokens[:k], x.Tokens[k:]
		return before, behind
	case len(x.Embeddings) > 0:
		before.Embeddings, behind.Embeddings = x.Embeddings[:k*width], x.Embeddings[k*width:]
	default:
		before.Later = &Later{Count: k, skipped: l.skipped, Make: func(ctx context.Context) ([]float32, error) {
			rows, err := l.Make(ctx)
			return rows[:min(len(rows), (l.skipped+k)*width)], err
		}}
		behind.Later = &Later{Count: l.Count - k, skipped: l.skipped + k, Make: l.Make}
	}
	if x.IDs != nil {
		before.IDs, behind.IDs = x.IDs[:k], x.IDs[k:]
	} else if x.ID != 0 {
		behind.ID += uint64(k) * stride
	}
	return before, behind
}

// CommonLen returns how many positions at the beginning of two texts are the same.
func CommonLen(a, b []Identity) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] || a[i] == Unknown {
			return i
		}
	}
	return n
}
