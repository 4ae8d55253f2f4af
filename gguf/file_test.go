package gguf_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/testdata"
)

func TestEveryTensorTypeComesBack(t *testing.T) {
	m, sources := everything()
	whole := encode(t, m, sources)
	var first *gguf.File
	for how, f := range opened(t, whole) {
		if f.Version != 3 || f.Size() != int64(len(whole)) {
			t.Errorf("%s: version %d, %d bytes, want 3, %d", how, f.Version, f.Size(), len(whole))
		}
		if first == nil {
			first = f
		}
		equal(t, f, first)
		for i, s := range sources {
			var want bytes.Buffer
			if err := s.Write(&want); err != nil {
				t.Fatal(err)
			}
			got := f.Tensors[i]
			if got.Name != s.Name || got.Type != s.Type || got.Part != 0 || got.Offset%32 != 0 {
				t.Errorf("%s: tensor %d is %s %s in part %d at %d", how, i, got.Name, got.Type, got.Part, got.Offset)
			}
			if !bytes.Equal(data(t, got), want.Bytes()) {
				t.Errorf("%s: tensor %s has other bytes", how, s.Name)
			}
			if !bytes.Equal(whole[got.Offset:got.Offset+got.Size], want.Bytes()) {
				t.Errorf("tensor %s does not lie at its offset", s.Name)
			}
		}
		if f.Tensor("none") != nil {
			t.Errorf("%s: a tensor that is not there is found", how)
		}
	}
}

func TestVersion2IsReadAsVersion3(t *testing.T) {
	m, sources := everything()
	whole := encode(t, m, sources)
	three, err := gguf.OpenBytes(whole)
	if err != nil {
		t.Fatal(err)
	}
	old := bytes.Clone(whole)
	old[4] = 2
	two, err := gguf.OpenBytes(old)
	if err != nil {
		t.Fatal(err)
	}
	if two.Version != 2 {
		t.Errorf("version %d, want 2", two.Version)
	}
	equal(t, two, three)
}

func TestIntegerKeysOfTheFormatMayHaveAnyWidth(t *testing.T) {
	file := head(1, 4).key("general.alignment", gguf.ValueInt64).u64(64).
		key("split.count", gguf.ValueUint8).u8(1).key("split.no", gguf.ValueInt32).u32(0).
		key("split.tensors.count", gguf.ValueUint64).u64(1).
		tensor("t", gguf.F32, 64, 2)
	file = append(file, make([]byte, (64-len(file)%64)%64+72)...)
	f, err := gguf.OpenBytes(file)
	if err != nil {
		t.Fatal(err)
	}
	if at := f.Tensors[0].Offset; at != int64(len(file)-8) {
		t.Errorf("tensor at %d, want %d", at, len(file)-8)
	}
}

// The reference files were written by another program; writing what was read gives their bytes.
func TestReferenceFilesAreReadAndWrittenBack(t *testing.T) {
	var paths []string
	for _, pattern := range []string{"golden/text/*.gguf", "golden/mm/*.gguf", "golden/draft/*.gguf", "golden/tokenizer/*.gguf",
		"nano/*.gguf"} {
		found, err := filepath.Glob(filepath.Join(testdata.Shared(t), filepath.FromSlash(pattern)))
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %d files, %v", pattern, len(found), err)
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		if strings.Contains(path, "-of-") {
			continue // below
		}
		f, err := gguf.Open(path)
		if err != nil {
			t.Error(err)
			continue
		}
		var sources []gguf.Source
		for _, tensor := range f.Tensors {
			sources = append(sources, tensor.Source())
		}
		original, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encode(t, f.Metadata, sources), original) {
			t.Errorf("%s: written back with other bytes", path)
		}
		f.Close()
	}
}

