package validate

import (
	"math/big"
	"strings"
)

// numbers writes a number as it stands, and without exponent and needless fraction.
func numbers(text string) []string {
	r, ok := new(big.Rat).SetString(text)
	if !ok {
		return []string{text}
	}
	plain := r.FloatString(330)
	plain = strings.TrimRight(strings.TrimRight(plain, "0"), ".")
	if plain == "-0" || plain == "" {
		plain = "0"
	}
	return []string{plain}
}
