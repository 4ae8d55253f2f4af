package tokenizer

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gogemma/gemma4/gguf"
)

// The metadata keys of a vocabulary. Scores are not used, only counted; there is never a prefix space. Whether a file asks for BOS in front
// (add_bos_token) is not read: files of April 2026 say that they do not want it, and Gemma 4 needs it all the same.
const (
	keyModel    = "tokenizer.ggml.model"
	keyPre      = "tokenizer.ggml.pre"
	keyTokens   = "tokenizer.ggml.tokens"
	keyScores   = "tokenizer.ggml.scores"
	keyKinds    = "tokenizer.ggml.token_type"
	keyMerges   = "tokenizer.ggml.merges"
	keyBOS      = "tokenizer.ggml.bos_token_id"
	keyEOS      = "tokenizer.ggml.eos_token_id"
	keyEOT      = "tokenizer.ggml.eot_token_id"
	keyEOM      = "tokenizer.ggml.eom_token_id"
	keyUnknown  = "tokenizer.ggml.unknown_token_id"
	keyPadding  = "tokenizer.ggml.padding_token_id"
	keySuppress = "tokenizer.ggml.suppress_tokens"
)

// idKeys are the keys that hold one id; each may be missing, or −1 for none.
var idKeys = [...]string{keyBOS, keyEOS, keyEOT, keyEOM, keyUnknown, keyPadding}

// Bounds on a file, which keep the tables of a hostile one below 200 MB, not counting its texts. The real vocabulary has 262144 tokens and
// 514906 merges, and its longest special token has 93 bytes. That length bounds the work at each position of a text.
const (
	maxEntries = 1 << 20 // of each list
	maxSpecial = 512     // bytes
)

// New builds the tokenizer that a file's metadata describes: tokenizer.ggml.model must be gemma4, or llama where tokenizer.ggml.pre is
// gemma4 (ollama's files); tokens, token_type and merges must be present, and among the tokens one for each of the 256 bytes and one that
// begins a text: tokenizer.ggml.bos_token_id, else <bos>. The error names the key, the index in its array, and what was expected; it wraps
// [gguf.ErrMissing] where a key is absent. Of tokens with the same text the first counts, and so it does of equal merges. The tokenizer
// keeps no reference to the metadata.
func New(m *gguf.Metadata) (*Tokenizer, error) {
	v, err := read(m)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	t, err := build(v)
	if err == nil && t.bos == none {
		err = fmt.Errorf("%s is missing, and no token <bos> can stand for it", keyBOS)
	}
	if err != nil {
		return nil, fmt.Errorf("tokenizer: %w", err)
	}
	return t, nil
}

// A vocabulary is what the metadata says, before anything is checked or indexed. An id that is not given is none. Texts are read where they
// lie: lists of them would have a million pointers for the garbage collector to follow.
type vocabulary struct {
	tokens   iter.Seq2[int, string]
	kinds    []int64 // one for each token
	merges   iter.Seq2[int, string]
	ranks    int              // merges
	ids      map[string]int64 // by key, for the keys with single ids
	suppress []int64
}

func read(m *gguf.Metadata) (*vocabulary, error) {
	model, err := m.Text(keyModel)
	if err != nil {
		return nil, err
	}
	if pre, _ := m.Text(keyPre); model != "gemma4" && (model != "llama" || pre != "gemma4") {
		return nil, fmt.Errorf("%s is %.40q, expected \"gemma4\", or \"llama\" with %s \"gemma4\"", keyModel, model, keyPre)
	}
	v := &vocabulary{ids: map[string]int64{}}
	if err := v.readLists(m); err != nil {
		return nil, err
	}
	for _, key := range idKeys {
		id, err := m.Int(key)
		switch {
		case err == nil && id != none:
			v.ids[key] = id
		case err != nil && !errors.Is(err, gguf.ErrMissing):
			return nil, err
		}
	}
	return v, nil
}

// readLists reads the arrays. Their lengths are checked first, because the numbers take more memory decoded than in the file.
func (v *vocabulary) readLists(m *gguf.Metadata) error {
	length := func(key string) int {
		value, _ := m.Value(key)
		if array, ok := value.(*gguf.Array); ok {
			return array.Len()
		}
		return none // missing, or not an array: reading it says so
	}
	for _, key := range []string{keyTokens, keyKinds, keyMerges, keySuppress} {
		if n := length(key); n > maxEntries {
			return fmt.Errorf("%s has %d entries, at most %d are supported", key, n, maxEntries)
		}
	}
	tokens, err := stringsOf(m, keyTokens)
	if err != nil {
		return err
	}
	v.tokens = tokens.Strings()
	if v.kinds, err = m.Ints(keyKinds); err != nil {
		return err
	}
	switch n := tokens.Len(); {
	case n == 0:
		return fmt.Errorf("%s is empty, expected at least one token", keyTokens)
	case len(v.kinds) != n:
		return fmt.Errorf("%s has %d entries, expected %d, one for each token", keyKinds, len(v.kinds), n)
	case m.Has(keyScores) && length(keyScores) != n:
		return fmt.Errorf("%s has %d entries, expected %d, one for each token", keyScores, max(length(keyScores), 0), n)
	}
	merges, err := stringsOf(m, keyMerges)
	if err != nil {
		return err
	}
	v.merges, v.ranks = merges.Strings(), merges.Len()
	if v.suppress, err = m.Ints(keySuppress); err != nil && !errors.Is(err, gguf.ErrMissing) {
		return err
	}
	return nil
}

