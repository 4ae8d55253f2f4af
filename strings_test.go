package gemma4_test

import (
	"encoding"
	"fmt"
	"math"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
	"github.com/gogemma/gemma4/tokenizer"
)

func TestNamesOfUnknownValuesDoNotPanic(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 40, 41, 100, 255, 256, math.MaxInt32, math.MaxInt, -1, -2, math.MinInt} {
		for _, v := range []fmt.Stringer{
			gemma4.Reason(n), gemma4.Full(n), gemma4.CacheFormat(n), chat.Kind(n), gguf.Type(n), gguf.ValueType(n), tensor.Format(n),
			tokenizer.Kind(n),
		} {
			if v.String() == "" { // called directly: fmt would hide a panic
				t.Errorf("%T(%d) has no name", v, n)
			}
		}
	}
	for _, v := range []encoding.TextMarshaler{gemma4.Full(99), gemma4.Full(-1), gemma4.CacheFormat(99), gemma4.CacheFormat(-1)} {
		if text, err := v.MarshalText(); err == nil {
			t.Errorf("%T marshals as %s, which cannot be read back", v, text)
		}
	}
	for _, v := range []fmt.Stringer{gemma4.Perplexity{}, gemma4.Perplexity{Mean: math.NaN(), StdErr: math.Inf(1)}} {
		if v.String() == "" {
			t.Errorf("%T has no text", v)
		}
	}
}