func TestAnyPartOfTheReferenceSplitOpensAll(t *testing.T) {
	var first *gguf.File
	for _, part := range []string{"00001", "00002", "00003"} {
		f, err := gguf.Open(testdata.Shared(t, "golden", "text", "micro-odd-"+part+"-of-00003.gguf"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if len(f.Tensors) != 0xbf || f.Tensors[0].Part != 0 || f.Tensors[len(f.Tensors)-1].Part != 2 {
			t.Errorf("opened by part %s: %d tensors", part, len(f.Tensors))
		}
		if name, err := f.Metadata.Text("general.architecture"); name != "gemma4" || err != nil {
			t.Errorf("opened by part %s: architecture %q, %v", part, name, err)
		}
		if first == nil {
			first = f
		}
		equal(t, f, first)
	}
}

func TestTensorsAreReadInPieces(t *testing.T) {
	content := []byte("0123456789abcdefghijklmnopqrstuv")
	for how, f := range opened(t, encode(t, nil, []gguf.Source{
		gguf.NewSource("before", gguf.F32, []int{1}, []byte("....")),
		gguf.NewSource("t", gguf.F16, []int{16}, content),
		gguf.NewSource("after", gguf.F32, []int{1}, []byte("....")),
	})) {
		tensor := f.Tensor("t")
		for _, c := range []struct {
			off  int64
			n    int
			want string
			err  error
		}{
			{0, 4, "0123", nil}, {10, 6, "abcdef", nil}, {28, 4, "stuv", nil}, {30, 4, "uv", io.EOF}, {32, 1, "", io.EOF},
			{1 << 62, 1, "", io.EOF},
		} {
			b := make([]byte, c.n)
			n, err := tensor.ReadAt(b, c.off)
			if string(b[:n]) != c.want || err != c.err {
				t.Errorf("%s: %d bytes at %d are %q, %v, want %q, %v", how, c.n, c.off, b[:n], err, c.want, c.err)
			}
		}
		if _, err := tensor.ReadAt(nil, -1); err == nil || !strings.Contains(err.Error(), "tensor t: read at offset -1") {
			t.Errorf("%s: a negative offset: %v", how, err)
		}
		if b := data(t, tensor); cap(b) != len(b) {
			t.Errorf("%s: data can be appended to over the next tensor", how)
		}
	}
}

func TestMetadataOutlivesTheFile(t *testing.T) {
	m, sources := everything()
	for how, f := range opened(t, encode(t, m, sources)) {
		a, err := f.Metadata.Strings("strings")
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Errorf("%s: closed twice: %v", how, err)
		}
		equalMetadata(t, f.Metadata, m)
		if a[1] != "a b" {
			t.Errorf("%s: strings changed with Close", how)
		}
		tensor := f.Tensors[0]
		_, err1 := tensor.Data()
		_, err2 := tensor.ReadAt(make([]byte, 1), 0)
		err3 := tensor.Advise(gguf.WillNeed)
		for _, err := range []error{err1, err2, err3} {
			if !errors.Is(err, fs.ErrClosed) || !strings.Contains(err.Error(), "tensor blk.F32") {
				t.Errorf("%s: reading after Close: %v", how, err)
			}
		}
	}
	if _, err := new(gguf.Tensor).Data(); !errors.Is(err, fs.ErrInvalid) {
		t.Errorf("data of a tensor without a file: %v", err)
	}
}

func TestBytesAreNotKeptByMetadata(t *testing.T) {
	m, _ := everything()
	whole := encode(t, m, nil)
	f, err := gguf.OpenBytes(whole)
	if err != nil {
		t.Fatal(err)
	}
	clear(whole)
	equalMetadata(t, f.Metadata, m)
}

func TestReadersAndCloseMayRunTogether(t *testing.T) {
	m, sources := everything()
	for how, f := range opened(t, encode(t, m, sources)) {
		want := bytes.Clone(data(t, f.Tensors[3]))
		var readers sync.WaitGroup
		started := make(chan bool, 4)
		for range 4 {
			readers.Go(func() {
				b := make([]byte, len(want))
				for i := 0; ; i++ {
					_, err := f.Tensors[3].ReadAt(b, 0)
					if errors.Is(err, fs.ErrClosed) {
						return
					}
					if err != nil || !bytes.Equal(b, want) {
						t.Errorf("%s: %v", how, err)
						return
					}
					if keys := f.Metadata.Keys(); len(keys) != m.Len() || f.Tensor("blk.F32") == nil {
						t.Errorf("%s: %d keys", how, len(keys))
					}
					if i == 10 {
						started <- true
					}
					runtime.Gosched() // js/wasm has one thread and does not take it away
				}
			})
		}
		for range 4 {
			<-started
		}
		var closers sync.WaitGroup
		for range 2 {
			closers.Go(func() {
				if err := f.Close(); err != nil {
					t.Errorf("%s: %v", how, err)
				}
			})
		}
		closers.Wait()
		readers.Wait()
	}
}

func TestAdviceIsTaken(t *testing.T) {
	m, sources := everything()
	for how, f := range opened(t, encode(t, m, sources)) {
		for _, tensor := range f.Tensors {
			for _, a := range []gguf.Access{gguf.Sequential, gguf.Random, gguf.WillNeed, gguf.Normal} {
				if err := tensor.Advise(a); err != nil {
					t.Errorf("%s: %v", how, err)
				}
			}
		}
		equal(t, f, f)
	}
}

// reader counts what is read of a file that is zero after its head.
type reader struct {
	head []byte
	read int64
}

func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	clear(p)
	if off < int64(len(r.head)) {
		copy(p, r.head[off:])
	}
	r.read += int64(len(p))
	return len(p), nil
}