// stringsOf returns an array of strings.
func stringsOf(m *gguf.Metadata, key string) (*gguf.Array, error) {
	value, _ := m.Value(key)
	if array, ok := value.(*gguf.Array); ok && array.Type() == gguf.ValueString {
		return array, nil
	}
	_, err := m.Strings(key) // says what it is instead, unless it is empty
	return new(gguf.Array), err
}

// check returns an error unless this can be a token.
func (v *vocabulary) check(id int, text string) error {
	switch kind := v.kinds[id]; {
	case !utf8.ValidString(text):
		return fmt.Errorf("%s[%d]: %.40q is not valid UTF-8", keyTokens, id, text)
	case kind < int64(Normal) || kind > int64(Byte):
		return fmt.Errorf("%s[%d]: %d, expected 1 to 6", keyKinds, id, kind)
	case kind == int64(Byte) && !isByte(text):
		return fmt.Errorf("%s[%d]: %.40q is a byte token, expected <0x00> to <0xFF>", keyTokens, id, text)
	case special(kind) && len(text) > maxSpecial:
		return fmt.Errorf("%s[%d]: special token of %d bytes, at most %d are supported", keyTokens, id, len(text), maxSpecial)
	}
	return nil
}

// checkIDs checks the single ids.
func (v *vocabulary) checkIDs() error {
	for _, key := range idKeys {
		if id := v.ids[key]; id < 0 || id >= int64(len(v.kinds)) {
			return fmt.Errorf("%s is %d, expected an id below the vocabulary's size %d", key, id, len(v.kinds))
		}
	}
	return nil
}

// build checks the vocabulary and makes its tables.
func build(v *vocabulary) (*Tokenizer, error) {
	t := &Tokenizer{}
	if err := t.addTokens(v); err != nil {
		return nil, err
	}
	if err := v.checkIDs(); err != nil {
		return nil, err
	}
	if err := t.addMerges(v); err != nil {
		return nil, err
	}
	t.addSpecials()

	id := func(key string) int32 {
		if id, ok := v.ids[key]; ok {
			return int32(id)
		}
		return none
	}
	t.bos, t.eos, t.unknown, t.padding = id(keyBOS), id(keyEOS), id(keyUnknown), id(keyPadding)
	if t.bos == none {
		t.bos, _ = t.ID("<bos>")
	}
	for _, end := range []int32{t.eos, id(keyEOT), id(keyEOM)} {
		t.addEnd(end)
	}
	for _, text := range []string{"<eos>", "<turn|>", "<|tool_response>"} {
		end, _ := t.ID(text)
		t.addEnd(end)
	}
	for _, id := range v.suppress {
		if id >= 0 && id < int64(t.Size()) {
			t.suppressed = append(t.suppressed, int32(id))
		}
	}
	slices.Sort(t.suppressed)
	t.suppressed = slices.Compact(t.suppressed)
	return t, t.addBytes()
}

// addTokens enters the tokens: the symbols up to the vocabulary's size are its tokens. Byte tokens are known by their text: some files
// call them normal.
func (t *Tokenizer) addTokens(v *vocabulary) error {
	n := len(v.kinds)
	t.kinds = make([]Kind, n)
	t.symbols.grow(n, usualBytes*n)
	var wait sync.WaitGroup
	defer wait.Wait()
	wait.Go(func() {
		t.spaced.grow(n, usualBytes*n/2)
		for _, text := range v.tokens {
			t.spaced.addSpaced(text)
		}
	})
	for id, text := range v.tokens {
		if err := v.check(id, text); err != nil {
			return err
		}
		if int64(t.symbols.arena.Len()+len(text)) > math.MaxUint32 {
			return errTooLong
		}
		if t.kinds[id] = Kind(v.kinds[id]); isByte(text) {
			t.kinds[id] = Byte
		}
		t.symbols.texts.add(text)
		t.runes.add(text, int32(id))
	}
	if got := len(t.symbols.ends); got != n { // somebody wrote into the file while it was read
		return fmt.Errorf("%s has %d entries, expected %d", keyTokens, got, n)
	}
	t.symbols.enter()
	return nil
}

// usualBytes are those of a token, on average, rounded up.
const usualBytes = 8

var errTooLong = fmt.Errorf("%s and %s hold more than 4 GiB", keyTokens, keyMerges)

