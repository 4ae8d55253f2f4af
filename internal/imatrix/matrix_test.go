package imatrix_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/imatrix"
)

func small() *imatrix.Matrix {
	return &imatrix.Matrix{
		Datasets: []string{"book.txt"}, Chunks: 3, ChunkSize: 512,
		Entries: map[string]*imatrix.Entry{
			"blk.0.attn_q.weight":        {Sums: []float32{2, 4, 6, 0}, Counts: []float32{2}},
			"blk.1.ffn_down_exps.weight": {Sums: []float32{1, 2, 0, 0, 9, 6}, Counts: []float32{1, 0, 3}},
		},
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	dir := t.TempDir()
	a, b := filepath.Join(dir, "a.gguf"), filepath.Join(dir, "b.gguf")
	for _, path := range []string{a, b} {
		if err := small().WriteFile(path); err != nil {
			t.Fatal(err)
		}
	}
	got, err := imatrix.Open(a)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, small()) {
		t.Errorf("read %+v", got)
	}
	x, _ := os.ReadFile(a)
	if y, _ := os.ReadFile(b); !bytes.Equal(x, y) {
		t.Error("two files of one matrix differ")
	}
	f, err := gguf.Open(a)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	// As other programs expect them: a column per input, a row per expert.
	if d := f.Tensor("blk.1.ffn_down_exps.weight.in_sum2").Dims; !slices.Equal(d, []int{2, 3}) {
		t.Errorf("sums of experts have the dimensions %v", d)
	}
	if d := f.Tensor("blk.1.ffn_down_exps.weight.counts").Dims; !slices.Equal(d, []int{1, 3}) {
		t.Errorf("counts of experts have the dimensions %v", d)
	}
}

func TestImportanceIsTheMeanAndOneWhereNothingWent(t *testing.T) {
	m := small()
	for _, test := range []struct {
		name             string
		columns, experts int
		want             []float32
	}{
		{"blk.0.attn_q.weight", 4, 1, []float32{1, 2, 3, 0}},
		{"blk.1.ffn_down_exps.weight", 2, 3, []float32{1, 2, 1, 1, 3, 2}},
		{"blk.7.attn_q.weight", 4, 1, nil},
	} {
		got, err := m.Importance(test.name, test.columns, test.experts)
		if err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, %v; want %v", test.name, got, err, test.want)
		}
	}
	for _, shape := range [][2]int{{3, 1}, {2, 1}, {4, 2}} {
		if _, err := m.Importance("blk.1.ffn_down_exps.weight", shape[0], shape[1]); err == nil {
			t.Errorf("%v: no error", shape)
		}
	}
}

// old returns a file in the older form.
func old(parts ...any) []byte {
	var b []byte
	for _, p := range parts {
		switch p := p.(type) {
		case int:
			b = binary.LittleEndian.AppendUint32(b, uint32(p))
		case string:
			b = append(binary.LittleEndian.AppendUint32(b, uint32(len(p))), p...)
		case []float32:
			b, _ = binary.Append(b, binary.LittleEndian, p)
		}
	}
	return b
}

func TestTheOlderFormIsRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "old.dat")
	entries := old(2, "blk.0.attn_q.weight", 4, 2, []float32{8, 2}, "blk.0.ffn_down_exps.weight", 0, 4, []float32{1, 2, 3, 4})
	for _, end := range [][]byte{nil, old(12), old(12, "book.txt")} {
		if err := os.WriteFile(path, slices.Concat(entries, end), 0o666); err != nil {
			t.Fatal(err)
		}
		m, err := imatrix.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := m.Importance("blk.0.attn_q.weight", 2, 1)
		if err != nil || !slices.Equal(got, []float32{2, 0.5}) {
			t.Errorf("importance %v, %v", got, err)
		}
		if got, err = m.Importance("blk.0.ffn_down_exps.weight", 2, 2); err != nil || !slices.Equal(got, []float32{1, 1, 1, 1}) {
			t.Errorf("without a call: %v, %v", got, err)
		}
		if want := min(12, 12*len(end)); m.Chunks != want || len(m.Datasets) != len(end)/12 {
			t.Errorf("chunks %d, texts %q", m.Chunks, m.Datasets)
		}
	}
}

