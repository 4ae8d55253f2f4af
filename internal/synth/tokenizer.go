package synth

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gogemma/gemma4/gguf"
)

// TokenizerJSON returns the vocabulary of a GGUF file as tokenizer.json has it, which tells three types of tokens apart: markup, what is
// found in the text before any merging, and all others.
func TokenizerJSON(m *gguf.Metadata) ([]byte, error) {
	tokens, err := m.Strings("tokenizer.ggml.tokens")
	kinds, errKinds := m.Ints("tokenizer.ggml.token_type")
	merges, errMerges := m.Strings("tokenizer.ggml.merges")
	if err := errors.Join(err, errKinds, errMerges); err != nil {
		return nil, fmt.Errorf("synth: %w", err)
	}
	vocab, added, pairs := map[string]int{}, []any{}, [][]string{}
	for id, text := range tokens {
		vocab[text] = id
		shown := strings.Contains(text, "channel") || strings.Contains(text, "tool_") || text == `<|"|>` // markup, too
		switch kinds[id] {
		case kindUnknown, kindControl, kindUser:
			added = append(added, map[string]any{"id": id, "content": text, "single_word": false, "lstrip": false, "rstrip": false,
				"normalized": false, "special": kinds[id] != kindUser || shown})
		}
	}
	for _, text := range merges {
		pairs = append(pairs, strings.SplitN(text, " ", 2))
	}
	space := map[string]any{"String": " "}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err = e.Encode(map[string]any{
		"version": "1.0", "truncation": nil, "padding": nil, "added_tokens": added,
		"normalizer":     map[string]any{"type": "Replace", "pattern": space, "content": "▁"},
		"pre_tokenizer":  map[string]any{"type": "Split", "pattern": space, "behavior": "MergedWithPrevious", "invert": false},
		"post_processor": nil, "decoder": map[string]any{"type": "Sequence", "decoders": []any{map[string]any{"type": "Fuse"}}},
		"model": map[string]any{"type": "BPE", "dropout": nil, "unk_token": "<unk>", "continuing_subword_prefix": nil,
			"end_of_word_suffix": nil, "fuse_unk": true, "byte_fallback": true, "ignore_merges": false, "vocab": vocab, "merges": pairs},
	})
	return b.Bytes(), err
}

// tokenizerConfig returns tokenizer_config.json.
func tokenizerConfig(m *gguf.Metadata) []byte {
	config := map[string]any{"tokenizer_class": "GemmaTokenizer"}
	tokens, _ := m.Strings("tokenizer.ggml.tokens")
	for name, key := range map[string]string{"bos": "bos", "eos": "eos", "unk": "unknown", "pad": "padding"} {
		if id, err := m.Int("tokenizer.ggml." + key + "_token_id"); err == nil {
			config[name+"_token"] = tokens[id]
		}
	}
	return marshal(config)
}
