package tokenizer

import (
	"bytes"
	"strings"
	"testing"
)

// FuzzEncode compares short texts with the naive encoder, in nano's vocabulary and in one that is up to no good.
func FuzzEncode(f *testing.F) {
	for _, text := range tricky {
		f.Add(text+text, []byte{0}, false)
	}
	f.Add(strings.Join(tricky, ""), []byte{0, 5, 1, 200}, true)
	f.Add("<|t><|t> <|t>\n\n\n<0x41>aaaabab▁é\xff", []byte{0, 4, 1, 4}, true)
	nano := nano(f)
	hostile := mustBuild(f, small([]string{"< |", "<| t", "<|t >", "b a", "a a", "aa a", "▁ a", "\n \n", "> ▁", "a é", "< 0", "<0 x",
		"<0x 4", "4 1", "<0x4 1", "<0x41 >"},
		"<", "|", "t", "<|t>:3", "a", "aa", "aaaa", "▁a", "▁▁:4", "\n", "\n\n\n", "<|:4", "ba:5", "t>:4", "é:2", "aa"))
	f.Fuzz(func(t *testing.T, text string, steps []byte, other bool) {
		if len(text) > 200 {
			return
		}
		var literal []int
		at := 0
		for _, step := range steps {
			at += int(step)
			literal = append(literal, at)
		}
		s := nano
		if other {
			s = hostile
		}
		compare(t, s, text, literal)
	})
}

// FuzzNew builds vocabularies from any values and the 256 byte tokens. What New accepts must encode as the rules say.
func FuzzNew(f *testing.F) {
	f.Add("a\x1fb\x1fab\x1f<|t>\x1f<unk>\x1f▁\x1f\n\n", []byte{1, 1, 1, 3, 2, 1, 4}, "a b\x1fab a\x1f\n \n", int64(3), int64(4), byte(6))
	f.Add("<unk>\x1f<0x41>\x1f<0x4a>", []byte{2, 6, 1}, "< 0", int64(0), int64(0), byte(1))
	f.Add("<bos>", []byte{3}, "x y\x1fxy z", int64(-1), int64(-1), byte(3))
	f.Fuzz(func(t *testing.T, tokens string, kinds []byte, merges string, bos, unknown int64, byteKind byte) {
		if len(tokens) > 4000 || len(merges) > 1000 {
			return
		}
		m := metadata(t, keyKinds, append(kinds, bytes.Repeat([]byte{byteKind}, 256)...),
			keyTokens, append(strings.Split(tokens, "\x1f"), bytes256()...), keyMerges, strings.Split(merges, "\x1f"),
			keyScores, nil, keyBOS, bos, keyEOS, nil, keyPadding, nil, keyUnknown, unknown)
		tok, err := New(m)
		if err != nil {
			if tok != nil || !strings.HasPrefix(err.Error(), "tokenizer: ") {
				t.Fatalf("tokenizer %v, error %q", tok, err)
			}
			return
		}
		v, err := read(m)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ReplaceAll(merges, " ", "") + " " + tokens[:min(len(tokens), 50)] + "\n\n\xff▁"
		compare(t, sample{tok, newNaive(v)}, text[:min(len(text), 150)], []int{0, 1, 3})
		for id := range int32(tok.Size()) {
			tok.Decode([]int32{id, id}, true)
		}
	})
}
