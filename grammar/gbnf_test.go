package grammar

import (
	"math/rand/v2"
	"strings"
	"testing"
)

const jsonGBNF = `
root   ::= object   # as llama.cpp has it
value  ::= object | array | string | number | ("true" | "false" | "null") ws

object ::=
  "{" ws (
            string ":" ws value
    ("," ws string ":" ws value)*
  )? "}" ws

array  ::=
  "[" ws (
            value
    ("," ws value)*
  )? "]" ws

string ::=
  "\"" (
    [^"\\\x7F\x00-\x1F] |
    "\\" (["\\bfnrt] | "u" [0-9a-fA-F]{4})
  )* "\"" ws

number ::= ("-"? ([0-9] | [1-9] [0-9]{0,15})) ("." [0-9]+)? ([eE] [-+]? [0-9] [1-9]{0,15})? ws

# Optional space: by convention, applied in this grammar after literal chars when allowed
ws ::= | " " | "\n" [ \t]{0,20}
`

func TestGBNF(t *testing.T) {
	v := small(t)
	long := strings.Repeat("ab", 3000)
	for _, c := range []struct {
		name, text string
		yes, no    string // texts, with | between them
	}{
		{"json", jsonGBNF, `{}|{"a":1}|{ "a": [1, {"b":null}], "c\n": "x" }|{"a":-1.5e3}`,
			`[]|{"a"}|{"a":01}|{"a":1,}|{"a":"` + "\n" + `"}`},
		{"left recursion", `root ::= root "+" [0-9] | [0-9]`, "1|1+2|1+2+3", "+|1+|12"},
		{"mutual recursion", "root ::= a | \"x\"\na ::= \"(\" b \")\"\nb ::= root | root \",\" b", "x|(x)|(x,x)|((x),x)", "()|(x|(x,)"},
		{"right recursion", `root ::= "ab" root | ""`, long + "|", long + "a|b"},
		{"nothing", `root ::= "" | ( )`, "", "a"},
		{"counts", `root ::= ("a" root? "b"){2,3}`, "abab|ababab|aababbab", "ab|abababab"},
		{"ambiguity", `root ::= root root | "a" | ""`, "|a|aaaaaaaa", "b|aab"},
		{"characters", "root ::= [é-ü] \"\\u20ac\" . [^a] [a-] [\\]] ", "ë€xb-]|é€€\x00a]", "e€xb-]|é€xa-]"},
		{"lines", "root ::= \"a\" |\n \"b\" # not\n\nx ::= (\n\"c\"\n\n)", "a|b", "c|ab"},
	} {
		g, err := GBNF(v, c.text)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for i, texts := range []string{c.yes, c.no} {
			for _, text := range strings.Split(texts, "|") {
				if s, _ := g.Start().AcceptText(text); s.CanEnd() != (i == 0) {
					t.Errorf("%s: %.60q can end: %v", c.name, text, i == 1)
				}
			}
		}
		walkRandomly(g, rand.New(rand.NewPCG(1, 2)), 20, func(s State) { checkMask(t, c.name, s) })
	}
}

func TestGBNFNamesSpecialTokens(t *testing.T) {
	v := small(t)
	g := must(GBNF(v, `root ::= "a" <|tool_call> [a-z]+ <tool_call|>`))(t)
	s, _ := g.Start().AcceptText("a")
	open, _ := v.tokenizer.ID("<|tool_call>")
	if ids := s.Mask().IDs(); len(ids) != 1 || ids[0] != open {
		t.Fatalf("after a come %v, want %d alone", ids, open)
	}
	if ids := s.Forced(); len(ids) != 1 || ids[0] != open {
		t.Fatalf("after a is forced %v, want %d", ids, open)
	}
	if _, ok := s.AcceptText("<|tool_call>"); ok {
		t.Fatal("the token's letters stand for it")
	}
	s, _ = s.Accept(open)
	for _, text := range []string{"x", "y"} {
		if s, _ = s.AcceptText(text); s.CanEnd() {
			t.Fatal("ends without its closing token")
		}
	}
	shut, _ := v.tokenizer.ID("<tool_call|>")
	if s, _ = s.Accept(shut); !s.CanEnd() {
		t.Fatal("does not end")
	}
}

func TestGBNFErrorsNameThePlace(t *testing.T) {
	v := small(t)
	for text, want := range map[string]string{
		"":                                     "rule root is not defined",
		"root = x":                             "1:6: expected ::=",
		"root ::= x":                           "1:10: rule x is not defined",
		"root ::= \"a\nroot ::= b":             "2:11: expected a character, found the end",
		"root ::= (\"a\"":                      "1:14: expected ), found the end",
		"root ::= [z-a]":                       "1:11: class from 'z' to 'a' is empty",
		"root ::= \"a\"\n\nroot ::=":           "3:1: rule root is defined twice",
		"root ::= \"\\q\"":                     "1:11: no such escape",
		"root ::= \"a\"{3,2}":                  "1:13: {3,2}",
		"root ::= \"a\"{x}":                    "1:14: expected a number",
		"root ::= <nonesuch>":                  "1:10: <nonesuch> is no token",
		"root ::= <[9999999]>":                 "1:10: <[9999999]>: expected the number of a token",
		"root ::= \"a\" )":                     "1:14: expected the end of the line",
		"root ::= root":                        "no text is allowed",
		"root ::= " + strings.Repeat("(", 600): "brackets nested deeper",
		"root ::= \"\u2581\"":                  "cannot write",
	} {
		_, err := GBNF(v, text)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "grammar: GBNF: ") {
			t.Errorf("%.40q: %v, want %s", text, err, want)
		}
	}
}

func FuzzGBNF(f *testing.F) {
	f.Add(jsonGBNF, `{"a": 1}`)
	f.Add("root ::= root? \"a\" | [b-c]{0,3} <[5]>", "abc")
	v := small(f)
	f.Fuzz(func(t *testing.T, text, input string) {
		g, err := GBNF(v, text)
		if err != nil || len(input) > 100 {
			return
		}
		s, _ := g.Start().AcceptText(input)
		checkMask(t, text, s)
	})
}
