package model

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// Files as other producers write them, and scales, against a file that says the same another way: the same bits.

// data returns the bytes of a tensor.
func (d *draft) data(t testing.TB, name string) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := d.tensors[d.index(name)].Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// reader writes the model and opens it through a reader.
func (d *draft) reader(t testing.TB) *gguf.File {
	t.Helper()
	var b bytes.Buffer
	if err := gguf.Write(&b, d.Metadata, d.tensors); err != nil {
		t.Fatal(err)
	}
	f, err := gguf.OpenReaderAt(gguf.Part{Name: "reader", ReaderAt: bytes.NewReader(b.Bytes()), Size: int64(b.Len())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// answer prefills and decodes a few tokens.
func (d *draft) answer(t testing.TB) []float32 {
	t.Helper()
	m, err := d.open(t)
	if err != nil {
		t.Fatal(err)
	}
	return answer(t, m)
}

func answer(t testing.TB, m *Model) []float32 {
	t.Helper()
	s := newSession(t, m, SequenceOptions{Cache: tensor.F32})
	out := read(t, s, Input{Tokens: []int32{2, 300, 7, 301, 0, 511, 43, 9, 8, 7, 100}})
	written, err := s.Write(ctx, 302, 17)
	if err != nil {
		t.Fatal(err)
	}
	return append(out, written...)
}

func sameBits(a, b []float32) bool {
	return slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) })
}

// fuse makes attn_qkv of each layer's attn_q, attn_k and attn_v, whose scale must be q's for all.
func (d *draft) fuse(t testing.TB, layers int) {
	t.Helper()
	for i := range layers {
		name := func(s string) string { return fmt.Sprintf("blk.%d.attn_%s", i, s) }
		var all []byte
		rows := 0
		for _, s := range []string{"q", "k", "v"} {
			all = append(all, d.data(t, name(s+".weight"))...)
			rows += d.tensors[d.index(name(s+".weight"))].Dims[1]
		}
		q := d.tensors[d.index(name("q.weight"))]
		d.tensors = append(d.tensors, gguf.NewSource(name("qkv.weight"), q.Type, []int{q.Dims[0], rows}, all))
		d.drop(name("q.weight"), name("k.weight"), name("v.weight"))
		if slices.ContainsFunc(d.tensors, func(s gguf.Source) bool { return s.Name == name("q.scale") }) {
			d.tensors = append(d.tensors, gguf.NewSource(name("qkv.scale"), gguf.F32, []int{1}, d.data(t, name("q.scale"))))
			d.drop(name("q.scale"), name("k.scale"), name("v.scale"))
		}
	}
}

func TestFusedProjectionsAreThreeViews(t *testing.T) {
	c := synth.Config{
		Vocabulary: synth.MinVocabulary, Context: 64, Layers: 4, Width: 256, Heads: []int{4}, KVHeads: []int{2, 1, 2, 1},
		MLP: []int{256}, HeadSize: 32, HeadSizeSliding: 16, Sliding: []bool{true, false, true, false}, Window: 8, SharedKV: 2, IdleKV: true,
	}
	for _, f := range []tensor.Format{tensor.F32, tensor.BF16, tensor.Q4_0, tensor.Q8_0, tensor.Q4_K, tensor.Q6_K, tensor.IQ4_XS,
		tensor.NVFP4} {
		for _, scales := range []bool{false, true} {
			c.Mix, c.Scales = synth.All(f), scales
			m, tensors, err := synth.Build(c)
			if err != nil {
				t.Fatal(err)
			}
			apart := &draft{m, tensors}
			for i := range c.Layers {
				for _, s := range []string{"q", "k", "v"} {
					if scales {
						apart.floats(fmt.Sprintf("blk.%d.attn_%s.scale", i, s), []float32{0.75 + float32(i)}, 1)
					}
				}
			}
			fused := apart.clone()
			fused.fuse(t, c.Layers)
			want := apart.answer(t)
			if !sameBits(fused.answer(t), want) {
				t.Errorf("%v, scales %v: fused projections give other logits", f, scales)
			}
			needed, err := New(fused.reader(t), Options{Workers: 1, Resident: -1})
			if err != nil {
				t.Fatal(err)
			}
			if !sameBits(answer(t, needed), want) {
				t.Errorf("%v, scales %v: fused projections that are read when they are needed give other logits", f, scales)
			}
			needed.Close()
		}
	}
}

