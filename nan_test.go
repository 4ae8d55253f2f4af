package gemma4_test

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/nano"
)

// withNaN returns the embedded model with NaN in one tensor: a value in the middle, or in tables, [rows, cols], of row id.
func withNaN(t *testing.T, f *gguf.File, x *gguf.Tensor, id int32) []byte {
	t.Helper()
	file := slices.Clone(nano.GGUF())
	at := x.Size / 2 &^ 3
	if rows := int64(x.Dims[len(x.Dims)-1]); strings.Contains(x.Name, "token_embd") {
		at = x.Size / rows * int64(id)
	}
	b := file[x.Offset+at:]
	switch x.Type {
	case gguf.F32:
		binary.LittleEndian.PutUint32(b, math.Float32bits(float32(math.NaN())))
	case gguf.BF16:
		binary.LittleEndian.PutUint16(b, 0x7FC0)
	case gguf.Q4_0, gguf.Q8_0: // blocks of 18 and 34 bytes begin with their scale, an F16
		size := int64(18)
		if x.Type == gguf.Q8_0 {
			size = 34
		}
		binary.LittleEndian.PutUint16(file[x.Offset+at/size*size:], 0x7E00)
	default:
		t.Fatalf("%s is in %v", x.Name, x.Type)
	}
	return file
}

func TestTheFirstLogitThatIsNaNIsAnError(t *testing.T) {
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	in := prompt(openNano(t, gemma4.Loader{}), question)
	ids := in[0].Tokens
	for i, x := range f.Tensors {
		if testing.Short() && i%5 != 0 && !strings.Contains(x.Name, "token_embd") {
			continue
		}
		m, err := gemma4.OpenBytes(withNaN(t, f, x, ids[7]))
		if err != nil { // seen already
			if !strings.Contains(err.Error(), "NaN") {
				t.Errorf("NaN in %s: %v", x.Name, err)
			}
			continue
		}
		caches := []gemma4.CacheFormat{gemma4.CacheF16}
		if strings.Contains(x.Name, "attn_k") || strings.Contains(x.Name, "attn_v") {
			caches = []gemma4.CacheFormat{gemma4.CacheF16, gemma4.CacheF32, gemma4.CacheQ8, gemma4.CacheQ4}
		}
		for _, cache := range caches {
			s := newSession(t, m, gemma4.SessionOptions{Cache: cache})
			expect := func(what string, err error) {
				t.Helper()
				if err == nil || !strings.Contains(err.Error(), "is NaN") || s.Len() != 0 || len(s.Logits(nil)) != 0 {
					t.Errorf("NaN in %s, cache %v, %s: error %v, %d positions, %d logits", x.Name, cache, what, err, s.Len(),
						len(s.Logits(nil)))
				}
			}
			expect("read", s.Read(ctx, in...))
			_, err := s.Write(ctx, ids...)
			expect("written", err)
			for _, err := range s.Generate(ctx, in, gemma4.GenerateOptions{Sampling: greedy}) {
				expect("generated from", err)
				break
			}
			_, err = s.Perplexity(ctx, ids, nil)
			expect("foretold", err)
			_, err = s.Embed(ctx, ids)
			expect("embedded", err)
		}
		m.Close()
	}
}

// TestADraftThatFailsIsNoError: a token that nobody has chosen may be one that the model cannot read.
func TestADraftThatFailsIsNoError(t *testing.T) {
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const broken = 1900
	m, err := gemma4.OpenBytes(withNaN(t, f, f.Tensor("per_layer_token_embd.weight"), broken))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s := newSession(t, m, gemma4.SessionOptions{})
	if _, err := s.Write(ctx, broken); err == nil {
		t.Fatal("the token can be read")
	}
	in := prompt(m, question)
	for name, g := range map[string]*grammar.Grammar{"free": nil, "grammar": expression(t, m, `(?s).*`)} {
		o := forTokens(m, 30, 3)
		o.Grammar = g
		o.Draft.Off = true
		want := write(t, newSession(t, m, gemma4.SessionOptions{}), in, o)
		o.Draft = gemma4.Draft{Always: true, Match: -1, Guess: func([]int32, int) []int32 { return []int32{broken, broken} }}
		got := write(t, newSession(t, m, gemma4.SessionOptions{}), in, o)
		if d := got.differs(want); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if d := got.result.Drafts; len(d) != 1 || d[0].Passes == 0 || d[0].Accepted != 0 {
			t.Errorf("%s: %+v, expected passes in which nothing was accepted", name, d)
		}
	}
}
