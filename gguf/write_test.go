package gguf_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
)

func TestWriteAlignsTensors(t *testing.T) {
	for _, alignment := range []uint32{8, 32, 4096, 1 << 21} {
		m := new(gguf.Metadata)
		if err := m.Set("general.alignment", alignment); err != nil {
			t.Fatal(err)
		}
		whole := encode(t, m, []gguf.Source{
			gguf.NewSource("a", gguf.F32, []int{3}, []byte("aaaaaaaaaaaa")),
			gguf.NewSource("b", gguf.F16, []int{1}, []byte("bb")),
		})
		if len(whole)%int(alignment) != 0 {
			t.Errorf("alignment %d: a file of %d bytes", alignment, len(whole))
		}
		f, err := gguf.OpenBytes(whole)
		if err != nil {
			t.Fatal(err)
		}
		for _, tensor := range f.Tensors {
			if tensor.Offset%int64(alignment) != 0 {
				t.Errorf("alignment %d: tensor %s at %d", alignment, tensor.Name, tensor.Offset)
			}
		}
		if string(data(t, f.Tensor("b"))) != "bb" {
			t.Errorf("alignment %d: tensor b holds other bytes", alignment)
		}
	}
}

func TestWriteFollowsTheSpecificationByteForByte(t *testing.T) {
	m := new(gguf.Metadata)
	if err := errors.Join(m.Set("n", int16(-2)), m.Set("s", []string{"ab"})); err != nil {
		t.Fatal(err)
	}
	got := encode(t, m, []gguf.Source{gguf.NewSource("t", gguf.F32, []int{2, 1}, []byte("12345678"))})
	want := head(1, 2).
		key("n", gguf.ValueInt16).u8(0xfe, 0xff).
		key("s", gguf.ValueArray).u32(8).u64(1).str("ab").
		tensor("t", gguf.F32, 0, 2, 1).data(0).join([]byte("12345678")...).data(0)
	if !bytes.Equal(got, want) {
		t.Errorf("wrote\n%q, want\n%q", got, want)
	}
	if got := encode(t, nil, nil); !bytes.Equal(got, head(0, 0).data(0)) {
		t.Errorf("nothing is written as %q", got)
	}
}

// full takes n bytes and fails then.
type full struct{ n int }

var errFull = errors.New("disk full")

func (f *full) Write(p []byte) (int, error) {
	if len(p) > f.n {
		return f.n, errFull
	}
	f.n -= len(p)
	return len(p), nil
}

