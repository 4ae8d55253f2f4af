package tokenizer

import (
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
)

// A sample is a vocabulary with both ways to encode.
type sample struct {
	*Tokenizer
	naive *naive
}

func open(t testing.TB, path string) sample {
	t.Helper()
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tok, err := New(f.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	v, err := read(f.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	return sample{tok, newNaive(v)}
}

var samples sync.Map // by path: both vocabularies are read by many tests and never change

func load(t testing.TB, path string) sample {
	t.Helper()
	s, ok := samples.Load(path)
	if !ok {
		s, _ = samples.LoadOrStore(path, open(t, path))
	}
	return s.(sample)
}

// nano is the vocabulary in testdata, golden the one of the real size.
func nano(t testing.TB) sample { return load(t, filepath.Join("testdata", "nano-vocab.gguf")) }
func golden(t testing.TB) sample {
	return load(t, testdata.Shared(t, "golden", "tokenizer", "gemma4-vocab.gguf"))
}

// A textCase is a text with its ids: when markup is parsed, and when it is plain text.
type textCase struct {
	Text  string  `json:"text"`
	IDs   []int32 `json:"ids"`
	Plain []int32 `json:"plain"`
}

func readCases(t testing.TB, path string) []textCase {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []textCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	if len(cases) == 0 {
		t.Fatalf("%s holds no cases", path)
	}
	return cases
}

func (c textCase) check(t *testing.T, s sample) {
	t.Helper()
	for _, special := range []bool{false, true} {
		want := c.Plain
		if special {
			want = c.IDs
		}
		if got := s.Encode(c.Text, special); !slices.Equal(got, want) {
			t.Errorf("Encode(%q, %v) = %v, want %v", c.Text, special, got, want)
		}
		if got := s.naive.encode(c.Text, special, nil); !slices.Equal(got, want) {
			t.Errorf("the naive encoder makes %v of %q (special %v), want %v", got, c.Text, special, want)
		}
		if got := s.Decode(want, true); utf8.ValidString(c.Text) && got != strings.ReplaceAll(c.Text, "▁", " ") {
			t.Errorf("Decode(%v) = %q, want %q", want, got, c.Text)
		}
	}
}

func TestGoldenTexts(t *testing.T) {
	s := golden(t)
	for _, c := range readCases(t, testdata.Shared(t, "golden", "tokenizer", "plain.json")) {
		c.Plain = c.IDs
		c.check(t, s)
	}
	for _, c := range readCases(t, testdata.Shared(t, "golden", "tokenizer", "special.json")) {
		c.check(t, s)
	}
}

func TestNanoTexts(t *testing.T) {
	for _, c := range readCases(t, filepath.Join("testdata", "cases.json")) {
		c.check(t, nano(t))
	}
}

var update = flag.Bool("update", false, "write testdata anew from nano's file")

func TestTestdataIsNanosVocabulary(t *testing.T) {
	embedded := filepath.Join("..", "nano", "nano-q4_0.gguf")
	f, err := gguf.Open(embedded)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	path := filepath.Join("testdata", "nano-vocab.gguf")
	if *update {
		var m gguf.Metadata
		for _, key := range f.Metadata.Keys() {
			if key == "general.architecture" || key == "general.license" || strings.HasPrefix(key, "tokenizer.") {
				v, _ := f.Metadata.Value(key)
				if err := m.Set(key, v); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := gguf.WriteFile(path, &m, nil); err != nil {
			t.Fatal(err)
		}
		writeCases(t, open(t, path).naive)
	}
	ours, theirs := open(t, path).naive, open(t, embedded).naive
	if !slices.Equal(ours.texts, theirs.texts) || !slices.Equal(ours.kinds, theirs.kinds) {
		t.Error("tokens differ")
	}
	if len(ours.ranks) != len(theirs.ranks) {
		t.Error("merges differ")
	}
	for pair, rank := range theirs.ranks {
		if ours.ranks[pair] != rank {
			t.Errorf("merge %q has rank %d, want %d", pair, ours.ranks[pair], rank)
		}
	}
}

// writeCases writes testdata/cases.json: the texts that are there already, with ids made by the naive encoder.
func writeCases(t *testing.T, n *naive) {
	path := filepath.Join("testdata", "cases.json")
	cases := readCases(t, path)
	for i := range cases {
		c := &cases[i]
		c.IDs, c.Plain = n.encode(c.Text, true, nil), n.encode(c.Text, false, nil)
	}
	var lines []string
	for _, c := range cases {
		line, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		lines = append(lines, string(line))
	}
	if err := os.WriteFile(path, []byte("[\n"+strings.Join(lines, ",\n")+"\n]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// tricky are the fragments that random texts are made of.
var tricky = []string{
	" ", " ", "  ", "▁", "▁▁", "\n", "\n", "\n\n", "\t", "\r", "\x00", "a", "b", "e", "n", "s", "t", "th", "the", "ing", "The ",
	" capital of",
	"0", "1", "42", ".", ",", "'", "\"", "<", ">", "|", "<|", "|>", "/", "turn", "<|turn>", "<turn|>", "<|tool_call>", "<|\"|>", "<|\"",
	"<bos>",
	"<eos", "<unk>", "<pad>", "<table>", "</td>", "<b>", "<unused5>", "<0x41>", "<0x0A>", "[multimodal]", "é", "e\u0301", "ß", "ж", "нещо",
	"中", "文字",
	"កាន់", "🚀", "👨‍👩‍👧", "\u2028", "\ufeff", "\ufffd", "\U0010ffff", "\xff", "\xe2", "\xe2\x96", "\x81", "\xf0\x9f", "\xc0\x80",
	"\xed\xa0\x80",
}

func randomText(r *rand.Rand, pieces []string, most int) string {
	var b strings.Builder
	for range r.IntN(most + 1) {
		piece := pieces[r.IntN(len(pieces))]
		for range 1 + r.IntN(1+r.IntN(4)) {
			b.WriteString(piece)
		}
	}
	return b.String()
}

// compare encodes a text in every way and checks the results against the naive encoder and the promises of the package.
func compare(t *testing.T, s sample, text string, literal []int) {
	t.Helper()
	for _, special := range []bool{false, true} {
		got, want := s.Encode(text, special), s.naive.encode(text, special, nil)
		if !slices.Equal(got, want) {
			t.Fatalf("Encode(%q, %v) = %v, want %v", text, special, got, want)
		}
		roundTrip(t, s, text, got)
	}
	got, want := s.EncodeLiteral(text, literal), s.naive.encode(text, true, literal)
	if !slices.Equal(got, want) {
		t.Fatalf("EncodeLiteral(%q, %v) = %v, want %v", text, literal, got, want)
	}
	roundTrip(t, s, text, got)

	everywhere := make([]int, len(text))
	for i := range everywhere {
		everywhere[i] = i
	}
	got = s.EncodeLiteral(text, everywhere)
	for _, id := range got {
		if s.markup(id) {
			t.Fatalf("EncodeLiteral(%q, everywhere) = %v holds the markup token %d %q", text, got, id, s.Text(id))
		}
	}
	roundTrip(t, s, text, got)
}

// roundTrip decodes ids at once and one by one.
func roundTrip(t *testing.T, s sample, text string, ids []int32) {
	t.Helper()
	got := s.Decode(ids, true)
	if !utf8.ValidString(got) {
		t.Fatalf("Decode(%v) = %q, which is not valid UTF-8", ids, got)
	}
	if want := strings.ReplaceAll(text, "▁", " "); got != want && utf8.ValidString(text) {
		t.Fatalf("Decode(%v) = %q, want %q", ids, got, want)
	}
	d := s.NewDecoder(true)
	var b strings.Builder
	for _, id := range ids {
		part := d.Next(id)
		if !utf8.ValidString(part) {
			t.Fatalf("Next(%d) = %q in %v, which is not valid UTF-8", id, part, ids)
		}
		b.WriteString(part)
	}
	b.WriteString(d.Flush())
	if b.String() != got {
		t.Fatalf("streaming %v gives %q, Decode %q", ids, b.String(), got)
	}
}

func TestRandomTextsAsTheRulesSay(t *testing.T) {
	run := func(t *testing.T, s sample, texts int) {
		r := rand.New(rand.NewPCG(1, 2))
		for range texts {
			text := randomText(r, tricky, 12)
			var literal []int
			for i := range len(text) {
				if text[i] == '<' && r.IntN(2) == 0 {
					literal = append(literal, i)
				}
			}
			compare(t, s, text, literal)
		}
	}
	t.Run("nano", func(t *testing.T) { run(t, nano(t), 3000) })
	t.Run("golden", func(t *testing.T) { run(t, golden(t), 3000) })
}

// bytes256 are all byte tokens.
func bytes256() []string {
	const hex = "0123456789ABCDEF"
	var all []string
	for b := range 256 {
		all = append(all, "<0x"+hex[b>>4:b>>4+1]+hex[b&15:b&15+1]+">")
	}
	return all
}

// small makes a vocabulary of byte tokens 0 … 255 and the tokens given, "text" or "text:kind".
func small(merges []string, tokens ...string) *vocabulary {
	all, kinds := bytes256(), slices.Repeat([]int64{6}, 256)
	for _, text := range tokens {
		kind := int64(Normal)
		if n := len(text) - 2; n >= 0 && text[n] == ':' {
			kind, text = int64(text[n+1]-'0'), text[:n]
		}
		all, kinds = append(all, text), append(kinds, kind)
	}
	return listed(all, kinds, merges)
}

// listed makes a vocabulary of lists.
func listed(tokens []string, kinds []int64, merges []string) *vocabulary {
	return &vocabulary{tokens: slices.All(tokens), kinds: kinds, merges: slices.All(merges), ranks: len(merges), ids: map[string]int64{}}
}

func mustBuild(t testing.TB, v *vocabulary) sample {
	t.Helper()
	tok, err := build(v)
	if err != nil {
		t.Fatal(err)
	}
	return sample{tok, newNaive(v)}
}

// Vocabularies made at random hold what no published file does: results that are not tokens, ranks out of order, markup that merging could
// make, the same text twice.
func TestRandomVocabulariesAsTheRulesSay(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	letters := []string{"a", "b", "a", "b", "c", "▁", "\n", "<", "|", ">", "é", "0x41"}
	for range 300 {
		tokens, kinds, merges := bytes256(), slices.Repeat([]int64{6}, 256), []string(nil)
		for range r.IntN(30) {
			tokens = append(tokens, randomText(r, letters, 3))
			kinds = append(kinds, []int64{1, 1, 1, 1, 1, 2, 3, 4, 4, 5}[r.IntN(10)])
		}
		for range r.IntN(60) {
			left, right := randomText(r, letters, 2), randomText(r, letters, 2)
			if r.IntN(2) == 0 && len(merges) > 0 {
				left = strings.ReplaceAll(merges[r.IntN(len(merges))], " ", "")
			}
			if r.IntN(3) == 0 && len(merges) > 0 {
				right = strings.ReplaceAll(merges[r.IntN(len(merges))], " ", "")
			}
			if left != "" && right != "" && len(left+right) < 20 {
				merges = append(merges, left+" "+right)
			}
		}
		r.Shuffle(len(merges), func(i, j int) { merges[i], merges[j] = merges[j], merges[i] })
		s := mustBuild(t, listed(tokens, kinds, merges))
		for range 30 {
			text := randomText(r, append(letters, " ", "\xff"), 12)
			compare(t, s, text, []int{0, 2, 3, 7, 100})
		}
	}
}

func TestMerging(t *testing.T) {
	id := func(i int32) int32 { return 256 + i }
	for _, c := range []struct {
		name   string
		merges []string
		tokens []string
		text   string
		want   []int32
	}{
		{"lowest rank first", []string{"b c", "a b"}, []string{"a", "b", "c", "ab", "bc"}, "abc", []int32{id(0), id(4)}},
		{"leftmost first", []string{"a a"}, []string{"a", "aa"}, "aaa", []int32{id(1), id(0)}},
		{"a result may be merged with a lower rank", []string{"ab c", "a b"}, []string{"a", "b", "c", "ab", "abc"}, "abc", []int32{id(4)}},
		{"over a result that is no token", []string{"a b", "ab c"}, []string{"a", "b", "c", "abc"}, "abc", []int32{id(3)}},
		{"of characters that are no tokens", []string{"a b"}, []string{"ab"}, "abab", []int32{id(0), id(0)}},
		{"a result that is no token is its bytes", []string{"a é"}, []string{"a", "é"}, "aéa", []int32{'a', 0xc3, 0xa9, id(0)}},
		{"a side that nothing makes", []string{"xy z", "a b"}, []string{"x", "y", "z", "a", "b", "xyz", "ab"}, "xyzab",
			[]int32{id(0), id(1), id(2), id(6)}},
		{"the first of equal merges counts", []string{"b c", "a b", "b c"}, []string{"a", "b", "c", "ab", "bc"}, "abc",
			[]int32{id(0), id(4)}},
		{"the first of equal tokens counts", []string{"a b"}, []string{"a", "b", "ab", "ab"}, "ab", []int32{id(2)}},
		{"spaces are U+2581", []string{"▁ a"}, []string{"a", "▁a"}, " a▁a", []int32{id(1), id(1)}},
		{"a space without a token is U+2581's bytes", nil, nil, " ", []int32{0xe2, 0x96, 0x81}},
		{"an unknown character is its bytes", nil, []string{"a"}, "a🚀", []int32{id(0), 0xf0, 0x9f, 0x9a, 0x80}},
		{"bytes that are not UTF-8", []string{"a a"}, []string{"a", "aa"}, "aa\xffaa\xe2\x96", []int32{id(1), 0xff, id(1), 0xe2, 0x96}},
		{"U+FFFD is a character", nil, []string{"\ufffd"}, "\ufffd\xff", []int32{id(0), 0xff}},
		{"newlines stand alone", []string{"a \n", "\n a"}, []string{"a", "\n", "a\n", "\na"}, "a\na", []int32{id(0), id(1), id(0)}},
		{"a run of newlines is one token", []string{"\n \n"}, []string{"\n", "\n\n", "\n\n\n"}, "\n\n\n", []int32{id(2)}},
		{"or merged where there is none for it", []string{"\n \n"}, []string{"\n", "\n\n", "\n\n\n"}, "\n\n\n\n\n",
			[]int32{id(1), id(1), id(0)}},
		{"no markup by merging", []string{"< |", "<| >"}, []string{"<", "|", ">", "<|", "<|>:4"}, "<\xff<|", []int32{id(0), 0xff, id(3)}},
		{"no control token by merging", []string{"a b"}, []string{"a", "b", "ab:3"}, "ab", []int32{'a', 'b'}},
		{"a character that is a control token", nil, []string{"a:3"}, "a", []int32{'a'}},
		{"no byte token by merging", []string{"< 0", "<0 x", "<0x 4", "<0x4 1", "<0x41 >"}, nil, "<0x41>",
			[]int32{'<', '0', 'x', '4', '1', '>'}},
		{"unused tokens are tokens", []string{"a b"}, []string{"a", "b", "ab:5"}, "ab", []int32{id(2)}},
		{"the longest special token", nil, []string{"a", "b", "c", "ab:4", "abc:4", "bc:4"}, "abcab", []int32{id(4), id(3)}},
		{"the leftmost special token", nil, []string{"a", "b", "c", "ab:4", "bc:4"}, "abc", []int32{id(3), id(2)}},
		{"an empty token is never found", nil, []string{":4", ":3", "a"}, "a", []int32{id(2)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := mustBuild(t, small(c.merges, c.tokens...))
			if got := s.Encode(c.text, false); !slices.Equal(got, c.want) {
				t.Errorf("Encode(%q) = %v, want %v", c.text, got, c.want)
			}
			compare(t, s, c.text, nil)
		})
	}
}

func TestLiteralTextHoldsNoMarkup(t *testing.T) {
	run := func(t *testing.T, s sample) {
		for _, m := range s.Markup() {
			for _, text := range []string{m, m + m, "a " + m + "model\n"} {
				var literal []int
				for i := range len(text) {
					if strings.HasPrefix(text[i:], m[:1]) {
						literal = append(literal, i)
					}
				}
				ids := s.EncodeLiteral(text, literal)
				for _, id := range ids {
					if s.markup(id) {
						t.Errorf("EncodeLiteral(%q, %v) = %v holds %q", text, literal, ids, s.Text(id))
					}
				}
				if got := s.Decode(ids, false); got != text {
					t.Errorf("EncodeLiteral(%q) decodes to %q", text, got)
				}
				if id, _ := s.ID(m); !slices.Contains(s.EncodeLiteral(text, nil), id) {
					t.Errorf("EncodeLiteral(%q, nil) lacks %d", text, id)
				}
			}
		}
	}
	t.Run("nano", func(t *testing.T) { run(t, nano(t)) })
	t.Run("golden", func(t *testing.T) { run(t, golden(t)) })

	// A vocabulary whose merges spell its markup.
	hostile := mustBuild(t,
		small([]string{"< |", "<| t", "<|t >", "▁ x"}, "<", "|", "t", ">", "<|", "<|t", "<|t>:3", "▁", "x", "▁x:3", "|>:4"))
	for _, text := range []string{"<|t>", "<|t><|t>", " x", "▁x", "|>"} {
		compare(t, hostile, text, []int{0, 4})
	}
}

func TestLiteralOffsets(t *testing.T) {
	s := nano(t)
	turn, _ := s.ID("<|turn>")
	nl, _ := s.ID("\n\n")
	count := func(ids []int32, id int32) (n int) {
		for _, x := range ids {
			if x == id {
				n++
			}
		}
		return n
	}
	text := "<|turn><|turn>\n\n<|turn>"
	for _, c := range []struct {
		literal []int
		want    int
	}{
		{nil, 3},
		{[]int{0}, 2},
		{[]int{0, 7, 16}, 0},
		{[]int{16, 7}, 1},
		{[]int{-5, 7, 7, 7, 1000}, 2},
		{[]int{1, 2, 3, 14}, 3},
	} {
		ids := s.EncodeLiteral(text, c.literal)
		if got := count(ids, turn); got != c.want {
			t.Errorf("literal %v: %d turns in %v, want %d", c.literal, got, ids, c.want)
		}
		if count(ids, nl) != 1 {
			t.Errorf("literal %v: %v lacks the newlines %d", c.literal, ids, nl)
		}
	}
	if ids := s.EncodeLiteral("\n\n", []int{0}); !slices.Equal(ids, []int32{nl}) {
		t.Errorf("newlines at a literal offset: %v, want %d", ids, nl)
	}
}

func TestDecode(t *testing.T) {
	s := mustBuild(t, small(nil, "▁a", "b▁▁c", "<x>:3", "<unk>:2", "<|u>:4", "<unused>:5", "é", "▁:4"))
	for _, c := range []struct {
		name    string
		ids     []int32
		special bool
		parts   []string // what Next returns for each id, then Flush
	}{
		{"nothing", nil, false, []string{""}},
		{"U+2581 is a space", []int32{256, 257, 263}, false, []string{" a", "b  c", " ", ""}},
		{"control tokens on request", []int32{258, 259, 260, 261}, false, []string{"", "", "<|u>", "<unused>", ""}},
		{"control tokens requested", []int32{258, 259, 260, 261}, true, []string{"<x>", "<unk>", "<|u>", "<unused>", ""}},
		{"bytes", []int32{'a', 0, '\n'}, false, []string{"a", "\x00", "\n", ""}},
		{"two bytes", []int32{0xc3, 0xa9}, false, []string{"", "é", ""}},
		{"three bytes", []int32{0xe4, 0xb8, 0xad}, false, []string{"", "", "中", ""}},
		{"four bytes", []int32{0xf0, 0x9f, 0x9a, 0x80}, false, []string{"", "", "", "🚀", ""}},
		{"a space in bytes", []int32{0xe2, 0x96, 0x81}, false, []string{"", "", " ", ""}},
		{"U+FFFD in bytes", []int32{0xef, 0xbf, 0xbd}, false, []string{"", "", "\ufffd", ""}},
		{"cut off at the end", []int32{256, 0xf0, 0x9f, 0x9a}, false, []string{" a", "", "", "", "\ufffd"}},
		{"cut off by a token", []int32{0xe4, 0xb8, 256}, false, []string{"", "", "\ufffd a", ""}},
		{"cut off by a hidden token", []int32{0xe4, 258, 0xb8}, false, []string{"", "\ufffd", "\ufffd", ""}},
		{"cut off by a byte", []int32{0xe4, 0xb8, 'x'}, false, []string{"", "", "\ufffdx", ""}},
		{"cut off by another character", []int32{0xf0, 0x9f, 0xc3, 0xa9}, false, []string{"", "", "\ufffd", "é", ""}},
		{"a byte that begins nothing", []int32{0xff, 0x80, 'x'}, false, []string{"\ufffd", "\ufffd", "x", ""}},
		{"overlong", []int32{0xc0, 0x80}, false, []string{"\ufffd", "\ufffd", ""}},
		{"a surrogate", []int32{0xed, 0xa0, 0x80}, false, []string{"", "\ufffd\ufffd", "\ufffd", ""}},
		{"above U+10FFFF", []int32{0xf4, 0x90, 'x'}, false, []string{"", "\ufffd\ufffd", "x", ""}},
		{"no such id", []int32{-1, 1 << 30, 256, 0xc3, -1}, true, []string{"", "", " a", "", "\ufffd", ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := s.NewDecoder(c.special)
			var parts []string
			for _, id := range c.ids {
				parts = append(parts, d.Next(id))
			}
			parts = append(parts, d.Flush())
			if !slices.Equal(parts, c.parts) {
				t.Errorf("parts %q, want %q", parts, c.parts)
			}
			if got, want := s.Decode(c.ids, c.special), strings.Join(c.parts, ""); got != want {
				t.Errorf("Decode = %q, want %q", got, want)
			}
			if got := d.Next(256); got != " a" {
				t.Errorf("after Flush Next = %q, want \" a\"", got)
			}
		})
	}
}

func TestDecoderAllocatesNothingForTokens(t *testing.T) {
	s := nano(t)
	d := s.NewDecoder(false)
	ids := s.Encode("What is the capital of France? It is 42.\n\nA byte: \x01, a character: é", false)
	if !slices.ContainsFunc(ids, func(id int32) bool { return s.Kind(id) == Byte }) {
		t.Fatalf("no byte token among %v", ids)
	}
	for id := range int32(s.Size()) {
		if s.Kind(id) != Byte {
			ids = append(ids, id)
		}
	}
	if n := testing.AllocsPerRun(10, func() {
		for _, id := range ids {
			d.Next(id)
		}
	}); n > 1 { // é
		t.Errorf("%v allocations for %d tokens", n, len(ids))
	}
}

func TestBOSStandsInFront(t *testing.T) {
	for _, c := range []struct {
		name    string
		changes []any
	}{
		{"asked for", nil},
		{"not asked for", []any{keyAddBOS, false}},
		{"not spoken of", []any{keyAddBOS, nil}},
		{"as a number", []any{keyAddBOS, uint32(0)}},
		{"not named", []any{keyBOS, nil}},
		{"named as none", []any{keyBOS, int32(-1)}},
	} {
		tok, err := New(metadata(t, c.changes...))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, ids := range [][]int32{{4, 2}, {2, 4}, {2}, {}} {
			given, want := slices.Clone(ids), ids
			if len(ids) == 0 || ids[0] != 2 {
				want = append([]int32{2}, ids...)
			}
			if got := tok.WithBOS(given); !slices.Equal(got, want) || tok.BOS() != 2 {
				t.Errorf("%s: WithBOS(%v) = %v, want %v", c.name, ids, got, want)
			}
			if !slices.Equal(given, ids) {
				t.Errorf("%s: WithBOS changed its argument to %v", c.name, given)
			}
		}
	}
}

func TestFacts(t *testing.T) {
	s := nano(t)
	if got := []int32{s.BOS(), s.EOS(), s.Unknown(), s.Padding()}; !slices.Equal(got, []int32{2, 1, 3, 0}) {
		t.Errorf("BOS, EOS, Unknown, Padding = %v", got)
	}
	var ends []int32
	for id := int32(-2); id < int32(s.Size())+2; id++ {
		if s.IsEnd(id) {
			ends = append(ends, id)
		}
		if got, ok := s.ID(s.Text(id)); s.Kind(id) != 0 && (!ok || got != id) {
			t.Errorf("ID(Text(%d)) = %d, %v", id, got, ok)
		}
	}
	if !slices.Equal(ends, []int32{1, 50, 106}) {
		t.Errorf("ends are %v", ends)
	}
	for text, kind := range map[string]Kind{"<|turn>": Control, "<unk>": Unknown, "<|channel>": UserDefined, "<unused5>": Unused,
		"<0x41>": Byte, "▁the": Normal} {
		if id, ok := s.ID(text); !ok || s.Kind(id) != kind || s.Text(id) != text {
			t.Errorf("%q is %d, %v: %v %q", text, id, ok, s.Kind(id), s.Text(id))
		}
	}
	for _, id := range []int32{-1, int32(s.Size())} {
		if s.Kind(id) != 0 || s.Text(id) != "" || s.Kind(id).String() != "no kind" {
			t.Errorf("%d: %v %q", id, s.Kind(id), s.Text(id))
		}
	}
	if id, ok := s.ID("no such token"); ok || id != -1 {
		t.Errorf("ID of what is no token = %d, %v", id, ok)
	}
	markup := s.Markup()
	for _, m := range []string{"<bos>", "<unk>", "<|turn>", "<turn|>", "<|\"|>", "<channel|>"} {
		if !slices.Contains(markup, m) {
			t.Errorf("%q is missing in Markup", m)
		}
	}
	if slices.Contains(markup, "\n") || slices.Contains(markup, "<unused5>") {
		t.Errorf("Markup holds too much: %q", markup)
	}
}

func TestSuppressedAndEnds(t *testing.T) {
	v := small(nil, "<eos>", "<|tool_response>:4", "x", "y")
	v.suppress = []int64{258, -1, 3, 1 << 40, 258, 260, 259}
	v.ids[keyEOT], v.ids[keyEOM] = 258, 258
	s := mustBuild(t, v)
	if got := s.Suppressed(); !slices.Equal(got, []int32{3, 258, 259}) {
		t.Errorf("Suppressed = %v", got)
	}
	if got := []int32{s.BOS(), s.EOS(), s.Unknown(), s.Padding()}; !slices.Equal(got, []int32{-1, -1, -1, -1}) {
		t.Errorf("ids that are not given: %v", got)
	}
	for id, want := range map[int32]bool{256: true, 257: true, 258: true, 259: false, -1: false} {
		if s.IsEnd(id) != want {
			t.Errorf("IsEnd(%d) = %v", id, !want)
		}
	}
}

// TestBytesAreKnownByTheirText: ollama's files call them normal, and <unk> a control token.
func TestBytesAreKnownByTheirText(t *testing.T) {
	for kind := Normal; kind <= Byte; kind++ {
		v := small([]string{"< 0", "<0 x", "<0x 4", "<0x4 1", "<0x41 >"}, "<unk>:3", "a", "<", "0", "x", "4", "1", ">", "<0", "<0x", "<0x4",
			"<0x41")
		for b := range 256 {
			v.kinds[b] = int64(kind)
		}
		s := mustBuild(t, v)
		if got, want := s.Encode("a🚀\xff<0x41>", true),
			[]int32{257, 0xf0, 0x9f, 0x9a, 0x80, 0xff, '<', '0', 'x', '4', '1', '>'}; !slices.Equal(got, want) {
			t.Errorf("%v byte tokens: Encode = %v, want %v", kind, got, want)
		}
		if got := s.Decode([]int32{0xc3, 0xa9, 'A'}, false); got != "éA" || s.Kind('A') != Byte {
			t.Errorf("%v byte tokens: Decode = %q, kind %v", kind, got, s.Kind('A'))
		}
		for id := int32(-1); id <= 256; id++ {
			if b, ok := s.Byte(id); ok != (id >= 0 && id < 256) || ok && int32(b) != id {
				t.Errorf("%v byte tokens: Byte(%d) = %#x, %v", kind, id, b, ok)
			}
		}
		compare(t, s, "a🚀\xff<0x41><unk>", []int{0, 6, 12})
	}
}

// TestTextsUnderPublishedTypes: published files give the same tokens other types than the maker's own tokenizer does.
func TestTextsUnderPublishedTypes(t *testing.T) {
	cases := readCases(t, testdata.Shared(t, "golden", "tokenizer", "published.json"))
	f, err := gguf.Open(testdata.Shared(t, "golden", "tokenizer", "gemma4-vocab.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	tokens, err := f.Metadata.Strings(keyTokens)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make([]int32, len(tokens))
	for id, text := range tokens {
		switch text {
		case "<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", `<|"|>`:
			kinds[id] = int32(UserDefined)
		case "<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<|tool>", "<tool|>", "<|think|>", "<|turn>", "<turn|>", "<|image>", "<|audio>",
			"<|image|>", "<|audio|>", "<image|>", "<audio|>", "<|video|>":
			kinds[id] = int32(Control)
		default:
			if kinds[id] = int32(Normal); isByte(text) {
				kinds[id] = int32(Byte)
			}
		}
	}
	m := f.Metadata.Clone()
	if err := m.Set(keyKinds, kinds); err != nil {
		t.Fatal(err)
	}
	tok, err := New(m)
	if err != nil {
		t.Fatal(err)
	}
	v, err := read(m)
	if err != nil {
		t.Fatal(err)
	}
	s, equal := sample{tok, newNaive(v)}, 0
	for _, c := range cases {
		c.check(t, s)
		if slices.Equal(tok.Encode(c.Text, false), c.Plain) && slices.Equal(tok.Encode(c.Text, true), c.IDs) {
			equal++
		}
	}
	t.Logf("%d of %d texts have the ids of a published file, plain and with markup", equal, len(cases))
	if len(cases) < 66 {
		t.Errorf("%d texts, expected 66", len(cases))
	}
}

func TestTokenizerOutlivesTheFile(t *testing.T) {
	f, err := gguf.Open(filepath.Join("testdata", "nano-vocab.gguf"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(f.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	const text = "The capital of France is Paris.\n"
	if got := s.Decode(s.Encode(text, true), true); got != text {
		t.Errorf("%q", got)
	}
}

func TestConcurrentUse(t *testing.T) {
	s := nano(t)
	want := s.Encode(strings.Join(tricky, ""), true)
	var wait sync.WaitGroup
	for range 4 {
		wait.Go(func() {
			for range 20 {
				if got := s.Encode(strings.Join(tricky, ""), true); !slices.Equal(got, want) {
					t.Errorf("%v, want %v", got, want)
				}
				s.Decode(want, true)
			}
		})
	}
	wait.Wait()
}

func TestMemoryOfTheRealVocabulary(t *testing.T) {
	path := testdata.Shared(t, "golden", "tokenizer", "gemma4-vocab.gguf")
	f, err := gguf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s, err := New(f.Metadata)
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	// 18 MB stay. The file has 15 MB of metadata, of which gguf keeps a copy; opening may cost 4 times that and 64 MB.
	if kept := int64(after.HeapAlloc) - int64(before.HeapAlloc); kept > 24<<20 {
		t.Errorf("the tokenizer keeps %d bytes", kept)
	}
	if spent := after.TotalAlloc - before.TotalAlloc; spent > 64<<20 {
		t.Errorf("building it took %d bytes", spent)
	}
	runtime.KeepAlive(s)
}