func TestOpeningReadsTheHeadOnly(t *testing.T) {
	// A billion values do not fit an int of 32 bits as one dimension, but as three.
	r := &reader{head: head(1, 1).key("k", gguf.ValueUint32).u32(7).tensor("t", gguf.F32, 0, 1<<20, 1<<9, 1<<9)}
	f, err := gguf.OpenReaderAt(gguf.Part{Name: "1 TB", ReaderAt: r, Size: 1<<40 + 96})
	if err != nil {
		t.Fatal(err)
	}
	if r.read > 64<<10+64 {
		t.Errorf("%d bytes read at opening", r.read)
	}
	if got := f.Tensors[0].Size; got != 1<<40 {
		t.Errorf("tensor of %d bytes", got)
	}
	if n, err := f.Tensors[0].ReadAt(make([]byte, 10), 1<<40-4); n != 4 || err != io.EOF {
		t.Errorf("the last bytes: %d, %v", n, err)
	}
	if strconv.IntSize == 32 {
		if _, err := f.Tensors[0].Data(); err == nil || !strings.Contains(err.Error(), "more than this machine can hold at once") {
			t.Errorf("data beyond the address space: %v", err)
		}
	}
}

// 3 GB are mapped on 64-bit machines; a 32-bit machine reads them.
func TestLargeFileCostsItsHeadOnly(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "js" {
		t.Skip("would write the zeros")
	}
	path := filepath.Join(t.TempDir(), "large.gguf")
	const rows = 3 << 18 // of 4 KB
	start := head(1, 0).tensor("t", gguf.F32, 0, 1024, rows).data(0)
	if err := os.WriteFile(path, start, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, int64(len(start))+rows*4096); err != nil {
		t.Skip(err) // no room, or no holes in files
	}
	var f *gguf.File
	if n := allocated(func() { f = must(gguf.Open(path)) }); n > 1<<20 {
		t.Errorf("%d bytes allocated at opening", n)
	}
	defer f.Close()
	tensor := f.Tensors[0]
	if tensor.Mapped() != (strconv.IntSize == 64) {
		t.Errorf("mapped: %v with %d-bit addresses", tensor.Mapped(), strconv.IntSize)
	}
	b := []byte{1, 1, 1, 1}
	if n, err := tensor.ReadAt(b, rows*4096-4); n != 4 || err != nil || b[3] != 0 {
		t.Errorf("the last bytes: %d, %v, %v", n, b, err)
	}
}

// failing reads like r, but not beyond the first n bytes.
type failing struct {
	r io.ReaderAt
	n int64
}

var errDisk = errors.New("disk fails")

func (f failing) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > f.n {
		return 0, errDisk
	}
	return f.r.ReadAt(p, off)
}

func TestErrorsOfTheReaderArePassedOn(t *testing.T) {
	m := new(gguf.Metadata)
	if err := errors.Join(m.Set("long", make([]uint64, 20_000)), m.Set("s", strings.Repeat("s", 100_000)),
		m.Set("n", uint8(1))); err != nil {
		t.Fatal(err)
	}
	whole := encode(t, m, []gguf.Source{gguf.NewSource("t", gguf.F32, []int{50_000}, make([]byte, 200_000))})
	for n := int64(0); n < int64(len(whole)); n += 10_000 {
		f, err := gguf.OpenReaderAt(gguf.Part{Name: "m.gguf", ReaderAt: failing{bytes.NewReader(whole), n}, Size: int64(len(whole))})
		if err == nil {
			_, err = f.Tensors[0].Data()
		}
		if !errors.Is(err, errDisk) || !strings.HasPrefix(err.Error(), "gguf: m.gguf: ") {
			t.Errorf("after %d bytes: error %v", n, err)
		}
	}
}

type panicking struct{}

func (panicking) ReadAt([]byte, int64) (int, error) { panic("mine") }

func TestPanicsOfTheReaderAreNotHidden(t *testing.T) {
	defer func() {
		if r := recover(); r != "mine" {
			t.Errorf("recovered %v", r)
		}
	}()
	_, err := gguf.OpenReaderAt(gguf.Part{Name: "m", ReaderAt: panicking{}, Size: 100})
	t.Errorf("error %v", err)
}

