package gguf_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
)

func TestSplitFileIsOneFile(t *testing.T) {
	m, sources := everything()
	for _, alignment := range []uint32{32, 256} {
		if err := m.Set("general.alignment", alignment); err != nil {
			t.Fatal(err)
		}
		whole := must(gguf.OpenBytes(encode(t, m, sources)))
		for _, parts := range []int{1, 2, 3, len(sources)} {
			dir := t.TempDir()
			paths, err := gguf.WriteSplit(filepath.Join(dir, "model.gguf"), parts, m, sources)
			if err != nil {
				t.Fatal(err)
			}
			if len(paths) != parts || parts == 3 && filepath.Base(paths[1]) != "model-00002-of-00003.gguf" {
				t.Fatalf("%d parts: paths %q", parts, paths)
			}
			if left := must(os.ReadDir(dir)); len(left) != parts {
				t.Errorf("%d parts: %d files", parts, len(left))
			}
			check := func(f *gguf.File, err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				if got, want := f.Metadata.Len(), m.Len()+3; got != want {
					t.Errorf("%d parts: %d keys, want %d", parts, got, want)
				}
				only := f.Metadata.Clone()
				for key, want := range map[string]int64{"split.no": 0, "split.count": int64(parts),
					"split.tensors.count": int64(len(sources))} {
					if got, err := only.Int(key); got != want || err != nil {
						t.Errorf("%d parts: %s is %d, %v, want %d", parts, key, got, err, want)
					}
					only.Delete(key)
				}
				equalMetadata(t, only, m)
				if !slices.IsSortedFunc(f.Tensors, func(a, b *gguf.Tensor) int { return a.Part - b.Part }) ||
					f.Tensors[len(sources)-1].Part != parts-1 {
					t.Errorf("%d parts: tensors are not in the order of the parts", parts)
				}
				for _, tensor := range f.Tensors {
					if tensor.Offset%int64(alignment) != 0 {
						t.Errorf("%d parts: tensor %s of part %d at %d, want a multiple of %d", parts, tensor.Name, tensor.Part,
							tensor.Offset, alignment)
					}
				}
				f.Metadata = whole.Metadata
				equal(t, f, whole)
			}
			for _, path := range paths { // opening any opens all
				check(gguf.Open(path))
			}
			slices.Reverse(paths)
			check(gguf.OpenParts(paths...))
			var contents [][]byte
			var readers []gguf.Part
			for _, path := range paths {
				b := must(os.ReadFile(path))
				contents = append(contents, b)
				readers = append(readers, gguf.Part{Name: path, ReaderAt: bytes.NewReader(b), Size: int64(len(b))})
			}
			check(gguf.OpenBytes(contents...))
			check(gguf.OpenReaderAt(readers...))

			// Written as one file again, it is no longer a part of anything.
			f := must(gguf.OpenParts(paths...))
			keys := f.Metadata.Len()
			var again []gguf.Source
			for _, tensor := range f.Tensors {
				again = append(again, tensor.Source())
			}
			equal(t, must(gguf.OpenBytes(encode(t, f.Metadata, again))), whole)
			if f.Metadata.Len() != keys {
				t.Errorf("%d parts: writing changed the metadata", parts)
			}
			f.Close()
		}
	}
}

func TestPartsAreOfAboutOneSize(t *testing.T) {
	var sources []gguf.Source
	for i := range 100 {
		rows := 1 + i%7
		sources = append(sources, gguf.NewSource(string(rune('A'+i)), gguf.F32, []int{64, rows}, make([]byte, 256*rows)))
	}
	paths, err := gguf.WriteSplit(filepath.Join(t.TempDir(), "m.gguf"), 4, nil, sources)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int64
	for _, path := range paths {
		sizes = append(sizes, must(os.Stat(path)).Size())
	}
	if slices.Max(sizes)-slices.Min(sizes) > 4096 {
		t.Errorf("parts of %d bytes", sizes)
	}
}

func TestNoPartIsEmpty(t *testing.T) {
	for _, rows := range [][]int{{1000, 1, 1}, {1, 1000, 1}, {1, 1, 1000}, {1, 1, 1}} {
		var sources []gguf.Source
		for i, n := range rows {
			sources = append(sources, gguf.NewSource(name(i), gguf.F32, []int{1, n}, make([]byte, 4*n)))
		}
		paths, err := gguf.WriteSplit(filepath.Join(t.TempDir(), "m.gguf"), 3, nil, sources)
		if err != nil {
			t.Fatal(err)
		}
		f, err := gguf.OpenParts(paths...)
		if err != nil {
			t.Fatal(err)
		}
		for i, tensor := range f.Tensors {
			if tensor.Part != i {
				t.Errorf("sizes %d: tensor %d is in part %d", rows, i, tensor.Part)
			}
		}
		f.Close()
	}
}

