package python

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// ParseInt is int(s, base), for integers of 64 bits; for others the error is strconv.ErrRange.
func ParseInt(s string, base int64) (int64, error) {
	s = strings.TrimFunc(s, IsSpace)
	sign := ""
	if s != "" && (s[0] == '-' || s[0] == '+') {
		sign, s = s[:1], s[1:]
	}
	if base != 0 && base < 2 || base > 36 {
		return 0, strconv.ErrSyntax
	}
	if len(s) > 2 && s[0] == '0' {
		if own := map[byte]int64{'x': 16, 'o': 8, 'b': 2}[s[1]|0x20]; own != 0 && (base == 0 || base == own) {
			base, s = own, strings.TrimPrefix(s[2:], "_")
		}
	}
	if base == 0 {
		if base = 10; s != "" && s[0] == '0' && strings.Trim(s, "0_") != "" {
			return 0, strconv.ErrSyntax
		}
	}
	digits, ok := plainDigits(s)
	if !ok || digits[0] == '-' || digits[0] == '+' {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseInt(sign+digits, int(base), 64)
}

// ParseFloat is float(s).
func ParseFloat(s string) (float64, error) {
	digits, ok := plainDigits(strings.TrimFunc(s, IsSpace))
	if !ok || strings.ContainsAny(digits, "xX") {
		return 0, strconv.ErrSyntax
	}
	f, err := strconv.ParseFloat(digits, 64)
	if errors.Is(err, strconv.ErrRange) {
		err = nil // the infinity that comes with the error
	}
	return f, err
}

// plainDigits takes out underscores, each between two digits, and writes the digits of all scripts as ours.
func plainDigits(s string) (string, bool) {
	if s == "" || s[0] == '_' || s[len(s)-1] == '_' || strings.Contains(s, "__") {
		return "", false
	}
	foreign := strings.IndexFunc(s, func(r rune) bool { return r == '_' || r >= utf8.RuneSelf })
	if foreign < 0 {
		return s, true
	}
	for i := foreign; i < len(s); i++ {
		if s[i] == '_' && (strings.IndexByte(".+-", s[i-1]) >= 0 || strings.IndexByte(".+-", s[i+1]) >= 0) {
			return "", false
		}
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '_':
			return -1
		case r < utf8.RuneSelf || !unicode.IsDigit(r):
			return r
		}
		// The digits of a script are ten in a row, the first at the end of what is no digit.
		zero := r
		for r-zero < 9 && unicode.IsDigit(zero-1) {
			zero--
		}
		return '0' + r - zero
	}, s), true
}

// FormatFloat is repr of a float.
func FormatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "nan"
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case f == 0 || math.Abs(f) >= 1e-4 && math.Abs(f) < 1e16:
		s := strconv.FormatFloat(f, 'f', -1, 64)
		if !strings.Contains(s, ".") {
			s += ".0"
		}
		return s
	default:
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
}
