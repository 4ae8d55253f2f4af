package grammar

// A multiple is the rest of the digits of a decimal number that times 10^places is a multiple of m: min holds the remainder so far, max
// the places, b and a carry nothing. It is its own kind of expression because it has as many states as m.

// multiple returns the digits of the multiples of m / 10^places, with at most that many places, without sign.
func (a *arena) multiple(m, places int32) *expr {
	var edges []edge
	for d := int32(1); d <= 9; d++ {
		edges = append(edges, edge{byte('0' + d), byte('0' + d), a.digits(m, d%m, places, -1)})
	}
	zero := []edge{{'0', '0', a.digitsAfterZero(m, places)}}
	return a.branch(append(zero, edges...))
}

// digits is what may follow when the digits so far leave the remainder r; left is the number of places that may still come, or -1
// before the point.
func (a *arena) digits(m, r, places, left int32) *expr {
	rest := places
	if left >= 0 {
		rest = left
	}
	scaled := int64(r)
	for range rest {
		scaled = scaled * 10 % int64(m)
	}
	return a.intern(&expr{op: opMultiple, nullable: scaled == 0, boolean: true, min: r, max: m,
		a: a.count(places), b: a.count(left)})
}

// digitsAfterZero is what may follow a zero before the point: nothing, or the point.
func (a *arena) digitsAfterZero(m, places int32) *expr {
	if places == 0 {
		return a.empty
	}
	var edges []edge
	for b := byte('0'); b <= '9'; b++ {
		edges = append(edges, edge{b, b, a.digits(m, int32(b-'0')%m, places, places-1)})
	}
	return a.alt(a.empty, a.branch([]edge{{'.', '.', a.branch(edges)}}))
}

// count makes a small number part of an expression's identity.
func (a *arena) count(n int32) *expr {
	return a.intern(&expr{op: opRepeat, a: a.empty, min: n, max: n})
}

func (a *arena) deriveMultiple(e *expr, b byte) *expr {
	m, r, places, left := e.max, e.min, e.a.min, e.b.min
	switch {
	case b >= '0' && b <= '9' && left != 0:
		next := left
		if left > 0 {
			next--
		}
		return a.digits(m, int32((int64(r)*10+int64(b-'0'))%int64(m)), places, next)
	case b == '.' && left < 0 && places > 0:
		var edges []edge
		for d := byte('0'); d <= '9'; d++ {
			edges = append(edges, edge{d, d, a.digits(m, int32((int64(r)*10+int64(d-'0'))%int64(m)), places, places-1)})
		}
		return a.branch(edges)
	}
	return a.none
}
