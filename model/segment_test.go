package model

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/tensor"
)

// savedFile is a saved text with its segments.
type savedFile struct {
	data    []byte
	written *Written
}

// newFile saves a session.
func newFile(t testing.TB, s *session) *savedFile {
	t.Helper()
	text := s.Snapshot()
	defer text.Release()
	var b bytes.Buffer
	written, err := s.m.WriteSnapshot(ctx, &b, text, new(gguf.Metadata))
	if err != nil {
		t.Fatal(err)
	}
	s.Keep()
	return &savedFile{b.Bytes(), written}
}

// update appends what has become of the session, and returns those bytes.
func (f *savedFile) update(t testing.TB, s *session) int {
	t.Helper()
	text := s.Snapshot()
	defer text.Release()
	b := bytes.NewBuffer(slices.Clone(f.data))
	written, err := s.m.WriteSegment(b, text, f.written, s.Kept(), new(gguf.Metadata))
	if err != nil {
		t.Fatal(err)
	}
	if written.Bytes != int64(b.Len()) {
		t.Errorf("%d bytes are said to be there, not %d", written.Bytes, b.Len())
	}
	s.Keep()
	n := b.Len() - len(f.data)
	f.data, f.written = b.Bytes(), written
	return n
}

// appended returns a file with a segment of the given content after it.
func appended(b, content []byte) []byte {
	at, before := len(b), binary.LittleEndian.Uint32(b[len(b)-sumBytes:])
	b = appendSegmentHead(slices.Clip(b), int64(at), before, int64(len(content)))
	b = append(b, content...)
	return slices.Concat(b[:at], sealed(b[at:]))
}

func TestSegmentsGoOnFromTheText(t *testing.T) {
	for _, name := range append([]string{"tiny-dense:q4_0"}, historyModels...) {
		if testing.Short() && (name == "micro-moe" || name == "micro-dense") {
			continue
		}
		var m *Model
		if strings.HasPrefix(name, "tiny") {
			m = openSynthetic(t, name, 2)
		} else {
			m = openModel(t, readGolden(t, name).model, 2)
		}
		for _, format := range []tensor.Format{tensor.F16, tensor.Q8_0} {
			if m.checkCache(format) != nil {
				continue
			}
			r := rand.New(rand.NewPCG(3, 4))
			o := SequenceOptions{Cache: format, Batch: 50, History: 3 * m.slidingPageBytes(format)}
			s := newSession(t, m, o)
			readTokens(t, s, randomText(200, m.Vocabulary, 1))
			f := newFile(t, s)
			rounds := 12
			if testing.Short() {
				rounds = 4
			}
			for i := range rounds {
				what := fmt.Sprintf("%s, %v, round %d", name, format, i)
				if i%3 == 1 { // undo: to the middle of what is in the file
					s.Truncate(r.IntN(s.Len()))
				}
				if i == 5 {
					s.Truncate(0)
				}
				if i%4 != 3 { // sometimes nothing happens
					readTokens(t, s, randomText(min(1+r.IntN(150), s.limit-s.Len()-30), m.Vocabulary, uint64(i)))
					s.Mark()
					if i%3 == 2 {
						s.Truncate(s.Len() - 3)
					}
				}
				f.update(t, s)
				path := write(t, f.data)
				again := reopened(t, m, path, o)
				if !bytes.Equal(saved(t, again), saved(t, s)) {
					t.Fatalf("%s: the text of the segments is saved as other bytes", what)
				}
				for to := range s.Len() {
					if s.Reach(to) != again.Reach(to) {
						t.Fatalf("%s: %d can be reached from %d, %d from the restored text", what, s.Reach(to), to, again.Reach(to))
					}
				}
				if i%2 == 0 { // the restored one continues, in the file as well
					opened, err := m.OpenSnapshot(ctx, path)
					if err != nil {
						t.Fatal(err)
					}
					if opened.Written.Bytes != f.written.Bytes || opened.Written.Sum != f.written.Sum || len(opened.Heads) != i+2 {
						t.Errorf("%s: %+v in %d heads is found, %+v was written", what, opened.Written, len(opened.Heads), f.written)
					}
					again.Keep()
					s, f.written = again, opened.Written
					opened.Release()
				}
			}
			more := randomText(8, m.Vocabulary, 99)
			clean := reopened(t, m, write(t, saved(t, s)), o)
			same(t, name, written(t, s, more...), written(t, clean, more...))
		}
	}
}