func TestBrokenSplitsSayWhatIsWrong(t *testing.T) {
	part := func(no, count uint16, total uint32, tensors ...string) []byte {
		b := head(uint64(len(tensors)), 3).key("split.no", gguf.ValueUint16).u8(byte(no), 0).
			key("split.count", gguf.ValueUint16).u8(byte(count), 0).key("split.tensors.count", gguf.ValueInt32).u32(total)
		for i, name := range tensors {
			b = b.tensor(name, gguf.F32, uint64(i)*32, 8)
		}
		return b.data(32 * len(tensors))
	}
	plain := []byte(head(1, 0).tensor("p", gguf.F32, 0, 8).data(32))
	uncounted := []byte(head(0, 2).key("split.no", gguf.ValueUint16).u8(0, 0).key("split.count", gguf.ValueUint16).u8(2, 0).data(0))
	for _, c := range []struct {
		name  string
		files map[string][]byte
		open  []string // one: Open; several: OpenParts
		want  string
		is    error
	}{
		{"part missing", map[string][]byte{"m-00001-of-00003.gguf": part(0, 3, 3, "a"), "m-00002-of-00003.gguf": part(1, 3, 3, "b")},
			[]string{"m-00002-of-00003.gguf"}, "m-00003-of-00003.gguf: part 3 of 3 is missing beside DIR/m-00002-of-00003.gguf",
			fs.ErrNotExist},
		{"first part missing", map[string][]byte{"m-00002-of-00002.gguf": part(1, 2, 2, "b")},
			[]string{"m-00002-of-00002.gguf"}, "DIR/m-00001-of-00002.gguf: part 1 of 2 is missing", fs.ErrNotExist},
		{"part of other bytes", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 2, "a"), "m-00002-of-00002.gguf": []byte("<html>")},
			[]string{"m-00001-of-00002.gguf"}, "DIR/m-00002-of-00002.gguf: is not a GGUF file", nil},
		{"part cut short",
			map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 2, "a"), "m-00002-of-00002.gguf": part(1, 2, 2, "b")[:150]},
			[]string{"m-00001-of-00002.gguf"}, "DIR/m-00002-of-00002.gguf: tensor b: ", nil},
		{"renamed", map[string][]byte{"other.gguf": part(0, 2, 2, "a")},
			[]string{"other.gguf"}, "DIR/other.gguf: is part 1 of 2, expected a name that ends in -00001-of-00002.gguf", nil},
		{"named with other digits", map[string][]byte{"m-0001-of-000002.gguf": part(0, 2, 2, "a")},
			[]string{"m-0001-of-000002.gguf"}, "is part 1 of 2, expected a name that ends in -00001-of-00002.gguf", nil},
		{"named almost so", map[string][]byte{"m-1-of-2.gguf.........": part(0, 2, 2, "a")},
			[]string{"m-1-of-2.gguf........."}, "is part 1 of 2, expected a name that ends in -00001-of-00002.gguf", nil},
		{"count differs from the name", map[string][]byte{"m-00001-of-00002.gguf": part(0, 3, 2, "a")},
			[]string{"m-00001-of-00002.gguf"}, "DIR/m-00001-of-00002.gguf: has 2 parts by its name, 3 by split.count", nil},
		{"number differs from the name", map[string][]byte{"m-00001-of-00002.gguf": part(1, 2, 2, "a")},
			[]string{"m-00001-of-00002.gguf"}, "DIR/m-00001-of-00002.gguf: is part 1 by its name, part 2 by split.no (1)", nil},
		{"second part is the first again", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 2, "a"),
			"m-00002-of-00002.gguf": part(0, 2, 2, "a")},
			[]string{"m-00001-of-00002.gguf"}, "DIR/m-00002-of-00002.gguf: is part 2 by its name, part 1 by split.no (0)", nil},
		{"second part is of no split", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 2, "a"), "m-00002-of-00002.gguf": plain},
			[]string{"m-00001-of-00002.gguf"}, "DIR/m-00002-of-00002.gguf: is part 2 by its name, part 1 by split.no (0)", nil},
		{"second part is of another split", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 2, "a"),
			"m-00002-of-00002.gguf": part(1, 4, 2, "b")},
			[]string{"m-00001-of-00002.gguf"},
			"DIR/m-00002-of-00002.gguf: split.count is 4, expected 2 as in DIR/m-00001-of-00002.gguf", nil},
		{"tensor in two parts", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 3, "a", "b"),
			"m-00002-of-00002.gguf": part(1, 2, 3, "b")},
			[]string{"m-00002-of-00002.gguf"}, "DIR/m-00002-of-00002.gguf: tensor b: is in DIR/m-00001-of-00002.gguf, too", nil},
		{"too few tensors", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 9, "a"), "m-00002-of-00002.gguf": part(1, 2, 9, "b")},
			[]string{"m-00001-of-00002.gguf"},
			"DIR/m-00001-of-00002.gguf: split.tensors.count is 9, but all parts together have 2 tensors", nil},
		{"parts disagree on the tensors", map[string][]byte{"m-00001-of-00002.gguf": part(0, 2, 2, "a"),
			"m-00002-of-00002.gguf": part(1, 2, 3, "b")},
			[]string{"m-00001-of-00002.gguf"},
			"DIR/m-00002-of-00002.gguf: split.tensors.count is 3, but all parts together have 2 tensors", nil},
		{"tensors not counted", map[string][]byte{"m-00001-of-00002.gguf": uncounted, "m-00002-of-00002.gguf": part(1, 2, 1, "b")},
			[]string{"m-00001-of-00002.gguf"}, "DIR/m-00001-of-00002.gguf: metadata key split.tensors.count: missing", gguf.ErrMissing},
		{"one file given twice", map[string][]byte{"a": part(0, 2, 2, "a")},
			[]string{"a", "a"}, "DIR/a: is part 1 of 2 (split.no 0), and so is DIR/a", nil},
		{"too few given", map[string][]byte{"a": part(0, 3, 3, "a"), "b": part(2, 3, 3, "b")},
			[]string{"a", "b"}, "DIR/a: has 3 parts, of which 2 are given: part 2 is missing", nil},
		{"first not given", map[string][]byte{"b": part(1, 3, 3, "b"), "c": part(2, 3, 3, "c")},
			[]string{"b", "c"}, "DIR/b: has 3 parts, of which 2 are given: part 1 is missing", nil},
		{"too many given", map[string][]byte{"a": part(0, 1, 1, "a"), "b": part(0, 1, 1, "b")},
			[]string{"a", "b"}, "DIR/b: is part 1 of 1 (split.no 0), and so is DIR/a", nil},
		{"files of no split given", map[string][]byte{"a": plain, "b": part(1, 2, 2, "b")},
			[]string{"a", "b"}, "DIR/a: has no split.count: it is not part of a split file, but 2 files are given", nil},
		{"parts of two splits given", map[string][]byte{"a": part(0, 2, 2, "a"), "b": part(1, 3, 2, "b")},
			[]string{"a", "b"}, "DIR/b: split.count is 3, expected 2 as in DIR/a", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range c.files {
				if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var paths []string
			for _, name := range c.open {
				paths = append(paths, filepath.Join(dir, name))
			}
			open := func() (*gguf.File, error) { return gguf.Open(paths[0]) }
			if len(paths) > 1 {
				open = func() (*gguf.File, error) { return gguf.OpenParts(paths...) }
			}
			f, err := open()
			if err == nil {
				f.Close()
				t.Fatalf("opened, want the error %s", c.want)
			}
			text := strings.ReplaceAll(err.Error(), dir+string(filepath.Separator), "DIR/")
			if !strings.HasPrefix(text, "gguf: DIR/") || !strings.Contains(text, c.want) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("error %q\nwant  %q", text, c.want)
			}
		})
	}
}