func TestWriteRefusesWhatAReaderWould(t *testing.T) {
	source := func(name string, t gguf.Type, n int, dims ...int) gguf.Source {
		return gguf.NewSource(name, t, dims, make([]byte, n))
	}
	align := new(gguf.Metadata)
	if err := align.Set("general.alignment", uint32(33)); err != nil {
		t.Fatal(err)
	}
	keys := new(gguf.Metadata)
	for i := range 65537 {
		if err := keys.Set(name(i), true); err != nil {
			t.Fatal(err)
		}
	}
	ownErr := errors.New("no weights")
	for _, c := range []struct {
		name    string
		m       *gguf.Metadata
		sources []gguf.Source
		want    string
		partial bool // something may have been written
	}{
		{"alignment 33", align, nil, "gguf: metadata key general.alignment: value 33, expected a power of two from 8", false},
		{"too many keys", keys, nil, "gguf: 65537 metadata keys, expected at most 65536", false},
		{"too many tensors", nil, make([]gguf.Source, 65537), "gguf: 65537 tensors, expected at most 65536", false},
		{"no name", nil, []gguf.Source{source("", gguf.F32, 4, 1)}, `gguf: tensor "": empty name`, false},
		{"two of one name", nil, []gguf.Source{source("a", gguf.F32, 4, 1), source("a", gguf.F32, 4, 1)},
			"gguf: tensor a: appears twice", false},
		{"unknown type", nil, []gguf.Source{{Name: "a", Type: 5, Dims: []int{1}, Write: func(io.Writer) error { return nil }}},
			"gguf: tensor a: Q4_3 of 0 bytes, expected a type that this package knows", false},
		{"no dimensions", nil, []gguf.Source{source("a", gguf.F32, 4)}, "gguf: tensor a: 0 dimensions, expected 1 to 4", false},
		{"5 dimensions", nil, []gguf.Source{source("a", gguf.F32, 4, 1, 1, 1, 1, 1)},
			"gguf: tensor a: 5 dimensions, expected 1 to 4", false},
		{"dimension -1", nil, []gguf.Source{source("a", gguf.F32, 4, 1, -1)},
			"gguf: tensor a: dimensions [1 0], expected none of them 0", false},
		{"part of a block", nil, []gguf.Source{source("a", gguf.Q8_0, 34, 33)},
			"expected the first to be a multiple of 32, the block of Q8_0", false},
		{"larger than any file", nil, []gguf.Source{source("a", gguf.F32, 0, 1<<30, 1<<28), source("b", gguf.F32, 0, 1<<30, 1<<28)},
			"gguf: tensor b: the file gets larger", false},
		{"too few bytes", nil, []gguf.Source{source("a", gguf.F32, 7, 2)},
			"gguf: tensor a: 7 bytes, but F32 with dimensions [2] takes 8", false},
		{"Q2_0 that is neither", nil, []gguf.Source{source("a", gguf.Q2_0, 4353, 1<<14)},
			"gguf: tensor a: 4353 bytes, but Q2_0 with dimensions [16384] takes 4608", false},
		{"Q2_0 too small to tell", nil, []gguf.Source{source("a", gguf.Q2_0, 34, 128)},
			"gguf: tensor a: 34 bytes, but Q2_0 with dimensions [128] takes 36", false},
		{"too many bytes", nil, []gguf.Source{source("a", gguf.F32, 9, 2)},
			"gguf: tensor a: 9 bytes, but F32 with dimensions [2] takes 8", false},
		{"source fails", nil, []gguf.Source{{Name: "a", Dims: []int{2}, Write: func(io.Writer) error { return ownErr }}},
			"gguf: tensor a: no weights", true},
		{"source hides an error", nil, []gguf.Source{{Name: "a", Dims: []int{2}, Write: func(w io.Writer) error {
			w.Write(make([]byte, 9))
			return nil
		}}}, "gguf: tensor a: source wrote 0 bytes, expected 8", true},
		{"source without a function", nil, []gguf.Source{{Name: "a", Dims: []int{2}}}, "gguf: tensor a: no function that writes it", false},
	} {
		var b bytes.Buffer
		err := gguf.Write(&b, c.m, c.sources)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want %s", c.name, err, c.want)
		}
		if !c.partial && b.Len() > 0 {
			t.Errorf("%s: %d bytes written before the error", c.name, b.Len())
		}
		dir := t.TempDir()
		err = gguf.WriteFile(filepath.Join(dir, "m.gguf"), c.m, c.sources)
		want := strings.Replace(c.want, "gguf: ", "gguf: "+filepath.Join(dir, "m.gguf")+": ", 1)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "gguf: ") != 2 {
			t.Errorf("%s: WriteFile: error %v, want %s", c.name, err, want)
		}
		if _, err := gguf.WriteSplit(filepath.Join(dir, "m.gguf"), 1, c.m, c.sources); err == nil {
			t.Errorf("%s: WriteSplit has no error", c.name)
		}
		if left := must(os.ReadDir(dir)); len(left) > 0 {
			t.Errorf("%s: %s is left behind", c.name, left[0].Name())
		}
	}
}

func TestWriteReportsAFullDisk(t *testing.T) {
	m, sources := everything()
	sources = append(sources, gguf.NewSource("large", gguf.F32, []int{1 << 16}, make([]byte, 4<<16)))
	whole := len(encode(t, m, sources))
	for n := 0; n < whole; n += 1 + whole/50 {
		if err := gguf.Write(&full{n}, m, sources); !errors.Is(err, errFull) {
			t.Errorf("after %d of %d bytes: error %v", n, whole, err)
		}
	}
	if err := gguf.Write(&full{whole}, m, sources); err != nil {
		t.Errorf("with just enough room: %v", err)
	}
}

func TestWriteFileReplacesOrKeepsTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	one := []gguf.Source{gguf.NewSource("a", gguf.F32, []int{1}, []byte("1111"))}
	two := []gguf.Source{gguf.NewSource("a", gguf.F32, []int{1}, []byte("2222"))}
	short := []gguf.Source{gguf.NewSource("a", gguf.F32, []int{1}, []byte("333"))}
	for _, c := range []struct {
		sources []gguf.Source
		ok      bool
		want    string
	}{{one, true, "1111"}, {two, true, "2222"}, {short, false, "2222"}} {
		if err := gguf.WriteFile(path, nil, c.sources); (err == nil) != c.ok {
			t.Errorf("error %v", err)
		}
		f, err := gguf.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := string(data(t, f.Tensors[0])); got != c.want {
			t.Errorf("the file holds %s, want %s", got, c.want)
		}
		f.Close()
	}
	if err := gguf.WriteFile(filepath.Join(path, "m.gguf"), nil, one); err == nil || !strings.HasPrefix(err.Error(), "gguf: ") {
		t.Errorf("writing below a file: %v", err)
	}
}

