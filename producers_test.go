package gemma4_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
	"github.com/gogemma/gemma4/tokenizer"
)

// otherNano returns nano as another program would have written it.
func otherNano(t testing.TB, change func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source) []byte {
	t.Helper()
	f, err := gguf.OpenBytes(nano.GGUF())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var tensors []gguf.Source
	for _, tensor := range f.Tensors {
		tensors = append(tensors, tensor.Source())
	}
	m := f.Metadata.Clone()
	tensors = change(m, tensors)
	var b bytes.Buffer
	if err := gguf.Write(&b, m, tensors); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func set(m *gguf.Metadata, key string, v any) {
	if err := m.Set(key, v); err != nil {
		panic(err)
	}
}

// ollamas writes nano as ollama does: another name for the tokenizer, other token types, no template, and the towers in the same file.
func ollamas(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
	set(m, "tokenizer.ggml.model", "llama")
	set(m, "tokenizer.ggml.pre", "gemma4")
	set(m, "tokenizer.ggml.add_bos_token", false)
	set(m, "tokenizer.ggml.padding_token_id", int32(-1))
	m.Delete("tokenizer.chat_template")
	kinds, _ := m.Ints("tokenizer.ggml.token_type")
	types := make([]int32, len(kinds))
	for i, kind := range kinds {
		switch tokenizer.Kind(kind) {
		case tokenizer.Byte:
			kind = int64(tokenizer.Normal)
		case tokenizer.Unknown:
			kind = int64(tokenizer.Control)
		}
		types[i] = int32(kind)
	}
	set(m, "tokenizer.ggml.token_type", types)
	set(m, "gemma4.vision.block_count", uint32(1))
	set(m, "gemma4.vision.attention.layer_norm_epsilon", float32(1e-6))
	set(m, "gemma4.audio.block_count", uint32(1))
	for _, name := range []string{"v.patch_embd.weight", "v.blk.0.attn_q.weight", "v.blk.0.attn_q.input_max", "v.clamp_data",
		"a.blk.0.conv_dw.weight", "a.pre_encode.out.weight", "mm.input_projection.weight", "mm.a.fc.weight"} {
		tensors = append(tensors, gguf.NewSource(name, gguf.F32, []int{32}, make([]byte, 4*32)))
	}
	return tensors
}

// optional leaves out what may be left out, and writes numbers in other types.
func optional(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
	for _, key := range []string{"attention.value_length", "attention.value_length_swa", "rope.dimension_count", "rope.dimension_count_swa",
		"rope.freq_base_swa"} {
		m.Delete("gemma4." + key)
	}
	pattern, _ := m.Bools("gemma4.attention.sliding_window_pattern")
	numbers := make([]int32, len(pattern))
	for i, sliding := range pattern {
		if sliding {
			numbers[i] = 1
		}
	}
	set(m, "gemma4.attention.sliding_window_pattern", numbers)
	set(m, "gemma4.block_count", uint64(len(pattern)))
	set(m, "gemma4.attention.shared_kv_layers", int64(4))
	set(m, "general.sampling.top_k", int32(-1))
	m.Delete("tokenizer.ggml.bos_token_id")
	return tensors
}

// fused writes attn_q, attn_k and attn_v as one tensor.
func fused(_ *gguf.Metadata, tensors []gguf.Source) (out []gguf.Source) {
	apart := map[string]gguf.Source{}
	for _, s := range tensors {
		apart[s.Name] = s
	}
	for _, s := range tensors {
		layer, part, _ := strings.Cut(s.Name, ".attn_")
		name := func(s string) string { return layer + ".attn_" + s + ".weight" }
		k, owns := apart[name("k")]
		switch {
		case part == "q.weight" && owns:
			v := apart[name("v")]
			var b bytes.Buffer
			for _, s := range []gguf.Source{s, k, v} {
				s.Write(&b)
			}
			out = append(out, gguf.NewSource(name("qkv"), s.Type, []int{s.Dims[0], s.Dims[1] + k.Dims[1] + v.Dims[1]}, b.Bytes()))
		case part == "k.weight" || part == "v.weight":
		default:
			out = append(out, s)
		}
	}
	return out
}

// TestNanoOfOtherProducers: the same ids, the same logits to the bit, the same answers.
func TestNanoOfOtherProducers(t *testing.T) {
	var all questions
	all.read(t)
	ours := openNano(t, gemma4.Loader{})
	for name, change := range map[string]func(*gguf.Metadata, []gguf.Source) []gguf.Source{"ollama": ollamas, "optional keys": optional,
		"attn_qkv": fused} {
		t.Run(name, func(t *testing.T) {
			theirs, err := gemma4.OpenBytes(otherNano(t, change))
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			if name == "optional keys" && theirs.Sampling().TopK != 0 {
				t.Errorf("a top-k of -1 is %d, want 0", theirs.Sampling().TopK)
			}
			for i, q := range all {
				if i%5 != 0 {
					continue
				}
				text := q.Prompt + "é🚀\xff<unk> <0x41>"
				for _, special := range []bool{false, true} {
					want := ours.Tokenizer().WithBOS(ours.Tokenizer().Encode(text, special))
					if got := theirs.Tokenizer().WithBOS(theirs.Tokenizer().Encode(text, special)); !slices.Equal(got, want) {
						t.Errorf("%q is %v, want %v", text, got, want)
					}
				}
				in := gemma4.Input{Tokens: ours.Tokenizer().WithBOS(ours.Tokenizer().Encode(q.Prompt, true))}
				answer := func(m *gemma4.Model) (logits []float32, text string) {
					s := newSession(t, m, gemma4.SessionOptions{})
					if err := s.Read(ctx, in); err != nil {
						t.Fatal(err)
					}
					logits = s.Logits(nil)
					var b strings.Builder
					for tok, err := range s.Generate(ctx, nil,
						gemma4.GenerateOptions{MaxTokens: 40, Sampling: sampler.Overrides{Temperature: new(0.0)}}) {
						if err != nil {
							t.Fatal(err)
						}
						b.WriteString(tok.Text)
					}
					return logits, b.String()
				}
				wantLogits, want := answer(ours)
				if logits, got := answer(theirs); got == "" || got != want || !slices.Equal(logits, wantLogits) ||
					!strings.HasPrefix(q.Answer, got) {
					t.Errorf("question %d: %q, want %q, logits equal: %v", i, got, want, slices.Equal(logits, wantLogits))
				}
			}
			// A conversation, by the built-in format.
			c, err := theirs.NewChat(gemma4.ChatOptions{})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if m, err := c.Answer(ctx, "What is the capital of France?"); err != nil || !strings.Contains(fmt.Sprint(m), "Paris") {
				t.Errorf("answer %v, error %v", m, err)
			}
		})
	}
}

func TestUnknownKeysOpenAtOnesOwnRisk(t *testing.T) {
	data := otherNano(t, func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
		set(m, "gemma4.rope.scaling.factor", float32(8))
		return tensors
	})
	if _, err := gemma4.OpenBytes(data); !errors.Is(err, gemma4.ErrUnknown) ||
		!strings.Contains(err.Error(), "key gemma4.rope.scaling.factor") {
		t.Errorf("error %v, want one that names the key", err)
	}
	m, err := gemma4.Loader{AllowUnknown: true}.OpenBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	m.Close()
}

