package grammar

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestTextsEndInTime(t *testing.T) {
	v := small(t)
	r := rand.New(rand.NewPCG(5, 6))
	grammars := map[string]*Grammar{}
	for _, x := range append(expressions, `(?:abc){3,5}[x-z]{2,}`, `"(\\["\\]|[^"\\])*"`) {
		grammars[x] = must(Regexp(v, x))(t)
	}
	for range 100 {
		if g, err := v.grammar(randomRules(r), ruleBody(0)); err == nil {
			grammars["rules"] = g
			checkEnds(t, "rules", g, r)
		}
	}
	for name, g := range grammars {
		checkEnds(t, name, g, r)
	}
}

// TestMaskWithinEqualsBruteForce tries each token of the masks, in strings of all lengths above all, and in keys that must not be others.
func TestMaskWithinEqualsBruteForce(t *testing.T) {
	v := small(t)
	r := rand.New(rand.NewPCG(7, 8))
	check := func(name string, s State) {
		for _, n := range []int{0, 1, 2, 3, 5, s.Left(), s.Left() + 1, s.Left() + 2, s.Left() + 5, 100} {
			var want []int32
			most := max(n, s.Left())
			for id := range s.Mask().All {
				if after, _ := s.Accept(id); after.Left() <= most-1 {
					want = append(want, id)
				}
			}
			if got := slices.Collect(s.MaskWithin(n).All); !slices.Equal(got, want) {
				t.Fatalf("%s: %d tokens within %d, want %d", name, len(got), n, len(want))
			}
		}
	}
	for _, x := range append(expressions, `"[^"\\\x00-\x1f]{3,40}"(abc){0,3}`, `"[a-z]{9,}"`, `[a-z]{2,5}([0-9]{9})?`) {
		walkRandomly(must(Regexp(v, x))(t), r, 6, func(s State) { check(x, s) })
	}
	const schema = `{"properties":{"the":{"type":"null"},"then":{"type":"null"},"a":{"type":"null"}},"required":["then"]}`
	g := must(Schema(v, []byte(schema), SchemaOptions{}))(t)
	for _, text := range []string{``, `{"`, `{"then": null, "`, `{"then": null, "t`, `{"then": null, "th`, `{"then": null, "b`} {
		s, ok := g.Start().AcceptText(text)
		if !ok {
			t.Fatalf("%s is refused", text)
		}
		check(schema+" after "+text, s)
	}
}

// checkEnds takes random tokens from MaskWithin.
func checkEnds(t *testing.T, name string, g *Grammar, r *rand.Rand) {
	t.Helper()
	for range 5 {
		s := g.Start()
		least := s.Left()
		left := least + r.IntN(10)
		for n := left; !s.CanEnd() || n > 0; n-- {
			if n < s.Left() {
				t.Fatalf("%s: %d tokens left, %d needed, of %d at first", name, n, s.Left(), left)
			}
			if n == 0 {
				break
			}
			m, all := s.MaskWithin(n), s.Mask()
			ids := slices.Collect(m.All)
			if len(ids) == 0 {
				break
			}
			id := ids[r.IntN(len(ids))]
			if !all.Has(id) {
				t.Fatalf("%s: token %d is in no mask", name, id)
			}
			s, _ = s.Accept(id)
		}
		if !s.CanEnd() {
			t.Fatalf("%s: no end after %d tokens, %d would do", name, left, least)
		}
	}
}

// TestFewestTokensAreTheFewest compares with a search for the shortest sequence of tokens.
func TestFewestTokensAreTheFewest(t *testing.T) {
	v := small(t)
	for x, want := range map[string]int{``: 0, `a`: 1, `(ab){3}|b{9}`: 3, `[^\x00-\x{10ffff}]|the cat`: 2} {
		g := must(Regexp(v, x))(t)
		if got := g.Start().Left(); got > want+1 || got < min(want, 1) {
			t.Errorf("%s: %d tokens, want %d or so", x, got, want)
		}
	}
}

func must(g *Grammar, err error) func(testing.TB) *Grammar {
	return func(t testing.TB) *Grammar {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
}

// TestTextsWithoutAnEndInSightGoOn has tokens for texts that take more tokens than can be counted: they are cut off, not refused.
func TestTextsWithoutAnEndInSightGoOn(t *testing.T) {
	v := small(t)
	for _, schema := range []string{
		`{"type":"array","items":{"type":"object","properties":{"a":{"type":"array","items":{}}},"required":["a"]},"minItems":1000000000}`,
		`{"type":"array","minItems":1000,"items":{"type":"array","minItems":1000,"items":{"type":"array","minItems":1000,
			"items":{"type":"array","minItems":1000}}}}`,
	} {
		g, err := Schema(v, []byte(schema), SchemaOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s := g.Start()
		for n := range 20 {
			m := s.MaskWithin(30 - n)
			if m.Len() == 0 {
				t.Fatalf("%s: no token %d", schema, n)
			}
			for id := range m.All {
				s, _ = s.Accept(id)
				break
			}
		}
	}
}