func TestWriteSplitLeavesNothingAfterAnError(t *testing.T) {
	dir := t.TempDir()
	sources := []gguf.Source{
		gguf.NewSource("a", gguf.F32, []int{1}, []byte("1111")),
		{Name: "b", Dims: []int{1}, Write: func(w io.Writer) error { _, err := w.Write([]byte("22")); return err }},
	}
	paths, err := gguf.WriteSplit(filepath.Join(dir, "m.gguf"), 2, nil, sources)
	if err == nil || paths != nil || !strings.Contains(err.Error(), "m-00002-of-00002.gguf") ||
		!strings.Contains(err.Error(), "tensor b: source wrote 2 bytes, expected 4") {
		t.Errorf("paths %q, error %v", paths, err)
	}
	if left := must(os.ReadDir(dir)); len(left) > 0 {
		t.Errorf("%s is left behind", left[0].Name())
	}
	good := []gguf.Source{sources[0], gguf.NewSource("b", gguf.F32, []int{1}, []byte("2222"))}
	before := must(gguf.WriteSplit(filepath.Join(dir, "m.gguf"), 2, nil, good))
	if _, err := gguf.WriteSplit(filepath.Join(dir, "m.gguf"), 2, nil, sources); err == nil {
		t.Error("no error")
	}
	if f, err := gguf.OpenParts(before...); err != nil {
		t.Errorf("what was there before: %v", err)
	} else {
		f.Close()
	}
	if left := must(os.ReadDir(dir)); len(left) != len(before) {
		t.Errorf("%d files are left", len(left))
	}
	for _, parts := range []int{-1, 0, 3, 1 << 20} {
		if _, err := gguf.WriteSplit(filepath.Join(dir, "m.gguf"), parts, nil, sources); err == nil ||
			!strings.Contains(err.Error(), "parts, expected 1 to 2 with 2 tensors") {
			t.Errorf("%d parts: error %v", parts, err)
		}
	}
}

func TestSourcesMayWriteInSmallPieces(t *testing.T) {
	want := bytes.Repeat([]byte("abcdefg"), 40000)
	f, err := gguf.OpenBytes(encode(t, nil, []gguf.Source{{Name: "a", Type: gguf.F16, Dims: []int{len(want) / 2},
		Write: func(w io.Writer) error {
			for piece := range slices.Chunk(want, 7) {
				if _, err := w.Write(piece); err != nil {
					return err
				}
			}
			return nil
		}}}))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(data(t, f.Tensors[0]), want) {
		t.Error("other bytes came back")
	}
}

func TestWhatAKilledRunHasLeftIsReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.gguf")
	if err := os.WriteFile(path+".part", bytes.Repeat([]byte("old"), 1000), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := gguf.WriteFile(path, nil, []gguf.Source{gguf.NewSource("a", gguf.F32, []int{1}, []byte("abcd"))}); err != nil {
		t.Fatal(err)
	}
	f := must(gguf.Open(path))
	defer f.Close()
	if string(data(t, f.Tensor("a"))) != "abcd" || f.Size() > 200 {
		t.Errorf("the file has %d bytes", f.Size())
	}
	if left := must(os.ReadDir(filepath.Dir(path))); len(left) != 1 {
		t.Errorf("%d files are there, want one", len(left))
	}
}

func TestTwoWritersOfOnePathDoNotMix(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a file that is open cannot be removed: the second writer is refused")
	}
	path := filepath.Join(t.TempDir(), "m.gguf")
	one := func(value string) []gguf.Source {
		return []gguf.Source{gguf.NewSource("a", gguf.F32, []int{1}, []byte(value))}
	}
	slow := one("slow")
	slow[0].Write = func(w io.Writer) error { // another run comes and goes meanwhile, and a third begins
		if err := gguf.WriteFile(path, nil, one("fast")); err != nil {
			return err
		}
		if err := os.WriteFile(path+".part", []byte("begun"), 0o666); err != nil {
			return err
		}
		_, err := io.WriteString(w, "slow")
		return err
	}
	err := gguf.WriteFile(path, nil, slow)
	if err == nil || !strings.Contains(err.Error(), "somebody else writes to this path") {
		t.Errorf("error %v", err)
	}
	f := must(gguf.Open(path))
	defer f.Close()
	if got := string(data(t, f.Tensor("a"))); got != "fast" {
		t.Errorf("the file holds %q, want that of the run that was through", got)
	}
	if part := must(os.ReadFile(path + ".part")); string(part) != "begun" {
		t.Errorf("the part of a third run is %q", part)
	}
}