// addMerges enters the merges. A side that is not a token becomes a symbol beyond the vocabulary. A result that is neither a token nor a
// side of another merge needs no number: nothing merges with it, and it is written as bytes.
func (t *Tokenizer) addMerges(v *vocabulary) error {
	t.merges.grow(v.ranks)
	if err := t.findMerges(v); err != nil {
		return err
	}
	lacks := func(m merge) bool { return m.left == none || m.right == none }
	if slices.ContainsFunc(t.merges.list, lacks) {
		for rank, text := range v.merges {
			if m := &t.merges.list[rank]; lacks(*m) {
				if !utf8.ValidString(text) {
					return fmt.Errorf("%s[%d]: %.40q is not valid UTF-8", keyMerges, rank, text)
				}
				if int64(t.symbols.arena.Len()+len(text)) > math.MaxUint32 {
					return errTooLong
				}
				left, right, _ := strings.Cut(text, " ")
				m.left, m.right = t.symbols.intern(left), t.symbols.intern(right)
			}
		}
		for symbol := t.Size(); symbol < len(t.symbols.ends); symbol++ {
			t.runes.add(t.symbols.at(int32(symbol)), int32(symbol))
		}
		for rank := range t.merges.list {
			if m := &t.merges.list[rank]; m.into == none {
				m.into = t.symbols.find(t.symbols.at(m.left) + t.symbols.at(m.right))
			}
		}
	}
	t.merges.enter()
	return nil
}

// findMerges looks up the sides and results of all merges in the vocabulary.
func (t *Tokenizer) findMerges(v *vocabulary) error {
	var met [mostShares]joints
	var ranks [mostShares]int
	var errs [mostShares]error
	share(v.ranks, func(i, from, to int) { ranks[i], errs[i] = t.findSome(v.merges, from, to, &met[i]) })
	sum := 0
	for i := range errs {
		if errs[i] != nil {
			return errs[i]
		}
		t.joints.join(&met[i])
		sum += ranks[i]
	}
	if sum != v.ranks { // somebody wrote into the file while it was read
		return fmt.Errorf("%s has %d entries, expected %d", keyMerges, sum, v.ranks)
	}
	return nil
}

// findSome looks up the merges of some ranks, and returns how many there were.
func (t *Tokenizer) findSome(merges iter.Seq2[int, string], from, to int, met *joints) (n int, err error) {
	list := t.merges.list
	search := search{symbols: &t.symbols}
	var results strings.Builder
	joined := ""
	for rank, text := range merges {
		if rank < from {
			continue
		}
		if rank >= to {
			break
		}
		left, right, _ := strings.Cut(text, " ")
		if left == "" || right == "" || strings.Contains(right, " ") {
			return n, fmt.Errorf("%s[%d]: %.40q, expected two symbols with one space between them", keyMerges, rank, text)
		}
		// The ways to build one token are mostly listed one after the other, so the last result is often this one, too.
		if rest, ok := strings.CutPrefix(joined, left); ok && rest == right {
			list[rank].into = again
		} else {
			if n := len(left) + len(right); results.Cap()-results.Len() < n {
				results.Reset()
				results.Grow(max(n, 1<<16))
			}
			start := results.Len()
			results.WriteString(left)
			results.WriteString(right)
			joined = results.String()[start:]
			search.add(joined, &list[rank].into)
		}
		search.add(left, &list[rank].left)
		search.add(right, &list[rank].right)
		last, _ := utf8.DecodeLastRuneInString(left)
		first, _ := utf8.DecodeRuneInString(right)
		met.add(last, first)
		n++
	}
	search.flush()
	for rank := from; rank < from+n; rank++ {
		if m := &list[rank]; m.into == again {
			m.into = list[rank-1].into
		}
	}
	return n, nil
}

// again stands for the result of the merge before, until that is known.
const again = -2

// addEnd enters a token at which generation ends.
func (t *Tokenizer) addEnd(id int32) {
	if id != none && !slices.Contains(t.ends, id) {
		t.ends = append(t.ends, id)
	}
}

// addBytes enters the byte tokens. All must be there: what needs a missing one would be lost silently.
func (t *Tokenizer) addBytes() error {
	for b := range t.bytes {
		t.bytes[b] = none
	}
	for id := range int32(len(t.kinds)) {
		if b, ok := t.Byte(id); ok && t.bytes[b] == none {
			t.bytes[b] = id
		}
	}
	if missing := slices.Index(t.bytes[:], none); missing >= 0 {
		return fmt.Errorf("%s: byte token <0x%02X> is missing: text would be lost", keyTokens, missing)
	}
	return nil
}

// isByte reports whether the text is that of a byte token.
func isByte(text string) bool {
	if len(text) != len("<0x00>") || text[:3] != "<0x" || text[5] != '>' {
		return false
	}
	for _, c := range []byte(text[3:5]) {
		if !(c >= '0' && c <= '9' || c >= 'A' && c <= 'F' || c >= 'a' && c <= 'f') {
			return false
		}
	}
	return true
}

// byteOf returns the byte that a byte token stands for.
func byteOf(text string) byte {
	digit := func(c byte) byte {
		if c <= '9' {
			return c - '0'
		}
		return c&^0x20 - 'A' + 10
	}
	return digit(text[3])<<4 | digit(text[4])
}
