package convert

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/jsonstream"
)

// The types of tokens, as GGUF numbers them.
const (
	normal      = 1
	control     = 3
	userDefined = 4
	unused      = 5
	byteToken   = 6
)

// visible are the special tokens that are shown and read as text: calls of tools and thoughts are written with them.
var visible = []string{"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", `<|"|>`}

// vocabulary is what tokenizer.json says.
type vocabulary struct {
	tokens  map[string]int // ids
	most    int            // the highest id
	added   []addedToken
	merges  []string
	unknown string // token
	kind    string // of model
	bytes   bool   // what no token writes is written byte by byte
}

// addedToken is a token that is found in the text before any merging.
type addedToken struct {
	text    string
	id      int
	special bool // markup
}

// readTokens adds the keys of the tokenizer and of sampling.
func readTokens(folder fs.FS, c *config, m *gguf.Metadata) error {
	config, err := optional(folder, tokenizerFile)
	if err != nil {
		return err
	}
	k := &keys{m: m}
	v, err := readVocabulary(folder)
	if err == nil {
		err = v.write(k, c, config)
	}
	if err == nil {
		err = readTemplate(folder, config, k)
	}
	if err == nil {
		err = readSampling(folder, k)
	}
	return cmp.Or(err, k.err)
}

// readVocabulary reads tokenizer.json.
func readVocabulary(folder fs.FS) (*vocabulary, error) {
	data, err := contents(folder, vocabularyFile, maxVocabularyFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is missing, expected it beside the weights: %w", vocabularyFile, fs.ErrNotExist)
	}
	if err != nil {
		return nil, err
	}
	v := &vocabulary{tokens: map[string]int{}, most: -1}
	r, err := jsonstream.New(data)
	if err == nil {
		err = r.Object(64, func(key string) error { return within(key, v.read(r, key)) })
	}
	if err == nil {
		err = r.End()
	}
	switch {
	case err != nil:
	case v.kind != "BPE":
		err = fmt.Errorf("model: type is %.20q, expected \"BPE\"", v.kind)
	case !v.bytes:
		err = errors.New("model: byte_fallback is false, expected true")
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", vocabularyFile, err)
	}
	return v, nil
}

// within names the key in an error, if there is one.
func within(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", jsonstream.Show(key), err)
}

// read reads what belongs to a key of tokenizer.json.
func (v *vocabulary) read(r *jsonstream.Reader, key string) error {
	switch key {
	case "added_tokens":
		return r.Array(maxTokens, func() error { return v.readAdded(r) })
	case "model":
		return r.Object(64, func(key string) error { return within(key, v.readModel(r, key)) })
	case "normalizer":
		return expect(r, `{"type":"Replace","pattern":{"String":" "},"content":"▁"}`,
			`{"type":"Sequence","normalizers":[{"type":"Replace","pattern":{"String":" "},"content":"▁"}]}`)
	case "pre_tokenizer": // where the normalizer has been, there are no spaces to split at
		return expect(r, `null`, `{"type":"Split","pattern":{"String":" "},"behavior":"MergedWithPrevious","invert":false}`)
	}
	return r.Skip() // how texts are cut, padded and decoded
}

// expect reads a value and fails unless it is one of those given as JSON.
func expect(r *jsonstream.Reader, want ...string) error {
	x, err := r.Value()
	if err != nil {
		return err
	}
	is, err := json.Marshal(x)
	if err != nil {
		return err
	}
	for _, text := range want {
		var y any
		if err := json.Unmarshal([]byte(text), &y); err != nil {
			return err
		}
		if same, _ := json.Marshal(y); string(same) == string(is) { // keys in order
			return nil
		}
	}
	return fmt.Errorf("is %.200s, expected %s: texts would be cut in another way", is, want[len(want)-1])
}

