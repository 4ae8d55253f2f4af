package grammar

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"
)

func TestEqualGrammarsAreMadeOnce(t *testing.T) {
	v := NewVocabulary(small(t).tokenizer)
	var all []*Grammar
	for range 2 {
		schema := func(text string, o SchemaOptions) {
			all = append(all, must(Schema(v, []byte(text), o))(t))
		}
		schema(`{"properties":{"a":{"type":"null"}}}`, SchemaOptions{})
		schema(`{"properties":{"b":{"type":"null"}}}`, SchemaOptions{})
		schema(`{"properties":{"a":{"type":"null"}}}`, SchemaOptions{Layout: Compact})
		schema(`{"properties":{"a":{"type":"null"}}}`, SchemaOptions{Closed: true})
		schema(`{"properties":{"a":{"type":"null"}}}`, SchemaOptions{Loose: true})
		all = append(all, must(Regexp(v, `"a"`))(t), must(GBNF(v, `root ::= "a"`))(t))
		all = append(all, must(JSON(v, Spaced, true))(t), must(JSON(v, Spaced, false))(t))
		calls := func(o CallOptions, tools ...Tool) { all = append(all, must(Calls(v, tools, o))(t)) }
		a, b := Tool{Name: "a"}, Tool{Name: "a", Parameters: json.RawMessage(`{"type":"object"}`)}
		calls(CallOptions{}, a)
		calls(CallOptions{}, b)
		calls(CallOptions{}, a, weather)
		calls(CallOptions{}, weather, a)
		calls(CallOptions{Single: true}, a)
		calls(CallOptions{Choice: Required}, a)
		calls(CallOptions{Only: []string{"a"}}, a)
		a.Strict = true
		calls(CallOptions{}, a)
	}
	n := len(all) / 2
	for i, g := range all {
		for j, h := range all {
			if (g == h) != (i%n == j%n) {
				t.Errorf("grammars %d and %d are the same: %v", i, j, g == h)
			}
		}
	}
	const refused = `{"pattern":"(?<=a)"}`
	_, first := Schema(v, []byte(refused), SchemaOptions{})
	if _, again := Schema(v, []byte(refused), SchemaOptions{}); first == nil || again == nil || first.Error() != again.Error() {
		t.Errorf("%v, then %v", first, again)
	}
}

// TestOneOfManyMakesTheGrammar changes the text after it was given, too.
func TestOneOfManyMakesTheGrammar(t *testing.T) {
	v := NewVocabulary(small(t).tokenizer)
	var wait sync.WaitGroup
	made := make([]*Grammar, 8)
	for i := range made {
		wait.Go(func() {
			schema := []byte(properties(200, "x"))
			made[i], _ = Schema(v, schema, SchemaOptions{})
			clear(schema)
		})
	}
	wait.Wait()
	for _, g := range made {
		if g == nil || g != made[0] {
			t.Errorf("%p and %p", g, made[0])
		}
	}
}

// TestWhatIsRememberedIsBounded makes more grammars than there is room for, and uses some of them all the time.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	v := NewVocabulary(small(t).tokenizer)
	v.cache.limit, v.cache.step = 2<<20, 1<<10
	schema := func(i int) []byte {
		return fmt.Appendf(nil, `{"type":"object","properties":{"a%d":{"pattern":"a.{%d}b"},"b":{"type":"integer"}}}`, i, i%40)
	}
	first := must(Schema(v, schema(0), SchemaOptions{}))(t)
	r := rand.New(rand.NewPCG(1, 2))
	kept := 0
	for i := range 200 {
		g := must(Schema(v, schema(i), SchemaOptions{}))(t)
		if h := must(Schema(v, schema(0), SchemaOptions{}))(t); h == first {
			kept++
		}
		for _, g := range []*Grammar{first, g} {
			walkRandomly(g, r, 5, func(s State) { s.Mask() })
		}
		if taken := v.cache.taken.Load(); taken > v.cache.limit+64<<10 || taken < 0 {
			t.Fatalf("after %d grammars %d bytes are taken, of %d", i+1, taken, v.cache.limit)
		}
	}
	if v.cache.count < 5 || kept < 180 {
		t.Errorf("%d grammars are kept, the one in use %d times of 200", v.cache.count, kept)
	}
	// What is in no cache any more is counted until it is collected.
	v.cache.limit = 1
	must(Schema(v, schema(1000), SchemaOptions{}))(t)
	walkRandomly(first, r, 5, func(s State) { s.Mask() })
	runtime.KeepAlive(first)
	for end := time.Now().Add(time.Minute); v.cache.taken.Load() != 0; runtime.Gosched() { // what a collection sets off runs beside us
		runtime.GC()
		if time.Now().After(end) {
			t.Fatalf("%d bytes are taken by nothing", v.cache.taken.Load())
		}
	}
}