// changing gives other bytes when a place is read again, as a file does that someone writes to.
type changing struct {
	r     io.ReaderAt
	last  int64
	bytes []byte // at the start of what is read again, 0 behind them
}

func (c *changing) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.r.ReadAt(p, off)
	if off < c.last {
		clear(p)
		copy(p, c.bytes)
	}
	c.last = max(c.last, off+int64(len(p)))
	return n, err
}

func TestArraysThatChangeWhileTheyAreReadEndEarly(t *testing.T) {
	m := new(gguf.Metadata)
	inner := must(gguf.NewArray([]uint8{1}))
	if err := errors.Join(m.Set("strings", []string{strings.Repeat("a", 20), "b"}),
		m.Set("arrays", []*gguf.Array{inner, inner})); err != nil {
		t.Fatal(err)
	}
	whole := encode(t, m, nil)
	for _, c := range []struct {
		bytes           []byte
		strings, arrays int
	}{
		{nil, 2, 2}, // empty strings, empty arrays
		{[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 0, 0},
		{[]byte{28 /* as a string's length leaves one byte for the next */}, 1, 0},
		{[]byte{0, 0, 0, 0, 13 /* as an array's length leaves one byte for the next */}, 0, 1},
	} {
		f, err := gguf.OpenReaderAt(gguf.Part{Name: "m", ReaderAt: &changing{r: bytes.NewReader(whole), bytes: c.bytes},
			Size: int64(len(whole))})
		if err != nil {
			t.Fatal(err)
		}
		for key, want := range map[string]int{"strings": c.strings, "arrays": c.arrays} {
			v, _ := f.Metadata.Value(key)
			n := 0
			for range v.(*gguf.Array).All() {
				n++
			}
			if n != want {
				t.Errorf("changed to % x: %s yields %d elements, want %d", c.bytes, key, n, want)
			}
		}
	}
}

func TestFailedOpenGivesEverythingBack(t *testing.T) {
	held := func() int {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Skip(err)
		}
		open := must(os.ReadDir("/proc/self/fd"))
		return bytes.Count(maps, []byte("good.gguf")) + len(open)
	}
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good.gguf"), filepath.Join(dir, "bad.gguf")
	m, sources := everything()
	if err := errors.Join(gguf.WriteFile(good, m, sources), os.WriteFile(bad, []byte("?"), 0o600)); err != nil {
		t.Fatal(err)
	}
	before := held()
	for range 10 {
		if _, err := gguf.OpenParts(good, bad); err == nil {
			t.Fatal("opened")
		}
	}
	if after := held(); after > before {
		t.Errorf("%d maps and files are held, %d before", after, before)
	}
}

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestOpeningStaysWithinItsMemory(t *testing.T) {
	keys := head(0, 1<<16)
	for i := range 1 << 16 {
		keys = keys.key(name(i), gguf.ValueUint8).u8(0)
	}
	tensors := head(1<<16, 0)
	for i := range 1 << 16 {
		tensors = tensors.tensor(name(i), gguf.F32, uint64(i)*32, 1)
	}
	strings := head(0, 1).key("k", gguf.ValueArray).u32(uint32(gguf.ValueString)).u64(1 << 20)
	strings = append(strings, make([]byte, 8<<20)...)
	arrays := head(0, 1).key("k", gguf.ValueArray).u32(uint32(gguf.ValueArray)).u64(1 << 20)
	arrays = append(arrays, make([]byte, 12<<20)...)
	for _, c := range []struct {
		name string
		head []byte
		size int64 // of the file, whose rest is zero
		ok   bool
	}{
		{"most keys", keys, 0, true},
		{"most tensors", tensors, 1 << 30, true},
		{"a million strings", strings, 0, true},
		{"a million arrays", arrays, 0, true},
		{"long string", head(0, 1).key("k", gguf.ValueString).u64(100 << 20), 101 << 20, true},
		{"endless string", head(0, 1).key("k", gguf.ValueString).u64(1 << 39), 1 << 40, false},
		{"endless array", head(0, 1).key("k", gguf.ValueArray).u32(uint32(gguf.ValueFloat64)).u64(1 << 36), 1 << 40, false},
		{"endless bools", head(0, 1).key("k", gguf.ValueArray).u32(uint32(gguf.ValueBool)).u64(1 << 36), 1 << 40, false},
		{"endless strings", head(0, 1).key("k", gguf.ValueArray).u32(uint32(gguf.ValueString)).u64(1 << 36), 1 << 40, false},
		{"strings beyond the bound", head(0, 1).key("k", gguf.ValueArray).
			u32(uint32(gguf.ValueString)).u64(20_000).u64(256<<20 - 100_000), 1 << 40, false},
		{"endless key", head(0, 1).u64(1 << 39), 1 << 40, false},
		{"endless table", head(1<<16, 0), 1 << 40, false},
	} {
		size := max(c.size, int64(len(c.head)))
		bound := 4*uint64(len(c.head)) + 64<<20
		if c.name == "long string" {
			bound += 4 * 100 << 20
		}
		var err error
		if n := allocated(func() {
			_, err = gguf.OpenReaderAt(gguf.Part{Name: c.name, ReaderAt: &reader{head: c.head}, Size: size})
		}); n > bound {
			t.Errorf("%s: %d bytes allocated for a head of %d, want at most %d", c.name, n, len(c.head), bound)
		}
		if (err == nil) != c.ok {
			t.Errorf("%s: error %v", c.name, err)
		}
		if c.size > 0 {
			continue
		}
		if n := allocated(func() { _, err = gguf.OpenBytes(c.head) }); n > bound || (err == nil) != c.ok {
			t.Errorf("%s, in memory: %d bytes allocated for a head of %d, want at most %d (error %v)", c.name, n, len(c.head), bound, err)
		}
	}
}