func (v *vocabulary) readAdded(r *jsonstream.Reader) error {
	x, err := r.Value()
	if err != nil {
		return err
	}
	m, _ := x.(map[string]any)
	text, isText := m["content"].(string)
	number, _ := m["id"].(json.Number)
	id, err := number.Int64()
	if !isText || text == "" || err != nil || id < 0 || id >= maxTokens {
		return fmt.Errorf("%s, expected an object with content and an id below %d", describe(x), maxTokens)
	}
	for _, key := range []string{"single_word", "lstrip", "rstrip"} {
		if !empty(m[key]) {
			return fmt.Errorf("%s has %s, which is not known here", jsonstream.Show(text), key)
		}
	}
	special, _ := m["special"].(bool)
	v.added = append(v.added, addedToken{text, int(id), special})
	return nil
}

func (v *vocabulary) readModel(r *jsonstream.Reader, key string) (err error) {
	switch key {
	case "type":
		v.kind, err = r.Text()
	case "vocab":
		err = r.Object(maxTokens, func(text string) error {
			id, err := r.Size()
			if err == nil && id >= maxTokens {
				err = fmt.Errorf("id %d, expected one below %d", id, maxTokens)
			}
			if err != nil {
				return within(text, err)
			}
			v.tokens[text], v.most = int(id), max(v.most, int(id))
			return nil
		})
	case "merges":
		err = r.Array(maxTokens, func() error { return v.readMerge(r) })
	case "byte_fallback":
		x, err := r.Value()
		v.bytes = x == true
		return err
	case "unk_token":
		x, err := r.Value()
		v.unknown, _ = x.(string)
		return err
	case "dropout", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges":
		x, err := r.Value()
		if err == nil && !empty(x) {
			err = fmt.Errorf("is %s, expected none", describe(x))
		}
		return err
	default: // fuse_unk: bytes write all that is not known
		err = r.Skip()
	}
	return err
}

// readMerge reads two symbols, or in older files one text with a space between them.
func (v *vocabulary) readMerge(r *jsonstream.Reader) error {
	parts, err := r.Texts(2)
	if err != nil {
		return err
	}
	if len(parts) == 1 {
		parts = strings.SplitN(parts[0], " ", 3)
	}
	if len(parts) != 2 || parts[0] == "" || parts[1] == "" {
		return fmt.Errorf("%d is %.60q, expected two symbols", len(v.merges), parts)
	}
	for i := range parts { // a space of a symbol is not the one between them
		parts[i] = strings.ReplaceAll(parts[i], " ", "\u0120")
	}
	v.merges = append(v.merges, parts[0]+" "+parts[1])
	return nil
}

// write writes the vocabulary. names is tokenizer_config.json.
func (v *vocabulary) write(k *keys, c *config, names map[string]any) error {
	size := c.vocabulary
	for _, a := range v.added {
		v.most = max(v.most, a.id)
	}
	if v.most >= size {
		return fmt.Errorf("%s: a token has the id %d, expected ids below %d, %svocab_size", vocabularyFile, v.most, size, c.words.name)
	}
	tokens, types := make([]string, size), make([]int32, size)
	for text, id := range v.tokens {
		if types[id] != 0 {
			first, second := min(tokens[id], text), max(tokens[id], text)
			return fmt.Errorf("%s: id %d is that of %s and %s", vocabularyFile, id, jsonstream.Show(first), jsonstream.Show(second))
		}
		tokens[id], types[id] = text, normal
		if isByte(text) {
			types[id] = byteToken
		}
	}
	named := specials(names)
	for _, a := range v.added {
		if id, ok := v.tokens[a.text]; ok && id != a.id || types[a.id] != 0 && tokens[a.id] != a.text {
			return fmt.Errorf("%s: added_tokens: %s has the id %d, another one in vocab", vocabularyFile, jsonstream.Show(a.text), a.id)
		}
		v.tokens[a.text], tokens[a.id] = a.id, a.text
		switch {
		case slices.Contains(visible, a.text), !a.special && !slices.Contains(named, a.text):
			types[a.id] = userDefined
		default:
			types[a.id] = control
		}
	}
	for id, kind := range types {
		if kind == 0 { // a row of the embedding without a token
			tokens[id], types[id] = fmt.Sprintf("[PAD%d]", id), unused
		}
	}
	scores := make([]float32, size) // nobody uses them
	for i := range scores {
		scores[i] = -1000
	}
	k.prefix = "tokenizer.ggml."
	k.set("model", "gemma4")
	k.set("tokens", tokens)
	k.set("scores", scores)
	k.set("token_type", types)
	k.set("merges", v.merges)
	for _, x := range []struct{ name, key string }{{"bos", "bos"}, {"eos", "eos"}, {"unk", "unknown"}, {"pad", "padding"}} {
		id, ok, err := v.id(x.name, c, names)
		if err != nil {
			return err
		}
		if ok {
			k.number(x.key+"_token_id", id)
		}
	}
	k.set("add_bos_token", true)
	k.set("add_space_prefix", false)
	k.prefix = ""
	return nil
}

