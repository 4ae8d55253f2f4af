package model

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// saved returns the bytes of a file with the session's text.
func saved(t testing.TB, s *session, tensors ...gguf.Source) []byte {
	t.Helper()
	snapshot := s.Snapshot()
	defer snapshot.Release()
	var b bytes.Buffer
	written, err := s.m.WriteSnapshot(ctx, &b, snapshot, new(gguf.Metadata), tensors...)
	if err != nil {
		t.Fatal(err)
	}
	if written.Bytes != int64(b.Len()) || written.Sum != binary.LittleEndian.Uint32(b.Bytes()[b.Len()-sumBytes:]) {
		t.Errorf("%d bytes with the sum %x are said to be written", written.Bytes, written.Sum)
	}
	return b.Bytes()
}

func write(t testing.TB, b []byte) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// reopened returns a session that begins at the text of a file.
func reopened(t testing.TB, m *Model, path string, o SequenceOptions) *session {
	t.Helper()
	snapshot, err := m.OpenSnapshot(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	defer snapshot.Release()
	s := newSession(t, m, o)
	if n, err := s.Adopt(snapshot.Snapshot, snapshot.Len()); err != nil || n != snapshot.Len() {
		t.Fatalf("%d of %d positions adopted: %v", n, snapshot.Len(), err)
	}
	return s
}

// written returns the logits of tokens that are decoded one by one.
func written(t testing.TB, s *session, ids ...int32) (out []float32) {
	t.Helper()
	for _, id := range ids {
		logits, err := s.Write(ctx, id)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, logits...)
	}
	return out
}

func same(t *testing.T, what string, a, b []float32) {
	t.Helper()
	if !slices.EqualFunc(a, b, func(x, y float32) bool { return math.Float32bits(x) == math.Float32bits(y) }) || len(a) == 0 {
		t.Errorf("%s: %d logits differ from %d by %g", what, len(a), len(b), worst(a, b))
	}
}

func TestSavedTextsGoOnAsTheyWould(t *testing.T) {
	for _, name := range append([]string{"tiny-dense:q4_0"}, historyModels...) { // tiny-dense has tied layers and heads for all formats
		if testing.Short() && (name == "micro-moe" || name == "micro-dense") {
			continue
		}
		var m *Model
		lengths := []int{1, 7, 127, 128, 129, 300, 480}
		if strings.HasPrefix(name, "tiny") {
			m, lengths = openSynthetic(t, name, 2), []int{7, 300}
		} else {
			m = openModel(t, readGolden(t, name).model, 2)
		}
		for _, format := range []tensor.Format{tensor.F16, tensor.F32, tensor.Q8_0, tensor.Q4_0} {
			if m.checkCache(format) != nil {
				continue
			}
			for i, n := range lengths {
				if testing.Short() && i%2 == 0 {
					continue
				}
				what := fmt.Sprintf("%s, %v, %d positions", name, format, n)
				o := SequenceOptions{Cache: format, Batch: 50, History: 3 * m.slidingPageBytes(format)}
				s := newSession(t, m, o)
				text := randomText(n, m.Vocabulary, uint64(n))
				readTokens(t, s, text[:n/3])
				s.Mark()
				readTokens(t, s, text[n/3:2*n/3])
				s.Mark()
				readTokens(t, s, text[2*n/3:])
				path := write(t, saved(t, s))
				before, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				again := reopened(t, m, path, o)
				if !bytes.Equal(saved(t, again), before) {
					t.Errorf("%s: a restored text is saved as other bytes", what)
				}
				for to := range n {
					if s.Reach(to) != again.Reach(to) {
						t.Fatalf("%s: %d can be reached from %d, %d from the restored text", what, s.Reach(to), to, again.Reach(to))
					}
				}
				more := randomText(20, m.Vocabulary, 99)
				same(t, what, written(t, again, more[:6]...), written(t, s, more[:6]...))
				same(t, what+", read", read2(t, again, more), read2(t, s, more))
				to := n / 3
				if s.Truncate(to) != again.Truncate(to) {
					t.Errorf("%s: taken back to %d and %d", what, s.Len(), again.Len())
				}
				same(t, what+", taken back", written(t, again, more[:6]...), written(t, s, more[:6]...))
				if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, before) {
					t.Errorf("%s: the file changed while it was used: %v", what, err)
				}
			}
		}
	}
}