func TestSegmentsTellWhatIsForgotten(t *testing.T) {
	m := openModel(t, readGolden(t, "micro-dense").model, 2)
	o := SequenceOptions{Cache: tensor.F16, Batch: 50, History: m.slidingPageBytes(tensor.F16)} // a page
	s := newSession(t, m, o)
	for range 4 {
		readTokens(t, s, randomText(50, m.Vocabulary, 1))
		s.Mark()
	}
	f := newFile(t, s)
	pages, marks := f.written.held, f.written.marks
	for range 2 {
		readTokens(t, s, randomText(125, m.Vocabulary, 2))
		s.Mark()
		f.update(t, s)
		if again := reopened(t, m, write(t, f.data), o); !bytes.Equal(saved(t, again), saved(t, s)) {
			t.Errorf("%d positions: pages %v and marks %v are restored, %v and %v are there", s.Len(), again.Snapshot().held(),
				again.history.marks, s.Snapshot().held(), s.history.marks)
		}
	}
	if len(without(pages, f.written.held)) == 0 || len(without(marks, f.written.marks)) == 0 {
		t.Errorf("pages %v and marks %v have become %v and %v: nothing was forgotten", pages, marks, f.written.held, f.written.marks)
	}
}

func TestSegmentsCostNoMoreInLongTexts(t *testing.T) {
	g := readGolden(t, "micro-dense")
	m := openModel(t, g.model, 1)
	bytesAt := map[int]int{}
	for _, n := range []int{128, 384} {
		s := newSession(t, m, SequenceOptions{Cache: tensor.F16, Context: 512})
		for range n / 8 {
			readTokens(t, s, randomText(8, g.Vocab, 1))
			s.Mark()
		}
		f := newFile(t, s)
		readTokens(t, s, randomText(20, g.Vocab, 2))
		s.Mark()
		bytesAt[n] = f.update(t, s)
	}
	if a, b := bytesAt[128], bytesAt[384]; a != b {
		t.Errorf("20 tokens take %d bytes behind 128 and %d behind 384", a, b)
	}
}

// TestTornSegmentsAreLeftOut cuts and damages a file with three segments everywhere.
func TestTornSegmentsAreLeftOut(t *testing.T) {
	d := newDraft(t, "e")
	m, err := d.open(t)
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
	readTokens(t, s, []int32{2, 3, 4})
	f := newFile(t, s)
	ends := []int{len(f.data)}
	for i := range 3 {
		readTokens(t, s, []int32{5, int32(6 + i)})
		f.update(t, s)
		ends = append(ends, len(f.data))
	}
	// read returns the number of the segment that was found last, or the error.
	read := func(b []byte) (last int, whole bool, err error) {
		snapshot, err := m.readSnapshot(ctx, newMapping(b))
		if err != nil {
			return 0, false, err
		}
		return (snapshot.Len() - 3) / 2, snapshot.Written != nil, nil
	}
	if last, whole, err := read(f.data); last != 3 || !whole || err != nil {
		t.Fatalf("segment %d is the last, %v, %v", last, whole, err)
	}
	stride := 11 // odd: every byte of a number has its turn
	if testing.Short() {
		stride = 97
	}
	step := func(i int) int { // every place where a part begins or ends, and many in between
		for _, end := range ends {
			if i > end-40 && i < end+40 {
				return 1
			}
		}
		return stride
	}
	for n := ends[0]; n < len(f.data); n += step(n) {
		want := 0
		for want < 3 && n >= ends[want+1] {
			want++
		}
		if last, whole, err := read(f.data[:n:n]); last != want || whole != (n == ends[want]) || err != nil {
			t.Fatalf("%d of %d bytes: segment %d is the last, want %d; %v, %v", n, len(f.data), last, want, whole, err)
		}
		zeros := append(slices.Clone(f.data[:n]), make([]byte, 100)...) // after a power cut
		if last, whole, err := read(zeros); last != want || whole || err != nil {
			t.Fatalf("%d of %d bytes and zeros: segment %d is the last, want %d; %v, %v", n, len(f.data), last, want, whole, err)
		}
	}
	for i := 0; i < len(f.data); i += step(i) {
		b := slices.Clone(f.data)
		b[i] ^= 1 << (i % 8)
		last, whole, err := read(b)
		if damaged := err != nil && strings.Contains(err.Error(), "damaged"); i >= ends[2] && (last != 2 || whole || err != nil) ||
			i >= ends[0] && i < ends[2] && !damaged || err == nil && i < ends[2] {
			t.Fatalf("byte %d of %v changed: segment %d is the last, %v, %v", i, ends, last, whole, err)
		}
	}
	// A segment that belongs elsewhere is not one of this file.
	other := slices.Concat(f.data[:ends[0]], f.data[ends[1]:ends[2]])
	if last, whole, err := read(other); last != 0 || whole || err != nil {
		t.Errorf("another's segment: %d is the last, %v, %v", last, whole, err)
	}
}

