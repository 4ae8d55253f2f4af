package grammar

import (
	"cmp"
	"math/big"
	"strconv"
	"strings"
)

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
	return a.alt(a.empty, a.branch([]edge{{'.', '.', a.digitsAfterPoint(m, 0, places)}}))
}

// digitsAfterPoint is what may follow the point, one digit at least.
func (a *arena) digitsAfterPoint(m, r, places int32) *expr {
	var edges []edge
	for b := byte('0'); b <= '9'; b++ {
		edges = append(edges, edge{b, b, a.digits(m, remainder(m, r, b), places, places-1)})
	}
	return a.branch(edges)
}

// remainder goes on from the remainder r of the digits so far with one more.
func remainder(m, r int32, digit byte) int32 {
	return int32((int64(r)*10 + int64(digit-'0')) % int64(m))
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
		return a.digits(m, remainder(m, r, b), places, next)
	case b == '.' && left < 0 && places > 0:
		return a.digitsAfterPoint(m, r, places)
	}
	return a.none
}

// rational returns a number of JSON exactly, or nil if it is none or has more digits than are worked with.
func rational(text string) *big.Rat {
	mantissa, exponent, _ := strings.Cut(strings.ToLower(text), "e")
	n, err := strconv.Atoi(cmp.Or(exponent, "0"))
	if err != nil || n < -maxDigits || n > maxDigits || len(mantissa) > maxDigits {
		return nil
	}
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return nil
	}
	return r
}

const maxDigits = 400

// A numberRange is what bounds a number. A bound of nil is none.
type numberRange struct {
	lo, hi         *big.Rat
	loOpen, hiOpen bool // the bound itself is excluded
}

func (a *arena) digit() *expr { return a.span('0', '9') }

// integers returns the integers of a range, without leading zeros, exponents or fractions.
func (a *arena) integers(r numberRange) *expr {
	var lo, hi *big.Int
	one := big.NewInt(1)
	if r.lo != nil { // rounded up
		lo = new(big.Int).Neg(floor(new(big.Rat).Neg(r.lo)))
		if r.loOpen && r.lo.IsInt() {
			lo.Add(lo, one)
		}
	}
	if r.hi != nil {
		hi = floor(r.hi)
		if r.hiOpen && r.hi.IsInt() {
			hi.Sub(hi, one)
		}
	}
	if lo != nil && hi != nil && lo.Cmp(hi) > 0 {
		return a.none
	}
	e := a.none
	if hi == nil || hi.Sign() >= 0 {
		from := new(big.Int)
		if lo != nil && lo.Sign() > 0 {
			from = lo
		}
		e = a.naturals(from, hi)
	}
	if lo == nil || lo.Sign() < 0 {
		from, to := one, (*big.Int)(nil)
		if hi != nil && hi.Sign() < 0 {
			from = new(big.Int).Neg(hi)
		}
		if lo != nil {
			to = new(big.Int).Neg(lo)
		}
		e = a.alt(e, a.cat(a.literal("-"), a.naturals(from, to)))
	}
	return e
}

// floor rounds down.
func floor(r *big.Rat) *big.Int {
	return new(big.Int).Div(r.Num(), r.Denom()) // Div is Euclidean, and denominators are positive
}

// naturals returns the numbers from lo ≥ 0 to hi, which may be nil.
func (a *arena) naturals(lo, hi *big.Int) *expr {
	from := lo.String()
	any := func(n int) *expr { return a.repeat(a.digit(), int32(n), int32(n)) }
	if hi == nil {
		n := int32(len(from))
		more := a.cat(a.span('1', '9'), a.repeat(a.digit(), n, max(n, maxWhole-1)))
		return a.alt(a.atLeast(from), more)
	}
	if lo.Cmp(hi) > 0 {
		return a.none
	}
	to := hi.String()
	if len(from) == len(to) {
		return a.digitsBetween(from, to)
	}
	e := a.alt(a.atLeast(from), a.digitsBetween("1"+strings.Repeat("0", len(to)-1), to))
	for n := len(from) + 1; n < len(to); n++ {
		e = a.alt(e, a.cat(a.span('1', '9'), any(n-1)))
	}
	return e
}