// read2 reads tokens and returns the logits of the last.
func read2(t testing.TB, s *session, ids []int32) (out []float32) {
	t.Helper()
	last := s.Len() + len(ids) - 1
	err := s.Read(ctx, []Input{{Tokens: ids}}, func(pos int) bool { return pos == last }, func(_ int, l []float32) error {
		out = slices.Clone(l)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestAnEmptyTextCanBeSaved(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 1)
	s := reopened(t, m, write(t, saved(t, newSession(t, m, SequenceOptions{Cache: tensor.F16}))), SequenceOptions{Cache: tensor.F16})
	if s.Len() != 0 {
		t.Errorf("%d positions", s.Len())
	}
	expect(t, s, nil, g.IDs)
}

func TestForgottenTextIsNotSaved(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 1)
	for _, n := range []int{1, 77, 128, 200} {
		text := randomText(300, g.Vocab, 1)
		s, clean := newSession(t, m, SequenceOptions{Cache: tensor.F16, History: 1 << 30}),
			newSession(t, m, SequenceOptions{Cache: tensor.F16, History: 1 << 30})
		readTokens(t, s, text)
		if s.Truncate(n) != n {
			t.Fatal("not taken back")
		}
		readTokens(t, clean, text[:n])
		if !bytes.Equal(saved(t, s), saved(t, clean)) {
			t.Errorf("what was behind position %d shows in the file", n)
		}
	}
}

func TestMapsEndWithTheLastPage(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 1)
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
	readTokens(t, s, randomText(300, g.Vocab, 1))
	path := write(t, saved(t, s))
	snapshot, err := m.OpenSnapshot(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	f := snapshot.file
	heirs := []*session{newSession(t, m, SequenceOptions{Cache: tensor.F16}), newSession(t, m, SequenceOptions{Cache: tensor.F16})}
	for _, s := range heirs {
		if _, err := s.Adopt(snapshot.Snapshot, 300); err != nil {
			t.Fatal(err)
		}
	}
	snapshot.Release()
	snapshot.Release()
	expect(t, heirs[0], randomText(300, g.Vocab, 1), randomText(100, g.Vocab, 2))
	heirs[0].Close()
	if f.data == nil {
		t.Fatal("the map has ended while a session uses it")
	}
	expect(t, heirs[1], randomText(300, g.Vocab, 1), randomText(50, g.Vocab, 3))
	heirs[1].Truncate(0)
	if f.data != nil || f.holders.Load() != 0 {
		t.Errorf("nobody uses the map, %d hold it", f.holders.Load())
	}
	for _, c := range heirs[1].cache {
		for _, p := range c.free {
			if p.file != nil {
				t.Error("a page of the file is to be used again")
			}
		}
	}
	empty := newSession(t, m, SequenceOptions{Cache: tensor.F16})
	if snapshot, err = m.OpenSnapshot(ctx, write(t, saved(t, empty))); err != nil {
		t.Fatal(err)
	}
	f = snapshot.file
	if snapshot.Release(); f.data != nil {
		t.Error("the map of an empty text does not end")
	}
}

func TestMapsThatNobodyGivesBackAreCollected(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs /proc/self/maps")
	}
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 1)
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
	readTokens(t, s, g.IDs)
	path := write(t, saved(t, s))
	mapped := func() bool {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Contains(string(maps), path)
	}
	snapshot, err := m.OpenSnapshot(ctx, path)
	if err != nil || !mapped() {
		t.Fatalf("not mapped: %v", err)
	}
	runtime.KeepAlive(snapshot)
	snapshot = nil
	for began := time.Now(); mapped(); runtime.GC() {
		if time.Since(began) > time.Minute {
			t.Fatal("still mapped")
		}
	}
}