func TestFilesHaveABoundedNumberOfSegments(t *testing.T) {
	m, err := newDraft(t, "e").open(t)
	if err != nil {
		t.Fatal(err)
	}
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16})
	text := s.Snapshot()
	defer text.Release()
	f := newFile(t, s)
	b := bytes.NewBuffer(f.data)
	for range MaxSegments {
		if f.written, err = m.WriteSegment(b, text, f.written, 0, new(gguf.Metadata)); err != nil {
			t.Fatal(err)
		}
	}
	again, err := m.readSnapshot(ctx, newMapping(b.Bytes()))
	if err != nil || again.Written.Segments != MaxSegments || again.Written.Bytes != f.written.Bytes {
		t.Fatalf("%+v, %v; want %+v", again, err, f.written)
	}
	size := b.Len()
	if _, err := m.WriteSegment(b, text, f.written, 0, new(gguf.Metadata)); err == nil || b.Len() != size {
		t.Errorf("one more is written: %v", err)
	}
	f.written.Segments--
	if _, err := m.WriteSegment(b, text, f.written, 0, new(gguf.Metadata)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.readSnapshot(ctx, newMapping(b.Bytes())); err == nil ||
		!strings.Contains(err.Error(), "segment 1001: expected at most 1000") {
		t.Errorf("one more is read: %v", err)
	}
}

func TestBrokenSegmentsSayWhatIsWrong(t *testing.T) {
	g := readGolden(t, "micro-e")
	m := openModel(t, g.model, 1)
	s := newSession(t, m, SequenceOptions{Cache: tensor.F16, Batch: 16, History: 1 << 20})
	readTokens(t, s, randomText(200, g.Vocab, 1))
	f := newFile(t, s)
	base := len(f.data)
	readTokens(t, s, randomText(100, g.Vocab, 2))
	f.update(t, s)
	good := f.data[base+segmentHead+segmentPadding(int64(base)) : len(f.data)-sumBytes]
	if !bytes.Equal(appended(f.data[:base], good), f.data) {
		t.Fatal("the test writes other segments than the package")
	}
	for _, c := range []struct {
		key   string
		value any
		want  string
	}{
		{"general.architecture", "gemma4-session", `general.architecture is "gemma4-session", expected "gemma4-segment"`},
		{"gemma4.session.kept", uint32(201), "gemma4.session.kept is 201, expected 0 to 200"},
		{"gemma4.session.kept", int32(-1), "gemma4.session.kept is -1"},
		{"gemma4.session.kept", nil, "gemma4.session.kept: missing"},
		{"gemma4.session.kept", uint32(10), "the tensor cache.4 is missing"},
		{"gemma4.session.positions", uint32(199), "gemma4.session.positions is 199, expected 200 to 512"},
		{"gemma4.session.positions", uint64(1 << 63), "gemma4.session.positions"},
		{"gemma4.session.positions", uint32(513), "gemma4.session.positions is 513"},
		{"gemma4.session.positions", uint32(400), "the tensor cache."},
		{"gemma4.session.positions", nil, "gemma4.session.positions: missing"},
		{"gemma4.session.unmarked", []uint32{201}, "gemma4.session.unmarked has 201"},
		{"gemma4.session.marks", []uint32{0}, "gemma4.session.marks has 0"},
		{"gemma4.session.marks", make([]uint8, 1<<16), "gemma4.session.marks has 65536 elements"},
		{"gemma4.session.dropped", []uint32{1}, "gemma4.session.dropped has 1"},
		{"gemma4.session.dropped", nil, "gemma4.session.dropped: missing"},
		{"gemma4.session.pages", []uint32{0, 1, 2}, "gemma4.session.pages has 3 elements, expected at most 2"},
		{"gemma4.session.pages", []uint32{0, 1}, "gemma4.session.pages has 0 as element 0"},
		{"gemma4.session.pages", []uint32{2}, "the tensor cache."},
		{"gemma4.session.pages", "none", "gemma4.session.pages: type string"},
	} {
		head, err := gguf.OpenBytes(good)
		if err != nil {
			t.Fatal(err)
		}
		if c.value == nil {
			head.Metadata.Delete(c.key)
		} else if err := head.Metadata.Set(c.key, c.value); err != nil {
			t.Fatal(err)
		}
		var sources []gguf.Source
		for _, x := range head.Tensors {
			sources = append(sources, x.Source())
		}
		var b bytes.Buffer
		if err := gguf.Write(&b, head.Metadata, sources); err != nil {
			t.Fatal(err)
		}
		path := write(t, appended(f.data[:base], b.Bytes()))
		if _, err := m.OpenSnapshot(ctx, path); err == nil || !strings.HasPrefix(err.Error(), path+": segment 1: ") ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s = %v: error %v\nwant  %s", c.key, c.value, err, c.want)
		}
	}
}
