package jinja

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/gogemma/gemma4/internal/python"
)

func absolute(_ *run, v value, _ []value) (value, error) {
	n, ok := numeric(v)
	switch {
	case !ok:
		return nil, fmt.Errorf("abs: %s, expected a number", describe(v))
	case n.wide != nil:
		return nil, errOverflow
	case n.float:
		return math.Abs(n.f), nil
	case n.i == math.MinInt64:
		return nil, errOverflow
	}
	return max(n.i, -n.i), nil
}

// toInteger is the filter int: what Python's int makes of the value, or its float.
func toInteger(r *run, v value, a []value) (value, error) {
	otherwise := pick[value](given(a[0]), a[0], int64(0))
	base, err := intArgument("int", a[1], 10)
	if err != nil {
		return nil, err
	}
	if s, ok := v.(string); ok {
		s = r.marks.plain(s)
		n, err := python.ParseInt(s, base)
		if errors.Is(err, strconv.ErrRange) {
			return nil, errOverflow
		} else if err == nil {
			return n, nil
		}
		f, err := python.ParseFloat(s)
		if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return otherwise, nil
		}
		v = f
	}
	n, ok := numeric(v)
	switch {
	case !given(v):
		return nil, errors.New("int: " + describe(v))
	case !ok || math.IsNaN(n.f):
		return otherwise, nil
	case !n.float:
		return n.i, nil
	}
	i, ok := truncate(n.f)
	if !ok {
		return nil, errOverflow
	}
	return i, nil
}

func toFloat(r *run, v value, a []value) (value, error) {
	if s, ok := v.(string); ok {
		if f, err := python.ParseFloat(r.marks.plain(s)); err == nil {
			return f, nil
		}
	} else if n, ok := numeric(v); ok {
		return n.f, nil
	} else if !given(v) {
		return nil, errors.New("float: " + describe(v))
	}
	return pick[value](given(a[0]), a[0], 0.0), nil
}

func round(r *run, v value, a []value) (value, error) {
	n, ok := numeric(v)
	if !ok {
		return nil, fmt.Errorf("round: %s, expected a number", describe(v))
	}
	if n.wide != nil {
		return nil, errOverflow
	}
	digits, err := intArgument("round", a[0], 0)
	if err != nil {
		return nil, err
	}
	method := "common"
	if given(a[1]) {
		text, err := textArguments("round", a[1])
		if err != nil {
			return nil, err
		}
		method = r.marks.plain(text[0])
	}
	digits = min(max(digits, -400), 400)
	scale := math.Pow(10, float64(digits))
	whole := func(f func(float64) float64) (value, error) {
		scaled := n.f * scale
		if scale == 0 || math.IsInf(scaled, 0) || math.IsNaN(scaled) {
			return nil, fmt.Errorf("round: %s to %d digits is out of range", python.FormatFloat(n.f), digits)
		}
		return (f(scaled) + 0) / scale, nil // the sum is no negative zero, as Python's integer is none
	}
	switch {
	case method == "ceil":
		return whole(math.Ceil)
	case method == "floor":
		return whole(math.Floor)
	case method != "common":
		return nil, errors.New(`round: the method must be "common", "ceil" or "floor"`)
	case !n.float && digits >= 0:
		return n.i, nil
	case math.IsNaN(n.f) || math.IsInf(n.f, 0):
		return n.f, nil
	case digits >= 0: // correctly rounded, as Python's round
		f, _ := strconv.ParseFloat(strconv.FormatFloat(n.f, 'f', int(digits), 64), 64)
		return f, nil
	}
	return roundTens(n, -digits)
}

// roundTens rounds a number to a multiple of 10**digits, half to even.
func roundTens(n num, digits int64) (value, error) {
	exact := new(big.Rat).SetInt64(n.i)
	if n.float {
		exact.SetFloat64(n.f)
	}
	tens := new(big.Int).Exp(big.NewInt(10), big.NewInt(digits), nil)
	exact.Quo(exact, new(big.Rat).SetInt(tens))
	two := big.NewInt(2)
	// floor(x + 1/2), one less where that is a tie with an odd result.
	twice := new(big.Int).Add(new(big.Int).Mul(exact.Num(), two), exact.Denom())
	whole, rest := new(big.Int).DivMod(twice, new(big.Int).Mul(exact.Denom(), two), new(big.Int))
	if rest.Sign() == 0 && whole.Bit(0) == 1 {
		whole.Sub(whole, big.NewInt(1))
	}
	whole.Mul(whole, tens)
	if n.float {
		f, _ := new(big.Float).SetInt(whole).Float64()
		return math.Copysign(f, n.f), nil
	}
	if !whole.IsInt64() {
		return nil, errOverflow
	}
	return whole.Int64(), nil
}

func fileSize(_ *run, v value, a []value) (value, error) {
	n, ok := numeric(v)
	if s, isText := v.(string); isText {
		f, err := python.ParseFloat(s)
		n, ok = num{f: f}, err == nil
	}
	if !ok {
		return nil, fmt.Errorf("filesizeformat: %s, expected a number", describe(v))
	}
	base, ending := 1000.0, "B"
	if truth(a[0]) {
		base, ending = 1024, "iB"
	}
	switch {
	case n.f == 1:
		return "1 Byte", nil
	case n.f < base:
		i, ok := truncate(n.f)
		if !ok {
			return nil, errOverflow
		}
		return strconv.FormatInt(i, 10) + " Bytes", nil
	}
	unit := base
	const prefixes = "kMGTPEZY"
	for i := range prefixes {
		if unit *= base; n.f < unit || i == len(prefixes)-1 {
			prefix := pick(truth(a[0]), strings.ToUpper(prefixes[i:i+1]), prefixes[i:i+1])
			size := base * n.f / unit
			if math.IsNaN(size) || math.IsInf(size, 0) {
				return python.FormatFloat(size) + " " + prefix + ending, nil
			}
			return strconv.FormatFloat(size, 'f', 1, 64) + " " + prefix + ending, nil
		}
	}
	return nil, nil
}