func TestTextsAreRestoredWhileOthersAreSaved(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 2)
	text := randomText(200, g.Vocab, 1)
	var files [2][]byte
	var want [2][]float32
	for i, n := range []int{150, 200} {
		s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
		readTokens(t, s, text[:n])
		files[i], want[i] = saved(t, s), written(t, s, 5)
	}
	path := write(t, files[0])
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				snapshot, err := m.OpenSnapshot(ctx, path)
				if err != nil && runtime.GOOS == "windows" {
					continue // it refuses to open what is being replaced, and to replace what is open
				} else if err != nil {
					t.Error(err)
					return
				}
				s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
				if _, err := s.Adopt(snapshot.Snapshot, 200); err != nil {
					t.Error(err)
				}
				snapshot.Release()
				which := s.Len()/50 - 3
				logits, err := s.Write(ctx, 5)
				if err != nil || !slices.Equal(logits, want[which]) {
					t.Errorf("%d positions: other logits, %v", s.Len(), err)
				}
				s.Close()
			}
		})
	}
	for i := range 40 {
		next := filepath.Join(filepath.Dir(path), "next")
		if err := os.WriteFile(next, files[i%2], 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, path); err != nil && runtime.GOOS != "windows" {
			t.Fatal(err)
		}
	}
	all.Wait()
}

// rewritten returns a file after a change to its head or tensors, with the right checksum.
func rewritten(t testing.TB, b []byte, change func(m *gguf.Metadata, tensors []gguf.Source) []gguf.Source) []byte {
	t.Helper()
	f, err := gguf.OpenBytes(b[:len(b)-sumBytes])
	if err != nil {
		t.Fatal(err)
	}
	var sources []gguf.Source
	for _, x := range f.Tensors {
		sources = append(sources, x.Source())
	}
	sources = change(f.Metadata, sources)
	return resized(t, f.Metadata, sources)
}

// resized returns a file with the right length in its head, if it has one there, and checksum.
func resized(t testing.TB, m *gguf.Metadata, tensors []gguf.Source) []byte {
	t.Helper()
	var out bytes.Buffer
	size, err := gguf.Size(m, tensors)
	if _, missing := m.Int("gemma4.session.bytes"); err == nil && missing == nil {
		err = m.Set("gemma4.session.bytes", uint64(size+sumBytes))
	}
	if err == nil {
		err = gguf.Write(&out, m, tensors)
	}
	if err != nil {
		t.Fatal(err)
	}
	return sealed(out.Bytes())
}

// sealed appends the checksum.
func sealed(b []byte) []byte {
	var sums []byte
	for piece := range slices.Chunk(b, 1<<20) {
		sums = binary.LittleEndian.AppendUint32(sums, crc32.Checksum(piece, castagnoli))
	}
	return binary.LittleEndian.AppendUint32(slices.Clip(b), crc32.Checksum(sums, castagnoli))
}

