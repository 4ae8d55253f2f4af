package grammar

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
)

// language computes the strings of at most n bytes of each rule, from below.
func language(b *builder, n int) []map[string]bool {
	sets := make([]map[string]bool, len(b.bodies))
	for i := range sets {
		sets[i] = map[string]bool{}
	}
	join := func(a, c map[string]bool) map[string]bool {
		all := map[string]bool{}
		for x := range a {
			for y := range c {
				if len(x)+len(y) <= n {
					all[x+y] = true
				}
			}
		}
		return all
	}
	var of func(x *body) map[string]bool
	of = func(x *body) map[string]bool {
		switch x.kind {
		case bodyBytes:
			return map[string]bool{b.shortest(x.e): true}
		case bodyRule:
			return sets[x.rule]
		case bodySeq:
			all := map[string]bool{"": true}
			for _, y := range x.list {
				all = join(all, of(y))
			}
			return all
		case bodyChoice:
			all := map[string]bool{}
			for _, y := range x.list {
				for s := range of(y) {
					all[s] = true
				}
			}
			return all
		}
		one, all, times := of(x.list[0]), map[string]bool{}, map[string]bool{"": true}
		for i := 0; i <= n+int(x.min) && (x.max < 0 || i <= int(x.max)); i++ {
			if i >= int(x.min) {
				for s := range times {
					all[s] = true
				}
			}
			times = join(times, one)
		}
		return all
	}
	for changed := true; changed; {
		changed = false
		for r, x := range b.bodies {
			for s := range of(x) {
				changed = changed || !sets[r][s]
				sets[r][s] = true
			}
		}
	}
	return sets
}

// TestParserAcceptsTheLanguageOfAnyRules builds rules at random, left recursive, ambiguous and empty ones among them, and tries all short
// strings.
func TestParserAcceptsTheLanguageOfAnyRules(t *testing.T) {
	v := small(t)
	r := rand.New(rand.NewPCG(3, 4))
	rounds, some := 400, 0
	if testing.Short() {
		rounds = 100
	}
	for round := range rounds {
		b := randomRules(r)
		want := language(b, 6)[0]
		g, err := v.grammar(b, ruleBody(0))
		if err != nil {
			if len(want) > 0 {
				t.Fatalf("round %d: %v, but it has %v", round, err, want)
			}
			continue
		}
		some++
		var try func(s string)
		try = func(s string) {
			at, ok := g.Start().AcceptText(s)
			if want[s] != at.CanEnd() {
				t.Fatalf("round %d: %q: can end %v, want %v", round, s, at.CanEnd(), want[s])
			}
			for longer := range want {
				if strings.HasPrefix(longer, s) && !ok {
					t.Fatalf("round %d: %q refused, but %q is allowed", round, s, longer)
				}
			}
			if len(s) < 6 {
				try(s + "a")
				try(s + "b")
			}
		}
		try("")
	}
	if some < rounds/3 {
		t.Fatalf("only %d grammars of %d have any text", some, rounds)
	}
}

// TestForgettingChangesNothing walks a grammar that forgets what it knows all the time beside one that does not.
func TestForgettingChangesNothing(t *testing.T) {
	v := small(t)
	narrow := NewVocabulary(v.tokenizer)
	narrow.cache.limit, narrow.cache.step = 1, 20000
	for _, c := range schemas {
		g, err := Schema(v, []byte(c.schema), SchemaOptions{})
		if err != nil {
			continue
		}
		forgets := must(Schema(narrow, []byte(c.schema), SchemaOptions{}))(t)
		other := forgets.Start()
		old, at := forgets.flushes, g.Start()
		r := rand.New(rand.NewPCG(11, 12))
		for range 40 {
			ids := slices.Collect(at.Mask().All)
			if !slices.Equal(ids, slices.Collect(other.Mask().All)) || at.CanEnd() != other.CanEnd() || at.Left() != other.Left() {
				t.Fatalf("%s: %v and %v differ", c.schema, at.Mask().Len(), other.Mask().Len())
			}
			if len(ids) == 0 {
				break
			}
			id := ids[r.IntN(len(ids))]
			at, _ = at.Accept(id)
			other, _ = other.Accept(id)
		}
		if forgets.flushes == old {
			t.Logf("%s: nothing forgotten", c.schema)
		}
	}
}

// TestOneGrammarServesManyAtOnce is for the race detector.
func TestOneGrammarServesManyAtOnce(t *testing.T) {
	v := NewVocabulary(small(t).tokenizer)
	v.cache.limit, v.cache.step = 1, 200000
	g := must(Schema(v, []byte(schemas[1].schema), SchemaOptions{}))(t)
	var wait sync.WaitGroup
	for i := range uint64(4) {
		wait.Go(func() {
			walkRandomly(g, rand.New(rand.NewPCG(i, i)), 30, func(s State) {
				s.Forced()
				s.Left()
				if s.CanEnd() && s.Mask().Len() == 0 {
					s.MaskWithin(5)
				}
			})
		})
	}
	wait.Wait()
}

// randomRules returns three rules over a and b.
func randomRules(r *rand.Rand) *builder {
	b := newBuilder()
	for range 3 {
		b.rule(nil)
	}
	var random func(depth int) *body
	random = func(depth int) *body {
		switch n := r.IntN(9); {
		case n < 3 || depth == 0:
			return bytesBody(b.literal([]string{"a", "b", "ab", ""}[r.IntN(4)]))
		case n < 5:
			return ruleBody(r.Int32N(3))
		case n < 6:
			return repeat(random(depth-1), r.Int32N(3), 2+r.Int32N(3))
		case n < 7:
			return repeat(random(depth-1), r.Int32N(4), -1)
		case n < 8:
			return choice(random(depth-1), random(depth-1))
		}
		return b.seq(random(depth-1), random(depth-1))
	}
	for i := range b.bodies {
		b.bodies[i] = b.seq(random(3), random(2))
	}
	return b
}

// TestBoundsAreMetByAnswersAlone meets a bound with one answer of a grammar; others do not notice.
func TestBoundsAreMetByAnswersAlone(t *testing.T) {
	v := small(t)
	g := must(Schema(v, []byte(`{"type":"string","allOf":[{"pattern":"^(lx|r(x|é[ab]*a[ab]{15}c))$"},
		{"pattern":"^(lx|r(x|é[ab]*b[ab]{14}[cd]))$"}]}`), SchemaOptions{}))(t)
	for range 2 { // the second time all is known
		for text, bound := range map[string]bool{`"l`: false, `"lx"`: false, `"r`: true, `"rx`: false} {
			s, ok := g.Start().AcceptText(text)
			if s.Mask(); !ok || (s.Err() != nil) != bound || bound && !errors.Is(s.Err(), ErrLimit) {
				t.Errorf("%s: allowed %v, %v", text, ok, s.Err())
			}
		}
		if _, ok := g.Start().AcceptText(`"ré`); ok {
			t.Error("what lies beyond the bound is let through")
		}
	}
}
