package download

import "slices"

// A span is the bytes [from, to) of a file.
type span struct{ from, to int64 }

// spans are in order, and neither overlap nor touch.
type spans []span

// add returns s with x.
func (s spans) add(x span) spans {
	if x.from >= x.to {
		return s
	}
	i := 0
	for i < len(s) && s[i].to < x.from {
		i++
	}
	j := i
	for ; j < len(s) && s[j].from <= x.to; j++ {
		x.from, x.to = min(x.from, s[j].from), max(x.to, s[j].to)
	}
	return slices.Replace(s, i, j, x)
}

// below returns the part of s below limit.
func (s spans) below(limit int64) (low spans) {
	for _, x := range s {
		low = low.add(span{x.from, min(x.to, limit)})
	}
	return low
}

// without returns s without x.
func (s spans) without(x span) (rest spans) {
	for _, y := range s {
		rest = rest.add(span{y.from, min(y.to, x.from)}).add(span{max(y.from, x.to), y.to})
	}
	return rest
}

// bytes returns how many bytes are in s.
func (s spans) bytes() (n int64) {
	for _, x := range s {
		n += x.to - x.from
	}
	return n
}

// prefix returns how many bytes from 0 on are in s without a gap.
func (s spans) prefix() int64 {
	if len(s) > 0 && s[0].from == 0 {
		return s[0].to
	}
	return 0
}

// gap returns the first bytes below size that are not in s. It is empty if there are none.
func (s spans) gap(size int64) span {
	from := s.prefix()
	for _, x := range s {
		if x.from > from {
			return span{from, min(x.from, size)}
		}
	}
	return span{min(from, size), size}
}