func TestBrokenFilesSayWhatIsWrong(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 1)
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16, Batch: 16})
	readTokens(t, s, randomText(200, g.Vocab, 1))
	s.Mark()
	readTokens(t, s, randomText(100, g.Vocab, 2))
	good := saved(t, s)
	if !bytes.Equal(good, rewritten(t, good, func(_ *gguf.Metadata, x []gguf.Source) []gguf.Source { return x })) {
		t.Fatal("the test writes another checksum than the package")
	}
	type sources = []gguf.Source
	set := func(key string, v any) func(*gguf.Metadata, sources) sources {
		return func(m *gguf.Metadata, x sources) sources {
			if err := m.Set(key, v); err != nil {
				panic(err)
			}
			return x
		}
	}
	without := func(key string) func(*gguf.Metadata, sources) sources {
		return func(m *gguf.Metadata, x sources) sources { m.Delete(key); return x }
	}
	tensors := func(change func(x sources) sources) func(*gguf.Metadata, sources) sources {
		return func(_ *gguf.Metadata, x sources) sources { return change(x) }
	}
	global := slices.IndexFunc(m.Layers, func(l LayerConfig) bool { return !l.Sliding })
	for _, c := range []struct {
		change func(*gguf.Metadata, sources) sources
		want   string
	}{
		{set("general.architecture", "gemma4"), `is not a saved session: general.architecture is "gemma4", expected "gemma4-session"`},
		{set("general.architecture", uint32(1)), "general.architecture: type uint32, expected string"},
		{without("general.architecture"), "general.architecture: missing"},
		{set("gemma4.session.version", uint32(3)), "a saved session of version 3, this program reads 1 to 2"},
		{set("gemma4.session.version", uint32(0)), "of version 0"},
		{without("gemma4.session.version"), "gemma4.session.version: missing"},
		{set("gemma4.session.model", strings.Repeat("0", 64)), "it was saved with another model"},
		{without("gemma4.session.model"), "gemma4.session.model: missing"},
		{set("gemma4.session.cache", "f32"), "is missing or not of type F32"},
		{set("gemma4.session.cache", "q4_k"), "a cache in Q4_K is not possible"},
		{set("gemma4.session.cache", "q8_0"), "multiples of 32"},
		{set("gemma4.session.cache", "format 4"), `gemma4.session.cache is "format 4"`},
		{without("gemma4.session.cache"), "gemma4.session.cache: missing"},
		{set("gemma4.session.page_length", uint32(64)), "gemma4.session.page_length is 64, expected 128 to 128"},
		{set("gemma4.session.positions", uint32(0)), "gemma4.session.pages has 1 elements, expected at most 0"},
		{set("gemma4.session.positions", uint32(290)), ""}, // as good as any
		{set("gemma4.session.positions", uint32(199)), "gemma4.session.pages has 2"},
		{set("gemma4.session.positions", int32(-1)), "gemma4.session.positions is -1, expected 0 to 512"},
		{set("gemma4.session.positions", uint32(513)), "gemma4.session.positions is 513, expected 0 to 512"},
		{set("gemma4.session.positions", uint64(math.MaxUint64)), "gemma4.session.positions"},
		{set("gemma4.session.positions", uint32(385)), "the tensor cache."},
		{set("gemma4.session.positions", uint32(260)), "gemma4.session.pages holds the window of position 0, expected that of 260"},
		{without("gemma4.session.positions"), "gemma4.session.positions: missing"},
		{set("gemma4.session.marks", []uint32{0}), "gemma4.session.marks has 0 as element 0, expected ascending numbers from 1 to 300"},
		{set("gemma4.session.marks", []uint32{301}), "gemma4.session.marks has 301"},
		{set("gemma4.session.marks", []uint32{7, 9, 9}), "gemma4.session.marks has 9 as element 2"},
		{set("gemma4.session.marks", []uint64{1 << 63}), "gemma4.session.marks"},
		{set("gemma4.session.marks", "none"), "gemma4.session.marks: type string"},
		{set("gemma4.session.pages", []int32{-1, 2}), "gemma4.session.pages has -1 as element 0, expected ascending numbers from 0 to 2"},
		{set("gemma4.session.pages", []uint32{3}), "gemma4.session.pages has 3"},
		{set("gemma4.session.pages", make([]uint8, 1<<16)), "gemma4.session.pages has 65536 elements, expected at most 3"},
		{set("gemma4.session.pages", []uint32{2, 1}), "gemma4.session.pages has 1 as element 1"},
		{set("gemma4.session.pages", []uint32{}), "gemma4.session.pages holds the window of position 0, expected that of 300"},
		{set("gemma4.session.pages", []uint32{0}), "gemma4.session.pages holds the window of position 128, expected that of 300"},
		{set("gemma4.session.pages", []uint32{1, 2}), "the tensor cache."},
		{without("gemma4.session.pages"), "gemma4.session.pages: missing"},
		{tensors(func(x sources) sources { return x[1:] }), "the tensor cache.0 is missing"},
		{tensors(func(x sources) sources { return nil }), "the tensor cache.0 is missing"},
		{tensors(func(x sources) sources { x[0].Name = "cache.7"; return x }), "the tensor cache.0 is missing"},
		{tensors(func(x sources) sources {
			x[global].Dims = []int{x[global].Dims[0] * x[global].Dims[1]}
			return x
		}), fmt.Sprintf("the tensor cache.%d is missing or not of type F16 and shape", global)},
		{tensors(func(x sources) sources { x[0].Type = gguf.BF16; return x }), "the tensor cache.0 is missing or not of type F16"},
	} {
		path := write(t, rewritten(t, good, c.change))
		_, err := m.OpenSnapshot(ctx, path)
		if err == nil && c.want == "" {
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v\nwant  %s", err, c.want)
		}
	}
	for _, c := range []struct{ text, want string }{
		{"", "is not a saved session"},
		{"GGU", "is not a saved session"},
		{"GGUF", "does not match"},
		{"GGUFGGUFGGUF", "damaged or incomplete"},
		{"%PDF-1.4 and more", "is not a saved session"},
		{string(good[:len(good)-1]), "damaged or incomplete"},
		{string(good[1:]), "is not a saved session"},
	} {
		if _, err := m.OpenSnapshot(ctx, write(t, []byte(c.text))); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.20q: error %v, want %q", c.text, err, c.want)
		}
	}
	if _, err := m.OpenSnapshot(ctx, g.model); err == nil ||
		!strings.Contains(err.Error(), `is not a saved session: general.architecture is "gemma4"`) {
		t.Errorf("a model: %v", err)
	}
	if _, err := m.OpenSnapshot(ctx, filepath.Join(t.TempDir(), "missing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := m.OpenSnapshot(ctx, t.TempDir()); err == nil || !strings.Contains(err.Error(), "is not a regular file") {
		t.Errorf("a folder: %v", err)
	}
}