func (a *arena) atLeast(from string) *expr {
	return a.digitsBetween(from, strings.Repeat("9", len(from)))
}

// digitsBetween returns the digits from one number to another of the same length.
func (a *arena) digitsBetween(from, to string) *expr {
	if from == "" {
		return a.empty
	}
	nines, zeros := strings.Repeat("9", len(from)-1), strings.Repeat("0", len(from)-1)
	switch {
	case from[1:] == zeros && to[1:] == nines:
		return a.cat(a.span(from[0], to[0]), a.repeat(a.digit(), int32(len(zeros)), int32(len(zeros))))
	case from[0] == to[0]:
		return a.branch([]edge{{from[0], to[0], a.digitsBetween(from[1:], to[1:])}})
	}
	edges := []edge{{from[0], from[0], a.digitsBetween(from[1:], nines)}}
	if from[0]+1 < to[0] {
		edges = append(edges, edge{from[0] + 1, to[0] - 1, a.repeat(a.digit(), int32(len(zeros)), int32(len(zeros)))})
	}
	return a.branch(append(edges, edge{to[0], to[0], a.digitsBetween(zeros, to[1:])}))
}

// What no bound of a schema says: maxWhole digits at most before the point, so that with their exponents they are numbers of 64 bits, and
// maxPlaces behind it. Programs that read numbers have bounds, too; that of package chat, for those of calls, is far above.
const (
	maxWhole  = 200
	maxPlaces = 200
)

// decimals returns the numbers of a range: those of JSON, with maxWhole digits before the point and two in the exponent at most; with
// bounds, any without exponents.
func (a *arena) decimals(r numberRange) *expr {
	digits := a.repeat(a.digit(), 1, maxPlaces)
	fraction := a.alt(a.empty, a.cat(a.literal("."), digits))
	minus, natural := a.literal("-"), a.naturals(new(big.Int), nil)
	if r.lo == nil && r.hi == nil {
		exponent := a.cat(a.alt(a.literal("e"), a.literal("E")), a.alt(a.empty, minus, a.literal("+")), a.repeat(a.digit(), 1, 2))
		natural = a.alt(a.literal("0"), a.cat(a.span('1', '9'), a.repeat(a.digit(), 0, maxWhole-1)))
		return a.cat(a.alt(a.empty, minus), natural, fraction, a.alt(a.empty, exponent))
	}
	all := a.cat(natural, fraction)
	var parts []*expr
	if r.lo != nil {
		if r.lo.Sign() > 0 || r.lo.Sign() == 0 && r.loOpen {
			parts = append(parts, a.above(r.lo, r.loOpen))
		} else {
			parts = append(parts, a.alt(all, a.cat(minus, a.below(new(big.Rat).Neg(r.lo), r.loOpen))))
		}
	}
	if r.hi != nil {
		if r.hi.Sign() < 0 || r.hi.Sign() == 0 && r.hiOpen {
			parts = append(parts, a.cat(minus, a.above(new(big.Rat).Neg(r.hi), r.hiOpen)))
		} else {
			parts = append(parts, a.alt(a.cat(minus, all), a.below(r.hi, r.hiOpen)))
		}
	}
	return a.and(parts...)
}

// plain returns the numbers without exponents.
func (a *arena) plain() *expr { return a.withFraction(a.digit()) }

// whole returns the integers, with a fraction of zeros or without.
func (a *arena) whole() *expr { return a.withFraction(a.literal("0")) }

// withFraction returns the integers, without a fraction or with one of such digits.
func (a *arena) withFraction(digit *expr) *expr {
	fraction := a.cat(a.literal("."), a.repeat(digit, 1, maxPlaces))
	return a.cat(a.alt(a.empty, a.literal("-")), a.naturals(new(big.Int), nil), a.alt(a.empty, fraction))
}

