package grammar

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestHostileGrammarsEnd tries what takes other engines down. Each must come to an error or to a few masks within memory, and within a time
// that only what hangs reaches, however busy the machine is.
func TestHostileGrammarsEnd(t *testing.T) {
	v := small(t)
	repeated := func(n int, f string) string {
		var b strings.Builder
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, f, i, i+1)
		}
		return b.String()
	}
	schema := func(s string) func() (*Grammar, error) {
		return func() (*Grammar, error) { return Schema(v, []byte(s), SchemaOptions{}) }
	}
	regex := func(s string) func() (*Grammar, error) { return func() (*Grammar, error) { return Regexp(v, s) } }
	for name, build := range map[string]func() (*Grammar, error){
		"chain of references": schema(`{"$ref":"#/$defs/d0","$defs":{` + repeated(5000, `"d%d":{"$ref":"#/$defs/d%d"}`) +
			`,"d5000":{"type":"null"}}}`),
		"circle of references": schema(`{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/a"}}}`),
		"allOf of 1000":        schema(`{"type":"object","allOf":[` + repeated(1000, `{"properties":{"p%d":{"minimum":%d}}}`) + `]}`),
		"anyOf of anyOf":       schema(`{"allOf":[` + repeated(30, `{"anyOf":[{"minimum":%d},{"maximum":%d}]}`) + `]}`),
		"oneOf of 300": schema(`{"oneOf":[` +
			repeated(300, `{"type":"object","properties":{"k":{"const":%d},"x":{"maximum":%d}},"required":["k"]}`) + `]}`),
		"a million values":           schema(`{"enum":[` + strings.Repeat("1234567,", 400000) + `1]}`),
		"a million different values": schema(`{"enum":[` + repeated(1000000, `%[1]d`) + `]}`),
		"500000 different values":    schema(`{"enum":[` + repeated(500000, `%[1]d`) + `]}`),
		"200000 strings":             schema(`{"enum":[` + repeated(200000, `"v%d-%d"`) + `]}`),
		"10000 properties":           schema(`{"properties":{` + repeated(10000, `"p%d":{"const":%d}`) + `},"additionalProperties":false}`),
		"deep":                       schema(strings.Repeat(`{"items":`, 450) + `{}` + strings.Repeat(`}`, 450)),
		"deeper":                     schema(strings.Repeat(`[`, 100000)),
		"long strings":               schema(`{"type":"string","minLength":1000000,"maxLength":1000000}`),
		"long lists": schema(`{"type":"array","items":{"type":"array","items":{"type":"null"},"maxItems":1000000},
			"minItems":100000,"maxItems":1000000}`),
		"lengths and pattern": schema(`{"type":"string","pattern":"^(a|b)*a(a|b){12}$","minLength":100,"maxLength":100000}`),
		"patterns":            schema(`{"allOf":[` + repeated(20, `{"pattern":"a.{%d}b.{%d}"}`) + `]}`),
		"huge numbers":        schema(`{"type":"number","minimum":1e399,"maximum":1e400,"multipleOf":1e-300}`),
		"huger numbers":       schema(`{"type":"number","minimum":1e999999999}`),
		"dependencies":        schema(`{"dependentRequired":{` + repeated(40, `"a%d":["a%d"]`) + `}}`),
		"nots":                schema(strings.Repeat(`{"not":`, 300) + `{}` + strings.Repeat(`}`, 300)),
		"not of itself": schema(`{"type":"object","properties":{"a":{"$ref":"#"}},
			"if":{"required":["a"]},"then":{"$ref":"#"},"else":{"not":{"$ref":"#/properties/a"}}}`),
		"stars":                              regex(`(((a*)*)*)*`),
		"stars and ends":                     regex(`(a|aa|aaa)*(a|b)*a(a|b){15}`),
		"many states":                        regex(`[^"]*a[^"]{2}b[^"]{14}`),
		"counts":                             regex(`((a{0,30}){0,30}b?){0,1}`),
		"counts of counts, in an expression": regex(`((a{1000}){1000}){1000}`),
		"counts of counts": func() (*Grammar, error) {
			return GBNF(v, "root ::= ((\"ab\" x){1000}{1000}{1000} | \"a\"{1000}{1000}{1000}){1000}\nx ::= x \"c\" | \"d\"?")
		},
		"100000 rules": func() (*Grammar, error) {
			rules := strings.ReplaceAll(repeated(100000, `r%d ::= "a" r%d | [b-z]+`), ",", "\n")
			return GBNF(v, "root ::= r0\n"+rules+"\nr100000 ::= \"a\"")
		},
		"left and right": func() (*Grammar, error) { return GBNF(v, `root ::= root root root | "a" | ""`) },
		"brackets": func() (*Grammar, error) {
			return GBNF(v, "root ::= "+strings.Repeat("(", 400)+`"a"`+strings.Repeat("){0,1000000}", 400))
		},
		"a billion bytes":      func() (*Grammar, error) { return GBNF(v, `root ::= "a"{1000000000}`) },
		"a billion characters": schema(`{"type":"string","minLength":1000000000}`),
		"a billion values":     schema(`{"type":"array","minItems":1000000000}`),
		"2000 letters that may be missing": func() (*Grammar, error) {
			return GBNF(v, "root ::= "+strings.Repeat(`"a"? `, 2000))
		},
		"50000 classes": func() (*Grammar, error) { return GBNF(v, "root ::= "+strings.Repeat(`"a" [bc] `, 50000)) },
		"50000 choices": func() (*Grammar, error) {
			return GBNF(v, `root ::= "x"`+strings.ReplaceAll(repeated(50000, ` | "c%d-%d"`), ",", ""))
		},
		"trees of trees": schema(`{"$ref":"#/$defs/d0","$defs":{` + repeated(40,
			`"d%d":{"type":"object","properties":{"a":{"$ref":"#/$defs/d%[2]d"},"b":{"$ref":"#/$defs/d%[2]d"}},"required":["a","b"]}`) +
			`,"d40":{"type":"string"}}}`),
		"nothing, often": func() (*Grammar, error) { return GBNF(v, "root ::= ((\"\" | root){0,60} \"a\"){3,1000000}") },
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			g, err := build()
			steps := 0
			if err == nil {
				s := g.Start()
				for range 15 {
					steps++
					m := s.Mask()
					if m.Len() == 0 {
						break
					}
					for id := range m.All {
						s, _ = s.Accept(id)
						break
					}
				}
				if s.Err() != nil && !errors.Is(s.Err(), ErrLimit) {
					t.Error(s.Err())
				}
			}
			took := time.Since(start)
			runtime.GC()
			runtime.ReadMemStats(&after)
			live := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) >> 20
			all := (after.TotalAlloc - before.TotalAlloc) >> 20
			t.Logf("%v, %d MB live of %d MB, %d steps: %.100v", took.Round(time.Millisecond), live, all, steps, err)
			if took > time.Minute || live > 100 {
				t.Errorf("%v and %d MB", took, live)
			}
			runtime.KeepAlive(g)
		})
	}
}

func TestExpressionsThatCannotBeEnforcedAreNamed(t *testing.T) {
	v := small(t)
	for expression, want := range map[string]string{
		`a\b`: `not supported: \b`, `a$b`: "not supported: ^ or $ within the expression", `(?:^a|b)*c`: "not supported: ^ or $",
	} {
		if _, err := Regexp(v, expression); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", expression, err, want)
		}
	}
	for _, expression := range []string{`(`, `a{2000}`} { // these are no expressions
		if _, err := Regexp(v, expression); err == nil || errors.Is(err, ErrUnsupported) {
			t.Errorf("%s: %v", expression, err)
		}
	}
}