// TestNoFlippedBitAndNoCutIsOverlooked tries every bit of the head and one of every other byte, and every length of the head and some
// beyond.
func TestNoFlippedBitAndNoCutIsOverlooked(t *testing.T) {
	d := newDraft(t, "e")
	m, err := d.open(t)
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
	readTokens(t, s, []int32{2, 3, 4, 5, 6})
	b := saved(t, s)
	const head = 1024
	open := func(what string, i int) {
		if _, err := m.readSnapshot(ctx, &mapping{data: b}); err == nil {
			t.Fatalf("%s %d of %d is overlooked", what, i, len(b))
		}
	}
	step := 1
	if testing.Short() {
		step = 7
	}
	for i := 0; i < len(b); i += step {
		for bit := range 8 {
			if i >= head && bit != i%8 && i < len(b)-sumBytes {
				continue
			}
			b[i] ^= 1 << bit
			open("the flipped byte", i)
			b[i] ^= 1 << bit
		}
	}
	whole := b
	for n := 0; n < len(whole); n++ {
		if n > head && n%97 != 0 && n < len(whole)-2*head {
			continue
		}
		b = whole[:n:n]
		open("the end at", n)
	}
	if _, err := m.readSnapshot(ctx, &mapping{data: whole}); err != nil {
		t.Error(err)
	}
}

// FuzzOpenSnapshot opens any bytes as a saved text and a segment, as they are and with the right lengths and checksums. What opens must go
// on without a panic.
func FuzzOpenSnapshot(f *testing.F) {
	metadata, tensors, err := synth.Build(synth.Config{ // whose pages are small
		Vocabulary: synth.MinVocabulary, Context: 400, Layers: 2, Width: 8, Heads: []int{1}, KVHeads: []int{1}, MLP: []int{8},
		HeadSize: 4, HeadSizeSliding: 2, Sliding: []bool{true, false}, Window: 8,
	})
	if err != nil {
		f.Fatal(err)
	}
	m, err := (&draft{metadata, tensors}).open(f)
	if err != nil {
		f.Fatal(err)
	}
	for _, n := range []int{0, 1, 140} {
		s := newSession(f, m, SequenceOptions{Cache: tensor.F16})
		readTokens(f, s, randomText(n, m.Vocabulary, 1))
		s.Mark()
		b := newFile(f, s)
		whole := len(b.data)
		readTokens(f, s, randomText(130, m.Vocabulary, 2))
		s.Mark()
		s.Truncate(n + 120)
		b.update(f, s)
		body := whole + segmentHead + segmentPadding(int64(whole))
		f.Add(b.data[:whole-sumBytes], b.data[body:len(b.data)-sumBytes])
	}
	f.Fuzz(func(t *testing.T, b, segment []byte) {
		m.readSnapshot(ctx, newMapping(slices.Concat(b, segment)))
		m.readSnapshot(ctx, newMapping(sealed(b)))
		file := newMapping(appended(sealed(b), segment))
		snapshot, err := m.readSnapshot(ctx, file)
		if err != nil {
			return
		}
		if snapshot.Written == nil && len(snapshot.Heads) == 2 {
			t.Fatal("a segment was left out and read")
		}
		s := newSession(t, m, SequenceOptions{Cache: snapshot.format})
		n, err := s.Adopt(snapshot.Snapshot, snapshot.Len())
		if err != nil || n != snapshot.Len() {
			t.Fatalf("%d of %d positions adopted: %v", n, snapshot.Len(), err)
		}
		snapshot.Release()
		s.Write(ctx, 1) // an error where there is no room, or NaN in the pages
		for to := n; to > 0; to -= 9 {
			if s.Truncate(to) > to {
				t.Fatalf("taken back to %d of %d", s.Len(), to)
			}
		}
		s.Close()
		if file.holders.Load() != 0 {
			t.Fatalf("%d hold the file", file.holders.Load())
		}
	})
}