// places splits a number that is not negative into its digits before and behind the point. The latter, without zeros at the end, are
// cut off where they never end.
func places(r *big.Rat) (whole *big.Int, behind string) {
	whole = floor(r)
	_, rest, _ := strings.Cut(r.FloatString(maxDigits), ".")
	return whole, strings.TrimRight(rest, "0")
}

// above returns the numbers greater than one that is not negative, or equal to it unless it is excluded.
func (a *arena) above(r *big.Rat, open bool) *expr {
	whole, behind := places(r)
	digits := a.repeat(a.digit(), 0, maxPlaces)
	positive := a.cat(a.repeat(a.literal("0"), 0, maxPlaces), a.span('1', '9'), digits)
	point := a.literal(".")
	e := a.cat(a.naturals(new(big.Int).Add(whole, big.NewInt(1)), nil), a.alt(a.empty, a.cat(point, a.digit(), digits)))
	var same *expr
	switch {
	case behind == "" && open:
		same = a.cat(point, positive)
	case behind == "":
		same = a.alt(a.empty, a.cat(point, a.digit(), digits))
	default:
		if same = digits; open {
			same = positive
		}
		for i := len(behind) - 1; i >= 0; i-- {
			same = a.alt(a.cat(a.literal(behind[i:i+1]), same), a.cat(a.larger(behind[i]), digits))
		}
		same = a.cat(point, same)
	}
	return a.alt(e, a.cat(a.literal(whole.String()), same))
}

// below returns the numbers from zero to less than one, or equal to it unless it is excluded.
func (a *arena) below(r *big.Rat, open bool) *expr {
	whole, behind := places(r)
	digits, zeros := a.repeat(a.digit(), 0, maxPlaces), a.repeat(a.literal("0"), 0, maxPlaces)
	point := a.literal(".")
	e := a.none
	if whole.Sign() > 0 {
		less := a.naturals(new(big.Int), new(big.Int).Sub(whole, big.NewInt(1)))
		e = a.cat(less, a.alt(a.empty, a.cat(point, a.digit(), digits)))
	}
	var same *expr
	switch {
	case behind == "" && open:
		return e
	case behind == "":
		same = a.alt(a.empty, a.cat(point, a.literal("0"), zeros))
	default:
		if same = zeros; open {
			same = a.none
		}
		for i := len(behind) - 1; i >= 0; i-- {
			same = a.cat(a.literal(behind[i:i+1]), same)
			if behind[i] > '0' {
				same = a.alt(same, a.cat(a.span('0', behind[i]-1), digits))
			}
			if i > 0 {
				same = a.alt(a.empty, same)
			}
		}
		same = a.alt(a.empty, a.cat(point, same))
	}
	return a.alt(e, a.cat(a.literal(whole.String()), same))
}

func (a *arena) larger(digit byte) *expr {
	if digit == '9' {
		return a.none
	}
	return a.span(digit+1, '9')
}

// multiples returns the numbers that are multiples of m > 0, integers alone or with a fraction, or nil if there are too many states.
func (a *arena) multiples(m *big.Rat, integer bool) *expr {
	places := int32(0)
	scale := big.NewInt(1)
	for !new(big.Rat).Mul(m, new(big.Rat).SetInt(scale)).IsInt() {
		if places++; places > 12 {
			return nil
		}
		scale.Mul(scale, big.NewInt(10))
	}
	n := new(big.Rat).Mul(m, new(big.Rat).SetInt(scale)).Num()
	if integer { // x·scale is a multiple of n where x is one of n / gcd
		n.Div(n, new(big.Int).GCD(nil, nil, n, scale))
		places = 0
	}
	if !n.IsInt64() || n.Int64() > 1<<30 {
		return nil
	}
	return a.cat(a.alt(a.empty, a.literal("-")), a.multiple(int32(n.Int64()), places))
}
