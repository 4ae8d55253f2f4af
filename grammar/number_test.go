package grammar

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
)

func TestNumbersKeepToTheirBoundsExactly(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	spellings := []string{"-0.5", "0", "-0", "0.0", "0.05", "1.0", "10", "9", "99.99", "100", "-100.000", "12.50", "12.5", "12.51", "12.49"}
	for range 200 {
		spellings = append(spellings, fmt.Sprintf("%d", r.IntN(3000)-1500), fmt.Sprintf("%.*f", 1+r.IntN(3), r.Float64()*40-20))
	}
	random := func() *big.Rat {
		switch r.IntN(5) {
		case 0:
			return nil
		case 1:
			return big.NewRat(int64(r.IntN(40)-20), 1)
		case 2:
			return big.NewRat(int64(r.IntN(4000)-2000), 100)
		}
		return big.NewRat(int64(r.IntN(3000)-1500), 1)
	}
	for range 300 {
		a := newArena()
		bounds := numberRange{random(), random(), r.IntN(2) == 0, r.IntN(2) == 0}
		m := big.NewRat(int64(1+r.IntN(30)), []int64{1, 1, 2, 4, 10, 100}[r.IntN(6)])
		integers, decimals := a.integers(bounds), a.decimals(bounds)
		multiples, whole := a.multiples(m, false), a.multiples(m, true)
		for _, s := range spellings {
			x, _ := new(big.Rat).SetString(s)
			in := true
			if bounds.lo != nil {
				c := x.Cmp(bounds.lo)
				in = c > 0 || c == 0 && !bounds.loOpen
			}
			if bounds.hi != nil {
				c := x.Cmp(bounds.hi)
				in = in && (c < 0 || c == 0 && !bounds.hiOpen)
			}
			if got := a.matches(decimals, s); got != in {
				t.Fatalf("%s in %v: %v, want %v", s, bounds, got, in)
			}
			integer := isInteger(s)
			if got := a.matches(integers, s); got != (in && integer) {
				t.Fatalf("%s as an integer in %v: %v, want %v", s, bounds, got, in && integer)
			}
			multiple := new(big.Rat).Quo(x, m).IsInt()
			if got := a.matches(whole, s); got != (integer && multiple) && s != "-0" {
				t.Fatalf("%s as an integer, multiple of %v: %v, want %v", s, m, got, integer && multiple)
			}
			// Zeros behind the places of m are not written.
			if got := a.matches(multiples, s); got && !multiple || multiple && integer && !got {
				t.Fatalf("%s, multiple of %v: %v, want %v", s, m, got, multiple)
			}
		}
	}
}

func isInteger(s string) bool {
	for i, c := range s {
		if c < '0' && !(i == 0 && c == '-') || c == '.' {
			return false
		}
	}
	return s != "-0"
}

func TestNumbersWithoutBoundsFitIn64Bits(t *testing.T) {
	a := newArena()
	e := a.decimals(numberRange{})
	for n, want := range map[int]bool{1: true, 200: true, 201: false} {
		for _, end := range []string{"", ".5", "e99", "E+99", ".0e-99"} {
			s := strings.Repeat("9", n) + end
			if got := a.matches(e, s); got != want {
				t.Errorf("%d digits and %q: %v, want %v", n, end, got, want)
			}
			if _, err := strconv.ParseFloat(s, 64); want && err != nil {
				t.Error(err)
			}
		}
	}
}

func TestNumbersEnd(t *testing.T) {
	a := newArena()
	lo := numberRange{lo: big.NewRat(5, 2)}
	hi := numberRange{hi: big.NewRat(5, 2)}
	for name, e := range map[string]*expr{
		"any": a.decimals(numberRange{}), "integer": a.integers(numberRange{}), "integer above": a.integers(lo),
		"integer below": a.integers(hi), "above": a.decimals(lo), "below": a.decimals(hi), "plain": a.plain(), "whole": a.whole(),
	} {
		for _, s := range []string{"3", "30", "-3", "3.0", "2.6", "-2.0", "2.0"} {
			if a.matches(e, s+strings.Repeat("0", 500)) {
				t.Errorf("%s: %s and 500 zeros", name, s)
			}
		}
		if !a.matches(e, "3"+strings.Repeat("0", 150)) && !a.matches(e, "-3"+strings.Repeat("0", 150)) {
			t.Errorf("%s: no large numbers", name)
		}
	}
}