// id returns the token for a purpose: the one that tokenizer_config.json names, else the one of config.json.
func (v *vocabulary) id(name string, c *config, names map[string]any) (id int, ok bool, err error) {
	text := tokenText(names[name+"_token"])
	if text == "" && name == "unk" {
		text = v.unknown
	}
	if text != "" {
		if id, ok = v.tokens[text]; !ok {
			return 0, false, fmt.Errorf("%s: %s_token is %s, which %s does not have", tokenizerFile, name, jsonstream.Show(text),
				vocabularyFile)
		}
		return id, true, nil
	}
	key := name + "_token_id"
	x := c.words.values[key]
	if list, _ := x.([]any); len(list) > 0 {
		x = list[0]
	}
	if x == nil {
		return 0, false, nil
	}
	one := newSettings(c.words.name, map[string]any{key: x}, &err)
	id = one.size(key, 0, c.vocabulary-1)
	return id, err == nil, err
}

// tokenText returns a token as tokenizer_config.json gives it: by its text, or an object with content.
func tokenText(x any) string {
	if m, ok := x.(map[string]any); ok {
		x = m["content"]
	}
	text, _ := x.(string)
	return text
}

// specials returns the tokens that tokenizer_config.json names as markup.
func specials(names map[string]any) (list []string) {
	for key, x := range names {
		switch {
		case strings.HasSuffix(key, "_token"):
			list = append(list, tokenText(x))
		case key == "additional_special_tokens" || key == "extra_special_tokens":
			if m, ok := x.(map[string]any); ok {
				for _, x := range m {
					list = append(list, tokenText(x))
				}
			}
			all, _ := x.([]any)
			for _, x := range all {
				list = append(list, tokenText(x))
			}
		}
	}
	return list
}

// isByte reports whether a token is that of a byte, <0x00> to <0xFF>.
func isByte(text string) bool {
	return len(text) == 6 && text[:3] == "<0x" && text[5] == '>' && strings.Trim(text[3:5], "0123456789ABCDEFabcdef") == ""
}

// readTemplate writes the chat template, if there is one: that of a file of its own, else the one of tokenizer_config.json.
func readTemplate(folder fs.FS, config map[string]any, k *keys) error {
	data, err := contents(folder, templateFile, maxSmallFile)
	template := string(data)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
		switch x := config["chat_template"].(type) {
		case string:
			template = x
		case []any: // several, by name
			for _, x := range x {
				if m, _ := x.(map[string]any); m["name"] == "default" {
					template, _ = m["template"].(string)
				}
			}
		}
	}
	if err == nil && template != "" {
		k.set("tokenizer.chat_template", template)
	}
	return err
}

// readSampling writes how the maker samples, and which tokens are never picked, if generation_config.json says so.
func readSampling(folder fs.FS, k *keys) error {
	values, err := optional(folder, samplingFile)
	if err != nil {
		return err
	}
	s := newSettings(samplingFile+": ", values, &err)
	for _, x := range []struct{ key, own string }{{"temp", "temperature"}, {"top_p", "top_p"}, {"min_p", "min_p"}} {
		if s.has(x.own) {
			k.set("general.sampling."+x.key, float32(s.float(x.own)))
		}
	}
	if s.has("top_k") {
		k.set("general.sampling.top_k", int32(s.size("top_k", 0, 1<<30)))
	}
	if s.has("suppress_tokens") {
		var ids []int32
		list, _ := s.value("suppress_tokens").([]any)
		for _, id := range s.sizes("suppress_tokens", len(list), -1, maxTokens) {
			ids = append(ids, int32(id))
		}
		k.set("tokenizer.ggml.suppress_tokens", ids)
	}
	return err
}