func TestExpertsScaleHasTwoNames(t *testing.T) {
	ours := newDraft(t, "moe")
	theirs, none := ours.clone(), ours.clone()
	for i := range 4 {
		name := fmt.Sprintf("blk.%d.ffn_down_exps.scale", i)
		scale := []float32{0.5, 2, 3, 0.25}
		ours.floats(name, scale, 4)
		theirs.drop(name)
		none.drop(name)
		theirs.floats(fmt.Sprintf("blk.%d.ffn_gate_inp.per_expert_scale", i), scale, 4)
	}
	want := ours.answer(t)
	if !sameBits(theirs.answer(t), want) {
		t.Error("the experts' scale by its other name gives other logits")
	}
	if sameBits(none.answer(t), want) {
		t.Error("the experts' scale changes nothing")
	}
}

// TestMissingKeysHaveTheirNumbers, and those that are present may be integers of any width.
func TestMissingKeysHaveTheirNumbers(t *testing.T) {
	for _, kind := range []string{"dense", "e", "moe"} {
		whole := newDraft(t, kind)
		d := whole.clone()
		for _, key := range []string{"attention.value_length", "attention.value_length_swa", "rope.dimension_count",
			"rope.dimension_count_swa", "rope.freq_base_swa"} {
			d.Delete("gemma4." + key)
		}
		for _, key := range []string{"block_count", "context_length", "embedding_length", "attention.sliding_window",
			"attention.key_length", "attention.key_length_swa"} {
			n, err := d.Int("gemma4." + key)
			if err != nil {
				t.Fatal(err)
			}
			d.set(key, uint64(n))
		}
		d.set("attention.sliding_window_pattern", []int8{1, 0, 1, 0})
		d.set("attention.head_count_kv", []uint64{2, 1, 2, 1})
		d.set("attention.head_count", []uint8{4, 4, 4, 4})
		if !sameBits(d.answer(t), whole.answer(t)) {
			t.Errorf("%s: without optional keys the logits are others", kind)
		}
	}
}

// TestEveryScaleCounts: each matrix with a scale of 4 and a quarter of its weights gives the bits that it gives without.
func TestEveryScaleCounts(t *testing.T) {
	for _, kind := range []string{"dense", "e", "moe", "moe-apart"} {
		whole := newDraft(t, kind)
		want := whole.answer(t)
		count := 0
		for _, s := range whole.tensors {
			name, ok := strings.CutSuffix(s.Name, ".weight")
			if len(s.Dims) < 2 || !ok || strings.HasSuffix(name, "ffn_gate_inp") {
				continue
			}
			d := whole.clone()
			d.divide(t, s.Name, 4)
			n := 1
			if len(s.Dims) == 3 {
				n = s.Dims[2]
			}
			scale := slices.Repeat([]float32{4}, n)
			if i := slices.IndexFunc(d.tensors, func(s gguf.Source) bool { return s.Name == name+".scale" }); i >= 0 {
				scale = make([]float32, n) // the file's own, four times
				if _, err := binary.Decode(d.data(t, name+".scale"), binary.LittleEndian, scale); err != nil {
					t.Fatal(err)
				}
				for i := range scale {
					scale[i] *= 4
				}
			}
			d.floats(name+".scale", scale, n)
			if !sameBits(d.answer(t), want) {
				t.Errorf("%s: %s.scale of %g over a quarter of the weights gives other logits", kind, name, scale)
			}
			count++
		}
		t.Logf("%s: %d scales", kind, count)
	}
}

// divide divides the values of an F32 tensor.
func (d *draft) divide(t testing.TB, name string, by float32) {
	t.Helper()
	raw := d.data(t, name)
	x := make([]float32, len(raw)/4)
	if _, err := binary.Decode(raw, binary.LittleEndian, x); err != nil {
		t.Fatal(err)
	}
	for i := range x {
		x[i] /= by
	}
	d.floats(name, x, d.tensors[d.index(name)].Dims...)
}
