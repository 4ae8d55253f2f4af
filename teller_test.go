package gemma4

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gogemma/gemma4/chat"
)

// Whatever the pieces, the text before the first stop string comes out, as soon as it is certain, and in whole characters.
func TestStopStringsOfSeveralBytes(t *testing.T) {
	for _, stops := range [][]string{
		{"日本"}, {"本日", "日日本"}, {"éè"}, {"aé", "é日"}, {"èéè"}, {"日本", "本日"}, {"é"},
	} {
		for _, text := range []string{"日本日", "日日本", "aéèéè日", "ééè", "a日日", "èéaèéè", "aaé", "éaaè", "本", "aaaé日本"} {
			want, found := text, ""
			for _, s := range stops {
				if i := strings.Index(text, s); i >= 0 && i < len(want) {
					want, found = text[:i], s
				}
			}
			var starts []int
			for i := range text {
				starts = append(starts, i)
			}
			for cuts := range 1 << len(starts) { // a piece ends before the characters whose bit is set
				p := stopper{strings: stops}
				var got strings.Builder
				var stop string
				from := 0
				for i := 1; i <= len(starts) && stop == ""; i++ {
					end := len(text)
					if i < len(starts) {
						end = starts[i]
					}
					if i < len(starts) && cuts>>i&1 == 0 {
						continue
					}
					var out string
					out, stop = p.push(text[from:end])
					if from = end; !utf8.ValidString(out) || !utf8.ValidString(p.rest) {
						t.Fatalf("%q of %q: %q comes out and %q is held back", stops, text, out, p.rest)
					}
					if got.WriteString(out); stop == "" {
						begins := slices.ContainsFunc(stops,
							func(s string) bool { return strings.HasPrefix(s, p.rest) && len(s) > len(p.rest) })
						if p.rest != "" && !begins {
							t.Fatalf("%q of %q: %q is held back", stops, text, p.rest)
						}
					}
				}
				if got.WriteString(p.rest); got.String() != want || stop != found {
					t.Fatalf("%q of %q in pieces %b: %q by %q, want %q by %q", stops, text, cuts, got.String(), stop, want, found)
				}
			}
		}
	}
}

// Text that is held back for a stop string comes before the events after it, and as text.
func TestHeldBackTextKeepsItsPlace(t *testing.T) {
	text := func(s string) []chat.Event { return []chat.Event{{Text: s}} }
	thought := []chat.Event{{Kind: chat.Thought, Text: "hm"}}
	call := []chat.Event{{Kind: chat.ToolCall, Call: &chat.Call{Name: "f"}}}
	broken := []chat.Event{{Text: "<|tool_call>x", Err: &chat.CallError{}}}
	for _, test := range []struct {
		name   string
		tokens [][]chat.Event
		want   string // tokens of the model in order, with what they carry
		found  string
	}{
		{"a call", [][]chat.Event{text("aS"), call}, "0:text a|1:text S|-1:call_1", ""},
		{"a thought", [][]chat.Event{text("aST"), thought}, "0:text a|1:text ST|-1:thought hm", ""},
		{"a broken call", [][]chat.Event{text("S"), broken}, "0:text |1:text S|-1:error <|tool_call>x", ""},
		{"a call in the same token", [][]chat.Event{slices.Concat(text("bS"), call, text("TOP"))},
			"0:text b|-1:text S|-1:call_1|-1:text TOP", ""},
		{"calls have numbers", [][]chat.Event{call, text("b"), call}, "0:call_1|1:text b|2:call_2", ""},
		{"goes on", [][]chat.Event{text("S"), text("TA")}, "0:text |1:text STA", ""},
		{"stops", [][]chat.Event{text("aS"), text("TO"), text("Pb"), call}, "0:text a|1:text |2:text ", "STOP"},
		{"stops before a call of its token", [][]chat.Event{text("aS"), slices.Concat(text("TOP"), call)}, "0:text a|1:text ", "STOP"},
		{"at the end", [][]chat.Event{text("aST")}, "0:text a|-1:text ST", ""},
		{"no event", [][]chat.Event{text("S"), nil, text("U")}, "0:text |1:text |2:text SU", ""},
	} {
		var got []string
		calls := 0
		tell := teller{stop: stopper{strings: []string{"STOP"}}, calls: &calls, yield: func(tok Token) bool {
			s := fmt.Sprintf("%d:%v %s", tok.ID, tok.Kind, tok.Text)
			switch {
			case tok.Err != nil:
				s = fmt.Sprintf("%d:error %s", tok.ID, tok.Text)
			case tok.Call != nil && tok.Text == "":
				s = fmt.Sprintf("%d:%s", tok.ID, tok.Call.ID)
			}
			got = append(got, s)
			return true
		}}
		on := true
		for id, events := range test.tokens {
			if on = tell.tell(Token{ID: int32(id)}, slices.Clone(events)); !on {
				break
			}
		}
		if on {
			tell.end(nil)
		}
		if s := strings.Join(got, "|"); s != test.want || tell.found != test.found {
			t.Errorf("%s: %s by %q, want %s by %q", test.name, s, tell.found, test.want, test.found)
		}
	}
}

// A caller who leaves has seen all there is.
func TestNothingIsToldToACallerWhoLeft(t *testing.T) {
	calls := 0
	for n := 1; n <= 3; n++ {
		seen := 0
		tell := teller{stop: stopper{strings: []string{"STOP"}}, calls: &calls, yield: func(Token) bool { seen++; return seen < n }}
		events := []chat.Event{{Text: "aS"}, {Kind: chat.Thought, Text: "b"}, {Text: "c"}}
		if tell.tell(Token{}, events); seen != n || !tell.left {
			t.Errorf("left after %d, told %d", n, seen)
		}
	}
}
