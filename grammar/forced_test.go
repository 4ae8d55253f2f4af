package grammar

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestForcedTokensHaveNoAlternative(t *testing.T) {
	v := small(t)
	for _, c := range []struct{ expression, start, want, rest string }{
		{`hello world`, "", "hello world", ""},
		{`hello( world| there)`, "", "hello", " "}, // a token may hold more than what is forced
		{`(the|them) cat`, "", "the", ""},
		{`a|b`, "", "", ""},
		{`ab*`, "", "a", "a"},
		{`é|è`, "", "", ""},
		{`"[a-z]*": yes`, `"abc"`, `: yes`, ""},
		{`x`, "x", "", ""},
	} {
		g := must(Regexp(v, c.expression))(t)
		s, ok := g.Start().AcceptText(c.start)
		if !ok {
			t.Fatalf("%s: %q refused", c.expression, c.start)
		}
		var got strings.Builder
		for _, id := range s.Forced() {
			for other := range s.Mask().All {
				rest := strings.TrimPrefix(c.want, got.String())
				if text := v.texts[other]; !strings.HasPrefix(rest, text) {
					t.Errorf("%s: after %q token %q is allowed, too", c.expression, got.String(), text)
				}
			}
			got.WriteString(v.texts[id])
			if s, ok = s.Accept(id); !ok {
				t.Fatalf("%s: forced token %q refused", c.expression, v.texts[id])
			}
		}
		if !strings.HasPrefix(c.want, got.String()) || !strings.HasSuffix(c.want, c.rest) && got.String() != c.want {
			t.Errorf("%s: forced %q, want %q", c.expression, got.String(), c.want)
		}
		t.Logf("%s: %q", c.expression, got.String())
	}
}

// TestOnlyByteIsTheOnlyOne compares with a try of every byte.
func TestOnlyByteIsTheOnlyOne(t *testing.T) {
	v := small(t)
	for _, x := range append(expressions, `[ab]`, `[ac]`, `b`, `[a-z]`, `(ab|cb)d`, `é|ê`, `[^a]`) {
		walkRandomly(must(Regexp(v, x))(t), rand.New(rand.NewPCG(1, 2)), 30, func(s State) {
			n, only := 0, byte(0)
			for b := range 256 {
				if s.g.next(s.s, s.g.class[b]) != nowhere {
					n, only = n+1, byte(b)
				}
			}
			b, after := s.g.only(s.s)
			if want := n == 1 && !s.CanEnd(); (after != nil) != want || want && b != only {
				t.Errorf("%s: byte %q, %v, of %d, the last of them %q", x, b, after != nil, n, only)
			}
		})
	}
}

func TestForcedMarkerHasNoAlternative(t *testing.T) {
	v := small(t)
	for _, c := range []struct {
		rules string
		want  int
	}{
		{`root ::= <|tool_call> "x" | <|channel> | <|tool_call> "y"`, 0},
		{`root ::= <|tool_call> "x" | <|tool_call> "y"`, 1},
		{`root ::= <|tool_call>`, 1},
		{`root ::= <|tool_call> | "x"`, 0},
		{`root ::= <|tool_call>?`, 0},
	} {
		s := must(GBNF(v, c.rules))(t).Start()
		if ids := s.Forced(); len(ids) != c.want || c.want == 1 && !slices.Equal(ids, slices.Collect(s.Mask().All)) {
			t.Errorf("%s: forced %v, allowed %v", c.rules, ids, slices.Collect(s.Mask().All))
		}
	}
}