func TestWhatIsNoMatrixIsRefused(t *testing.T) {
	nan := float32(0)
	nan /= nan
	dir := t.TempDir()
	file := func(metadata map[string]any, tensors ...gguf.Source) []byte {
		m := new(gguf.Metadata)
		for k, v := range metadata {
			if err := m.Set(k, v); err != nil {
				t.Fatal(err)
			}
		}
		var b bytes.Buffer
		if err := gguf.Write(&b, m, tensors); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	kind := map[string]any{"general.type": "imatrix"}
	floats := func(name string, dims []int, x ...float32) gguf.Source {
		b, _ := binary.Append(nil, binary.LittleEndian, x)
		return gguf.NewSource(name, gguf.F32, dims, b)
	}
	for _, test := range []struct {
		name, want string
		data       []byte
	}{
		{"empty", "ends too early", nil},
		{"text", "expected 0 to 65536", []byte("This is not an importance matrix at all.")},
		{"no entries", "no entry", old(0)},
		{"negative", "-1 entries", old(-1)},
		{"cut", "ends too early", old(2, "a", 1, 1, []float32{1})},
		{"fewer values than it says", "ends too early", old(1, "a", 1, 1<<25, []float32{1})},
		{"more values than any has", "values, expected 0 to", old(1, "a", 1, 1<<30, []float32{1})},
		{"twice", "appears twice", old(2, "a", 1, 1, []float32{1}, "a", 1, 1, []float32{1})},
		{"no number", "value 0 is NaN", old(1, "a", 1, 1, []float32{nan})},
		{"below zero", "value 1 is -1", old(1, "a", 1, 2, []float32{1, -1})},
		{"a model", `general.type is "model"`, file(map[string]any{"general.type": "model"})},
		{"no type", `general.type is ""`, file(nil)},
		{"chunks", "imatrix.chunk_count is -1", file(map[string]any{"general.type": "imatrix", "imatrix.chunk_count": int32(-1)})},
		{"sums alone", `"a.in_sum2" has no .counts`, file(kind, floats("a.in_sum2", []int{1}, 1))},
		{"counts alone", `"a.counts", expected pairs`, file(kind, floats("a.counts", []int{1}, 1))},
		{"another tensor", `"a", expected pairs`, file(kind, floats("a", []int{1}, 1))},
		{"counts of another shape", "expected 1 or one for each row", file(kind,
			floats("a.in_sum2", []int{2, 3}, 1, 1, 1, 1, 1, 1), floats("a.counts", []int{1, 2}, 1, 1))},
		{"negative sums", "value 0 is -1", file(kind, floats("a.in_sum2", []int{1}, -1), floats("a.counts", []int{1}, 1))},
		{"halves", "is F16", file(kind, gguf.NewSource("a.in_sum2", gguf.F16, []int{1}, make([]byte, 2)), floats("a.counts", []int{1}, 1))},
	} {
		path := filepath.Join(dir, "file")
		if err := os.WriteFile(path, test.data, 0o666); err != nil {
			t.Fatal(err)
		}
		_, err := imatrix.Open(path)
		if err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), "imatrix: ") {
			t.Errorf("%s: error %v, want %q", test.name, err, test.want)
		}
	}
	if _, err := imatrix.Open(filepath.Join(dir, "missing")); err == nil {
		t.Error("a missing file is read")
	}
	if _, err := imatrix.Open(dir); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}

func TestSumsAreExactAndPerExpert(t *testing.T) {
	var c imatrix.Collector
	big := make([]float32, 2*100000)
	for i := range big {
		big[i] = 3
	}
	c.Add("a", 0, 1, big, 100000)
	c.Add("a", 0, 1, []float32{0.5, 0}, 1)
	c.Add("x", 2, 3, []float32{1, 2, 3, 4}, 2)
	m := c.Matrix()
	want := map[string]*imatrix.Entry{
		"a": {Sums: []float32{900000.25, 900000}, Counts: []float32{100001}},
		"x": {Sums: []float32{0, 0, 0, 0, 10, 20}, Counts: []float32{0, 0, 2}},
	}
	if !reflect.DeepEqual(m.Entries, want) {
		t.Errorf("a is %+v, x is %+v", m.Entries["a"], m.Entries["x"])
	}
}