// TestTemplatesWriteMarkupThatTheVocabularyKnows: the model would read as text what the file does not know as markup, and quietly answer as
// if no turn had begun.
func TestTemplatesWriteMarkupThatTheVocabularyKnows(t *testing.T) {
	vocabulary := func(change func(tokens []string, kinds []int32)) func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
		return func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source {
			tokens, err := m.Strings("tokenizer.ggml.tokens")
			if err != nil {
				t.Fatal(err)
			}
			numbers, err := m.Ints("tokenizer.ggml.token_type")
			if err != nil {
				t.Fatal(err)
			}
			kinds := make([]int32, len(numbers))
			for i, kind := range numbers {
				kinds[i] = int32(kind)
			}
			change(tokens, kinds)
			set(m, "tokenizer.ggml.tokens", tokens)
			set(m, "tokenizer.ggml.token_type", kinds)
			return tensors
		}
	}
	for _, marker := range []string{"<|turn>", "<turn|>", "<bos>", "<eos>", "<|think|>"} {
		for kind, want := range map[tokenizer.Kind]string{
			0: "it is no token", tokenizer.Normal: "it has tokenizer.ggml.token_type 1, expected 3 or 4",
			tokenizer.Control: "", tokenizer.UserDefined: "",
		} {
			m, err := gemma4.OpenBytes(otherNano(t, vocabulary(func(tokens []string, kinds []int32) {
				i := slices.Index(tokens, marker)
				if kinds[i] = int32(max(kind, tokenizer.Normal)); kind == 0 {
					tokens[i] = "<another>"
				}
			})))
			if err != nil {
				t.Fatal(err)
			}
			c, err := m.NewChat(gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{MaxTokens: 1}, Thinking: marker == "<|think|>"})
			if err != nil {
				t.Fatal(err)
			}
			_, err = c.Answer(ctx, "What is "+marker+" and <|turn>?")
			if want == "" || marker == "<eos>" { // which no template writes
				if err != nil {
					t.Errorf("%s of kind %d: %v", marker, kind, err)
				}
			} else if err == nil || !strings.Contains(err.Error(), "the chat template writes "+marker) ||
				!strings.Contains(err.Error(), want) || len(c.Messages) > 0 {
				t.Errorf("%s of kind %d: error %v, %d messages", marker, kind, err, len(c.Messages))
			}
			if err := newSession(t, m, gemma4.SessionOptions{}).Read(ctx,
				gemma4.Input{Tokens: m.Tokenizer().WithBOS(m.Tokenizer().Encode("Hello", true))}); err != nil {
				t.Errorf("%s of kind %d, raw text: %v", marker, kind, err)
			}
			c.Close()
			m.Close()
		}
	}
}