func TestShortNameOfAPartIsNoPartName(t *testing.T) {
	t.Chdir(t.TempDir())
	m := head(0, 2).key("split.no", gguf.ValueUint16).u8(0, 0).key("split.count", gguf.ValueUint16).u8(2, 0)
	if err := os.WriteFile("a", m, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := gguf.Open("a"); err == nil || !strings.Contains(err.Error(), "gguf: a: is part 1 of 2, expected a name that ends in") {
		t.Errorf("error %v", err)
	}
}

// Parts by themselves within the bounds must not exceed them together.
func TestPartsShareTheBoundOnTensors(t *testing.T) {
	b := head(1<<16, 0)
	for i := range 1 << 16 {
		b = b.tensor(name(i), gguf.F32, uint64(i)*32, 8)
	}
	_, err := gguf.OpenBytes(b.data(32<<16), head(1, 0).tensor("one", gguf.F32, 0, 8).data(32))
	if err == nil || !strings.Contains(err.Error(), "bytes 1: 1 tensors, expected at most 65536 in all parts") {
		t.Errorf("error %v", err)
	}
}

// Parts of 600 MB each, of which a 32-bit address space is to hold one.
func TestMapsOfAllPartsLeaveRoomInTheAddressSpace(t *testing.T) {
	const size = 600 << 20
	var paths []string
	for i := range uint8(3) {
		path := filepath.Join(t.TempDir(), name(int(i)))
		b := head(1, 2).key("split.count", gguf.ValueUint16).u8(3, 0).key("split.no", gguf.ValueUint16).u8(i, 0)
		if i == 0 {
			b = head(1, 3).key("split.count", gguf.ValueUint16).u8(3, 0).key("split.no", gguf.ValueUint16).u8(0, 0).
				key("split.tensors.count", gguf.ValueInt32).u32(3)
		}
		b = b.tensor(name(int(i)), gguf.F32, 0, size/4).data(0)
		end := int64(len(b)) + size
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, end); err != nil { // a hole: it takes no room
			t.Skip(err)
		}
		paths = append(paths, path)
	}
	f, err := gguf.OpenParts(paths...)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mapped := 0
	for _, x := range f.Tensors {
		if x.Mapped() {
			mapped++
		}
		if n, err := x.ReadAt(make([]byte, 16), size-8); n != 8 || err != io.EOF {
			t.Errorf("the end of %s: %d bytes, %v", x.Name, n, err)
		}
	}
	if strconv.IntSize == 32 && mapped > 1 || strconv.IntSize == 64 && f.Tensors[0].Mapped() && mapped != 3 {
		t.Errorf("%d of 3 parts are mapped on a machine of %d bits", mapped, strconv.IntSize)
	}
}