func TestTensorsOfUnknownTypesReachToTheNext(t *testing.T) {
	b := head(4, 0).tensor("last", 300, 192, 3).tensor("a", gguf.F32, 0, 8).tensor("b", 137, 32, 256, 2).
		tensor("c", gguf.I32, 160, 8).data(192 + 50)
	for how, f := range opened(t, b) {
		for _, want := range []struct {
			name, kind string
			size       int64
		}{{"last", "type 300", 50}, {"a", "F32", 32}, {"b", "IQ2_K", 128}, {"c", "I32", 32}} {
			x := f.Tensor(want.name)
			if x.Type.String() != want.kind || x.Size != want.size || int64(len(data(t, x))) != want.size {
				t.Errorf("%s: %s is %v of %d bytes, want %s of %d", how, want.name, x.Type, x.Size, want.kind, want.size)
			}
		}
	}
}

func TestBlocksOfQ2_0FollowFromItsSize(t *testing.T) {
	const n = 1 << 14 // values: 4608 bytes in blocks of 64, 4352 in blocks of 128
	table := func(n uint64, second int) bin {
		return head(2, 0).tensor("a", gguf.Q2_0, 0, n).tensor("b", gguf.Q2_0, uint64(second), n)
	}
	for _, c := range []struct {
		name string
		file []byte
		a, b int // values of a block
	}{
		{"narrow", table(n, 4608).data(2 * 4608), 64, 64},
		{"wide", table(n, 4352).data(2 * 4352), 128, 128},
		{"both", table(n, 4352).data(4352 + 4608), 128, 64},
		{"narrow, then a gap", table(n, 8192).data(8192 + 4608 + 5), 64, 64},
		{"too small to tell", table(256, 96).data(96 + 72), 64, 64},
	} {
		for how, f := range opened(t, c.file) {
			for i, want := range []int{c.a, c.b} {
				x := f.Tensors[i]
				values, size := x.Block()
				if values != want || size != map[int]int{64: 18, 128: 34}[want] || x.Size != int64(x.Dims[0]/values*size) {
					t.Errorf("%s: %s: %s has blocks of %d values in %d bytes and %d bytes, want blocks of %d", c.name, how, x.Name,
						values, size, x.Size, want)
				}
			}
		}
	}
}

func TestUnmappedFilesReadAsMappedOnes(t *testing.T) {
	m, sources := everything()
	paths, err := gguf.WriteSplit(filepath.Join(t.TempDir(), "x.gguf"), 2, m, sources)
	if err != nil {
		t.Fatal(err)
	}
	mapped, unmapped := must(gguf.Open(paths[1])), must(gguf.OpenUnmapped(paths[1]))
	defer mapped.Close()
	defer unmapped.Close()
	for i, x := range unmapped.Tensors {
		if x.Mapped() {
			t.Errorf("%s is mapped", x.Name)
		}
		if !bytes.Equal(must(x.Data()), must(mapped.Tensors[i].Data())) {
			t.Errorf("%s differs", x.Name)
		}
	}
}
