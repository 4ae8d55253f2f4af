package grammar

import (
	"flag"
	"math/rand/v2"
	"regexp/syntax"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var maskStates = flag.Int("masks", 0, "the states of each grammar whose masks are compared with brute force; else 200, or a part of them")

// A matcher says whether a text can be the beginning of one that is allowed. Matchers share no code with the package.
type matcher interface {
	// step returns the matcher after a byte, or nil.
	step(b byte) matcher
}

// A thompson is the set of places in a regular expression that a text leads to, and the bytes of a character that has begun.
type thompson struct {
	prog    *syntax.Prog
	at      map[uint32]bool
	partial string
}

func newThompson(t *testing.T, expression string) matcher {
	t.Helper()
	re, err := syntax.Parse(`\A(?:`+expression+`)\z`, syntax.Perl)
	if err != nil {
		t.Fatal(expression, err)
	}
	prog, err := syntax.Compile(re.Simplify())
	if err != nil {
		t.Fatal(expression, err)
	}
	m := thompson{prog: prog, at: map[uint32]bool{}}
	m.add(uint32(prog.Start), true)
	return m
}

// add follows what takes no character.
func (m thompson) add(pc uint32, begin bool) {
	if m.at[pc] {
		return
	}
	m.at[pc] = true
	switch in := m.prog.Inst[pc]; in.Op {
	case syntax.InstAlt, syntax.InstAltMatch:
		m.add(in.Out, begin)
		m.add(in.Arg, begin)
	case syntax.InstCapture, syntax.InstNop:
		m.add(in.Out, begin)
	case syntax.InstEmptyWidth:
		if syntax.EmptyOp(in.Arg) == syntax.EmptyEndText || begin {
			m.add(in.Out, begin)
		}
	}
}

func (m thompson) step(b byte) matcher {
	text := m.partial + string([]byte{b})
	// The characters that begin with these bytes.
	lo, hi := rune(-1), rune(-1)
	if r, n := utf8.DecodeRuneInString(text); n == len(text) && (r != utf8.RuneError || n > 1) {
		lo, hi = r, r
	} else {
		for _, fill := range []string{"\x80", "\x90", "\xa0", "\xbf", "\x9f", "\x8f"} {
			for n := len(text) + 1; n <= 4; n++ {
				r, size := utf8.DecodeRuneInString(text + fill + strings.Repeat("\x80", n-len(text)-1))
				if size == n && (lo < 0 || r < lo) {
					lo = r
				}
				if r, size := utf8.DecodeRuneInString(text + fill + strings.Repeat("\xbf", n-len(text)-1)); size == n {
					hi = max(hi, r)
				}
			}
		}
		if lo < 0 {
			return nil
		}
	}
	next := thompson{m.prog, map[uint32]bool{}, ""}
	partial := lo != hi || utf8.RuneLen(lo) != len(text)
	for pc := range m.at {
		in := m.prog.Inst[pc]
		fits := false
		switch in.Op {
		case syntax.InstRune, syntax.InstRune1:
			if len(in.Rune) == 1 {
				fits = lo == hi && in.MatchRune(lo) || lo <= in.Rune[0] && in.Rune[0] <= hi
				break
			}
			for i := 0; i < len(in.Rune); i += 2 {
				fits = fits || in.Rune[i] <= hi && in.Rune[i+1] >= lo
			}
		case syntax.InstRuneAny:
			fits = true
		case syntax.InstRuneAnyNotNL:
			fits = lo != hi || lo != '\n'
		}
		if fits && partial {
			next.at[pc] = true
		} else if fits {
			next.add(in.Out, false)
		}
	}
	if partial {
		next.partial = text
	}
	if len(next.at) == 0 {
		return nil
	}
	return next
}

// brackets are the texts of nested brackets around digits.
type brackets string

func (m brackets) step(b byte) matcher {
	open, done := string(m), false
	if n := len(open); n > 0 && open[n-1] == '.' {
		open, done = open[:n-1], n == 1 // a digit stands here
	}
	switch {
	case b >= '0' && b <= '9' && open == string(m) && len(open) > 0:
		return brackets(open + ".")
	case (b == '(' || b == '[') && !done && open == string(m):
		return brackets(open + string([]byte{b}))
	case b == ')' && strings.HasSuffix(open, "(") && open != string(m), b == ']' && strings.HasSuffix(open, "[") && open != string(m):
		return brackets(open[:len(open)-1] + ".")
	}
	return nil
}

// tokensOf returns the tokens that may follow, each tried byte by byte from where the one before has been the same.
func tokensOf(m matcher, v *Vocabulary, sorted []int32) (ids []int32) {
	path := []matcher{m} // by the number of bytes
	before := ""
	for _, id := range sorted {
		text := v.texts[id]
		same := 0
		for same < min(len(before), len(text)) && before[same] == text[same] {
			same++
		}
		for path = path[:same+1]; len(path) <= len(text); {
			at := path[len(path)-1]
			if at != nil {
				at = at.step(text[len(path)-1])
			}
			path = append(path, at)
		}
		if before = text; path[len(text)] != nil {
			ids = append(ids, id)
		}
	}
	return ids
}

const (
	jsonString  = `"(?:[ !#-\[\]-\x{2580}\x{2582}-\x{10ffff}]|\\["\\bfnrt]|\\u00(?:0[0-7be-f]|1[0-9a-f])|\\u2581)*"`
	jsonInteger = `(?:0|-?[1-9][0-9]*)`
)

// TestMasksEqualThoseOfAnIndependentMatcher tries each token of the vocabulary byte by byte in states of 20 grammars.
func TestMasksEqualThoseOfAnIndependentMatcher(t *testing.T) {
	for _, v := range []*Vocabulary{small(t), gemma(t)} {
		var sorted []int32 // the ids of text, by text
		for id, text := range v.texts {
			if text != "" {
				sorted = append(sorted, int32(id))
			}
		}
		slices.SortFunc(sorted, func(a, b int32) int { return strings.Compare(v.texts[a], v.texts[b]) })
		states := 200
		switch {
		case *maskStates > 0:
			states = *maskStates
		case v.size > 10000 && testing.Short():
			states = 1
		case v.size > 10000:
			states = 4
		case testing.Short():
			states = 20
		}
		schema := func(text string) *Grammar { return must(Schema(v, []byte(text), SchemaOptions{}))(t) }
		r := rand.New(rand.NewPCG(21, 22))
		type test struct {
			name string
			g    *Grammar
			m    matcher
		}
		var tests []test
		for _, x := range []string{`[a-z]{1,5}`, `(?:the|then|there) (?:cat|category)`, `[A-Za-z_][A-Za-z0-9_]{0,20}`, `\d{4}-\d{2}-\d{2}`,
			`(?s).{3,}`, `(?:a|ab)(?:c|bcd)*`, `[\x{3040}-\x{30ff}]+ ?`, `[^a-z]+`, `(?:[^"\\]|\\.){0,3}"x`,
			`[a-z0-9_-]+@[a-z]+\.[a-z]{2,3}`, jsonString} {
			tests = append(tests, test{x, must(Regexp(v, strings.ReplaceAll(x, `\\.`, `\\(?s:.)`)))(t),
				newThompson(t, strings.ReplaceAll(x, `\\.`, `\\(?s:.)`))})
		}
		for _, c := range []struct{ schema, expression string }{
			{`{"type":"string"}`, jsonString},
			{`{"type":["integer","null"]}`, jsonInteger + `|null`},
			{`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}},"required":["b"],"additionalProperties":false}`,
				`\{(?:"a": ` + jsonInteger + `, )?"b": ` + jsonString + `\}`},
			{`{"type":"array","items":{"enum":["x","xy",1]},"minItems":1,"maxItems":3}`, `\[(?:"x"|"xy"|1)(?:, (?:"x"|"xy"|1)){0,2}\]`},
			{`{"type":"string","pattern":"^a.*z$","maxLength":9}`,
				`"a(?:[ !#-\[\]-\x{2027}\x{202a}-\x{2580}\x{2582}-\x{10ffff}]|\\["\\bft]|\\u00(?:0[0-7be-f]|1[0-9a-f])|\\u2581){0,7}z"`},
			{`{"anyOf":[{"const":{"k":[true]}},{"type":"array","items":{"type":"boolean"}}]}`,
				`\{"k": \[true\]\}|\[(?:(?:true|false)(?:, (?:true|false))*)?\]`},
			{`{"type":"integer","minimum":-20,"maximum":150}`, `-(?:[1-9]|1[0-9]|20)|[0-9]|[1-9][0-9]|1[0-4][0-9]|150`},
			{`{"type":"object","properties":{"a":{"type":"null"},"b":{"type":"null"}},"minProperties":1,"additionalProperties":false}`,
				`\{(?:"a": null(?:, "b": null)?|"b": null)\}`},
		} {
			tests = append(tests, test{c.schema, schema(c.schema), newThompson(t, c.expression)})
		}
		const nested = `root ::= "(" x ")" | "[" x "]"` + "\n" + `x ::= root | [0-9]`
		tests = append(tests, test{nested, must(GBNF(v, nested))(t), brackets("")})
		for _, c := range tests {
			s, m := c.g.Start(), c.m
			for range states {
				want := tokensOf(m, v, sorted)
				if s.CanEnd() {
					want = append(want, v.ends...)
				}
				slices.Sort(want)
				got := slices.Collect(s.Mask().All)
				if !slices.Equal(got, want) {
					for id := range int32(v.size) {
						if slices.Contains(got, id) != slices.Contains(want, id) {
							t.Fatalf("%s: token %d, %q, is in the mask: %v", c.name, id, v.texts[id], slices.Contains(got, id))
						}
					}
				}
				id := int32(-1)
				if len(want) > 0 {
					id = want[r.IntN(len(want))]
				}
				if id < 0 || v.texts[id] == "" {
					s, m = c.g.Start(), c.m
					continue
				}
				for i := range len(v.texts[id]) {
					m = m.step(v.texts[id][i])
				}
				s, _ = s.Accept(id)
			}
		}
		if len(tests) != 20 {
			t.Errorf("%d grammars", len(tests))
		}
	}
}