// BenchmarkSnapshot saves, opens and updates a text of 100,000 positions with keys and values of E2B's shape, in memory where the system
// has a folder for that. "of-memcpy" is the rate as a share of what copying takes in the same run.
func BenchmarkSnapshot(b *testing.B) {
	config, err := synth.Parse("e2b-narrow")
	if err != nil {
		b.Fatal(err)
	}
	metadata, tensors, err := synth.Build(config)
	if err != nil {
		b.Fatal(err)
	}
	m, err := New((&draft{metadata, tensors}).file(b), Options{Workers: runtime.GOMAXPROCS(0)})
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	s := newSession(b, m, SequenceOptions{Cache: tensor.F16})
	grow := func(n int) { // nobody reads them
		for s.n < n {
			next := min(s.n+DefaultBatch, n)
			if err := s.reserve(next - s.n); err != nil {
				b.Fatal(err)
			}
			s.n = next
			s.forget(s.n)
		}
	}
	grow(100000)
	for _, c := range s.cache[:m.Owners] {
		for i, p := range c.pages {
			if p != nil { // memory that was never touched is read faster
				copy(p.k, bytes.Repeat([]byte{byte(i), 0x2c, 0x35, 0xb1}, len(p.k)/4))
				copy(p.v, p.k)
			}
		}
	}
	text := s.Snapshot()
	defer text.Release()
	dir, err := os.MkdirTemp("/dev/shm", "snapshot")
	if err != nil {
		dir = b.TempDir()
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "text")
	from, to := make([]byte, 256<<20), make([]byte, 256<<20)
	copy(to, from)
	began := time.Now()
	for range 4 {
		copy(to, from)
	}
	memcpy := float64(4*len(to)) / time.Since(began).Seconds()
	report := func(b *testing.B, size int64) {
		b.SetBytes(size)
		b.ReportMetric(float64(size)*float64(b.N)/b.Elapsed().Seconds()/memcpy, "of-memcpy")
	}
	var written *Written
	write := func(b *testing.B) {
		f, err := os.Create(path)
		if err == nil {
			written, err = m.WriteSnapshot(ctx, f, text, new(gguf.Metadata))
			err = errors.Join(err, f.Close())
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.Run("write", func(b *testing.B) {
		for b.Loop() {
			write(b)
		}
		report(b, text.Bytes())
	})
	write(b)
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			again, err := m.OpenSnapshot(ctx, path)
			if err != nil {
				b.Fatal(err)
			}
			again.Release()
		}
		report(b, text.Bytes())
	})
	b.Run("update", func(b *testing.B) { // by a turn of 100 tokens
		s.Keep()
		kept := s.n
		grow(kept + 100)
		longer := s.Snapshot()
		defer longer.Release()
		var size int64
		for b.Loop() {
			f, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND, 0)
			if err == nil {
				var after *Written
				if after, err = m.WriteSegment(f, longer, written, kept, new(gguf.Metadata)); err == nil {
					size = after.Bytes - written.Bytes
					err = errors.Join(f.Truncate(written.Bytes), f.Close())
				}
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		report(b, size)
	})
}
