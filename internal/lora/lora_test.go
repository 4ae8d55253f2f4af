package lora_test

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/lora"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

func parse(t testing.TB, preset string) synth.Config {
	t.Helper()
	c, err := synth.Parse(preset)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// all goes beside every matrix.
func all(string) bool { return true }

func open(t testing.TB, data []byte) *gguf.File {
	t.Helper()
	f, err := gguf.OpenBytes(data)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// Every pair of an adapter beside all matrices fits its tensor, and B·A of the factors is the product of the file's matrices.
func TestPairsFitTheirTensors(t *testing.T) {
	for _, preset := range []string{"micro-e", "micro-dense", "micro-moe"} {
		c := parse(t, preset)
		base := open(t, synth.Bytes(c))
		a, err := lora.Read(open(t, synth.Bytes(synth.Adapter{Name: "x", Model: c, Rank: 3, Format: tensor.F16, Beside: all})))
		if err != nil {
			t.Fatal(err)
		}
		if a.Name != "x" || a.Architecture != "gemma4" || a.Alpha != 3 || len(a.Ignored) != 0 {
			t.Errorf("%s: read %+v", preset, a)
		}
		for _, p := range a.Sorted() {
			w := base.Tensor(p.Name)
			if w == nil {
				t.Fatalf("%s: no tensor %s", preset, p.Name)
			}
			if err := p.Check(w.Dims); err != nil {
				t.Error(err)
			}
			if err := p.Check(append(slices.Clone(w.Dims[:1]), w.Dims[1]+1)); err == nil || !strings.Contains(err.Error(), p.Name) {
				t.Errorf("%s beside another shape: %v", p.Name, err)
			}
			f, err := p.Factors()
			if err != nil {
				t.Fatal(err)
			}
			if p.Rank != 3 || p.Scale != 1 || f.Cols != w.Dims[0] || f.Rows != w.Dims[1] || f.FormatA != tensor.F16 ||
				f.FormatB != tensor.F16 {
				t.Errorf("%s: %+v with factors of %d × %d", p.Name, p, f.Rows, f.Cols)
			}
			checkProduct(t, p, f)
		}
	}
}

// checkProduct compares the last row that Add makes with the product of the matrices as they lie in the file.
func checkProduct(t *testing.T, p *lora.Pair, f *lora.Factors) {
	t.Helper()
	decode := func(x *gguf.Tensor) []float32 {
		data, err := x.Data()
		if err != nil {
			t.Fatal(err)
		}
		out := make([]float32, len(data)/2)
		tensor.F16.Decode(out, data)
		return out
	}
	a, b := decode(p.A), decode(p.B)
	rows := f.Stack * f.Rows
	got := make([]float32, f.Cols)
	for i := range got {
		got[i] = 1
	}
	f.Add(got, rows-1, rows, 0.5)
	for i := range got {
		want := 0.0
		for k := range p.Rank {
			if p.Table() { // row of A, column of B
				want += float64(a[(rows-1)*p.Rank+k]) * float64(b[i*p.Rank+k])
			} else {
				want += float64(b[(rows-1)*p.Rank+k]) * float64(a[((f.Stack-1)*p.Rank+k)*f.Cols+i])
			}
		}
		if want = 1 + want/2; math.Abs(want-float64(got[i])) > 1e-6 {
			t.Fatalf("%s: value %d of the last row is %g, expected %g", p.Name, i, got[i], want)
		}
	}
}

// What is no adapter, or a broken one, is an error that names what is wrong.
func TestBrokenAdaptersAreErrors(t *testing.T) {
	good := func() (*gguf.Metadata, []gguf.Source) {
		beside := func(name string) bool { return name == "blk.0.attn_q" || name == "token_embd" }
		m, tensors, err := synth.Build(synth.Adapter{Model: parse(t, "micro-dense"), Rank: 2, Format: tensor.F32, Beside: beside})
		if err != nil {
			t.Fatal(err)
		}
		return m, tensors
	}
	zeros := func(name string, typ gguf.Type, dims ...int) gguf.Source {
		n := 1
		for _, d := range dims {
			n *= d
		}
		values, size := typ.Block()
		return gguf.NewSource(name, typ, dims, make([]byte, n/values*size))
	}
	const q, emb = "blk.0.attn_q.weight", "token_embd.weight"
	replace := func(tensors []gguf.Source, with gguf.Source) []gguf.Source {
		for i := range tensors {
			if tensors[i].Name == with.Name {
				tensors[i] = with
				return tensors
			}
		}
		return append(tensors, with)
	}
	without := func(tensors []gguf.Source, name string) []gguf.Source {
		return slices.DeleteFunc(tensors, func(s gguf.Source) bool { return s.Name == name })
	}
	for name, x := range map[string]struct {
		change func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source
		want   string
	}{
		"a model": {func(m *gguf.Metadata, s []gguf.Source) []gguf.Source { m.Delete("general.type"); return s }, "general.type"},
		"another type": {func(m *gguf.Metadata, s []gguf.Source) []gguf.Source { m.Set("general.type", "model"); return s },
			`general.type is "model", expected "adapter"`},
		"another kind": {func(m *gguf.Metadata, s []gguf.Source) []gguf.Source {
			m.Set("adapter.type", "control_vector")
			return s
		},
			`adapter.type is "control_vector", expected "lora"`},
		"invoked": {func(m *gguf.Metadata, s []gguf.Source) []gguf.Source {
			m.Set("adapter.alora.invocation_tokens", []uint32{1})
			return s
		}, "adapter.alora.invocation_tokens"},
		"no architecture": {func(m *gguf.Metadata, s []gguf.Source) []gguf.Source { m.Delete("general.architecture"); return s },
			"general.architecture"},
		"alpha NaN": {func(m *gguf.Metadata, s []gguf.Source) []gguf.Source {
			m.Set("adapter.lora.alpha", float32(math.NaN()))
			return s
		}, "adapter.lora.alpha is NaN"},
		"alpha text": {func(m *gguf.Metadata, s []gguf.Source) []gguf.Source { m.Set("adapter.lora.alpha", "16"); return s },
			"adapter.lora.alpha"},
		"no tensors": {func(*gguf.Metadata, []gguf.Source) []gguf.Source { return nil }, "no tensors"},
		"half a pair, A": {func(_ *gguf.Metadata, s []gguf.Source) []gguf.Source { return without(s, q+".lora_b") },
			`"` + q + `" has .lora_a and no .lora_b`},
		"half a pair, B": {func(_ *gguf.Metadata, s []gguf.Source) []gguf.Source { return without(s, q+".lora_a") },
			`"` + q + `" has .lora_b and no .lora_a`},
		"another suffix": {func(_ *gguf.Metadata, s []gguf.Source) []gguf.Source {
			return append(s, zeros("blk.0.x.lora_c", gguf.F32, 2))
		},
			`"blk.0.x.lora_c" has an unexpected suffix`},
		"two ranks": {func(_ *gguf.Metadata, s []gguf.Source) []gguf.Source {
			return replace(s, zeros(q+".lora_a", gguf.F32, 64, 3))
		}, `"` + q + `" has the shapes [64 3] and [2 128]`},
		"two ranks of a table": {func(_ *gguf.Metadata, s []gguf.Source) []gguf.Source {
			return replace(s, zeros(emb+".lora_a", gguf.F32, 3, 512))
		}, "expected [rank, vocabulary] and [rank, width]"},
		"giant rank": {func(_ *gguf.Metadata, s []gguf.Source) []gguf.Source {
			return replace(replace(s, zeros(q+".lora_a", gguf.F16, 64, 5000)), zeros(q+".lora_b", gguf.F16, 5000, 128))
		}, "has the rank 5000, expected 1 to 4096"},
		"stack and matrix": {func(_ *gguf.Metadata, s []gguf.Source) []gguf.Source {
			return replace(s, zeros(q+".lora_a", gguf.F32, 64, 2, 4))
		}, "are no pair"},
		"four dimensions": {func(_ *gguf.Metadata, s []gguf.Source) []gguf.Source {
			return replace(replace(s, zeros(q+".lora_a", gguf.F32, 64, 2, 1, 3)), zeros(q+".lora_b", gguf.F32, 2, 128, 1, 3))
		}, "are no pair"},
		"a format without rounding": {func(_ *gguf.Metadata, s []gguf.Source) []gguf.Source {
			return replace(s, zeros(q+".lora_a", gguf.Q4_0, 64, 2))
		}, "is of type Q4_0, expected F32, F16, BF16 or Q8_0"},
	} {
		m, tensors := good()
		tensors = x.change(m, tensors)
		var b bytes.Buffer
		if err := gguf.Write(&b, m, tensors); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		_, err := lora.Read(open(t, b.Bytes()))
		if err == nil || !strings.HasPrefix(err.Error(), "lora: ") || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v, expected %q", name, err, x.want)
		}
	}
}

// Norms are left out and told, and values that are no numbers are an error of their tensor.
func TestNormsAreIgnoredAndNaNIsNot(t *testing.T) {
	nan := binary.LittleEndian.AppendUint32(make([]byte, 4), math.Float32bits(float32(math.NaN())))
	m := new(gguf.Metadata)
	for key, v := range map[string]any{"general.architecture": "gemma4", "general.type": "adapter", "adapter.type": "lora"} {
		if err := m.Set(key, v); err != nil {
			t.Fatal(err)
		}
	}
	var b bytes.Buffer
	if err := gguf.Write(&b, m, []gguf.Source{
		gguf.NewSource("output_norm.weight", gguf.F32, []int{1}, make([]byte, 4)),
		gguf.NewSource("blk.0.proj.weight.lora_a", gguf.F32, []int{2, 1}, nan),
		gguf.NewSource("blk.0.proj.weight.lora_b", gguf.F32, []int{1, 2}, make([]byte, 8)),
	}); err != nil {
		t.Fatal(err)
	}
	a, err := lora.Read(open(t, b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(a.Ignored, []string{"output_norm.weight"}) {
		t.Errorf("ignored %q", a.Ignored)
	}
	p := a.Pairs["blk.0.proj.weight"]
	if p.Scale != 1 {
		t.Errorf("without alpha the scale is %g", p.Scale)
	}
	if _, err := p.Factors(); err == nil || !strings.Contains(err.Error(), `"blk.0.proj.weight.lora_a"[1] is NaN`) {
		t.Errorf("NaN: %v", err)
	}
}
