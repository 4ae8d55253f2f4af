package model

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/mmap"
	"github.com/gogemma/gemma4/tensor"
)

// A saved text is a GGUF file with a checksum after it, so that its head is read by a parser that is used to the worst, and any tool for
// such files can look into it. The segments (segment.go) that were appended since follow. Its keys are
//
//	general.architecture        gemma4-session
//	gemma4.session.version      2
//	gemma4.session.bytes        of the file with its checksum, without segments
//	gemma4.session.model        fingerprint of the model, and behind a + what tells its adapters from others, if there are any
//	gemma4.session.cache        format of keys and values
//	gemma4.session.page_length  positions per page
//	gemma4.session.positions    of the text
//	gemma4.session.marks        positions to go back to, ascending
//	gemma4.session.pages        that sliding layers hold, ascending; global layers hold all
//
// and those of the writer. The tensor cache.N, [values per page, pages], holds the pages of layer N, each as it lies in memory: a change of
// that is a new version, too. The checksum, 4 bytes, is that of everything before it (sum.go).
//
// Version 1 had no segments, so that its checksum ends the file, no gemma4.session.bytes, and another fingerprint.
const (
	fileArchitecture = "gemma4-session"
	fileVersion      = 2
	fileAlignment    = 64 // a line of the processor's cache: the file is mapped as a whole
)

// ErrOtherModel is wrapped by the error of a saved text that was made with another model.
var ErrOtherModel = errors.New("it was saved with another model")

var errDamaged = errors.New("the saved session is damaged or incomplete: its checksum does not match")

// Written is what a segment that continues a file needs to know of it.
type Written struct {
	Bytes    int64  // of the whole file
	Sum      uint32 // its last bytes
	Segments int    // MaxSegments at most
	n        int
	marks    []int
	held     []int // pages of sliding layers
	format   tensor.Format
	adapted  string
}

// WriteSnapshot writes a text of m to w, with keys and tensors that the caller adds; their names must not begin as those of the text do,
// and the keys come first. w is called from the caller's goroutine, with pieces of a few megabytes.
func (m *Model) WriteSnapshot(ctx context.Context, w io.Writer, t *Snapshot, more *gguf.Metadata, tensors ...gguf.Source) (*Written,
	error) {
	if t.config != &m.Config {
		return nil, errors.New("model: a snapshot of another model")
	}
	model, err := m.Fingerprint(ctx)
	if err != nil {
		return nil, err
	}
	head := more.Clone()
	if err := set(head, []keyValue{
		{"general.architecture", fileArchitecture},
		{"general.alignment", uint32(fileAlignment)},
		{"gemma4.session.version", uint32(fileVersion)},
		{"gemma4.session.bytes", uint64(0)},
		{"gemma4.session.model", withAdapters(model, t.adapted)},
		{"gemma4.session.cache", strings.ToLower(t.format.String())},
		{"gemma4.session.page_length", uint32(pageLen)},
		{"gemma4.session.positions", uint32(t.n)},
		{"gemma4.session.marks", positions(t.marks)},
		{"gemma4.session.pages", positions(t.held())},
	}); err != nil {
		return nil, err
	}
	tensors = append(slices.Clip(tensors), m.sources(t, 0)...)
	size, err := gguf.Size(head, tensors)
	if err == nil {
		err = head.Set("gemma4.session.bytes", uint64(size+sumBytes))
	}
	if err != nil {
		return nil, err
	}
	sum, err := stream(w, size, func(w io.Writer) error { return gguf.Write(w, head, tensors) })
	if err != nil {
		return nil, err
	}
	return t.written(size+sumBytes, sum, 0), nil
}

func (t *Snapshot) written(size int64, sum uint32, segments int) *Written {
	return &Written{
		Bytes: size, Sum: sum, Segments: segments, n: t.n, marks: slices.Clone(t.marks), held: t.held(), format: t.format,
		adapted: t.adapted,
	}
}

// held returns the pages that sliding layers hold.
func (t *Snapshot) held() (at []int) {
	for i, pages := range t.pages {
		if t.config.Layers[i].Sliding {
			return heldFrom(pages, 0)
		}
	}
	return nil
}

func heldFrom(pages []*page, first int) (at []int) {
	for i, p := range pages[min(first, len(pages)):] {
		if p != nil {
			at = append(at, first+i)
		}
	}
	return at
}

type keyValue struct {
	key   string
	value any
}

func set(m *gguf.Metadata, entries []keyValue) error {
	for _, e := range entries {
		if err := m.Set(e.key, e.value); err != nil {
			return err
		}
	}
	return nil
}

// positions returns numbers in the type that files have for them.
func positions(list []int) []uint32 {
	out := make([]uint32, len(list))
	for i, n := range list {
		out[i] = uint32(n)
	}
	return out
}

func cacheName(layer int) string { return fmt.Sprintf("cache.%d", layer) }

// sources returns the tensors that hold the pages of a text from the given one on.
func (m *Model) sources(t *Snapshot, first int) []gguf.Source {
	return m.sourcesOf(t, func(i int) []int { return heldFrom(t.pages[i], first) })
}

// sourcesOf returns the tensors that hold some pages of each layer of a text.
func (m *Model) sourcesOf(t *Snapshot, which func(layer int) []int) (tensors []gguf.Source) {
	for i, pages := range t.pages {
		l := &m.Layers[i]
		if at := which(i); len(at) > 0 { // no tensor is empty
			tensors = append(tensors, gguf.Source{
				Name: cacheName(i), Type: gguf.Type(t.format), Dims: []int{newKV(l, t.format, false).pageValues(), len(at)},
				Write: func(w io.Writer) error { return writePages(w, pages, at, l.KVHeads, t.n) },
			})
		}
	}
	return tensors
}

// writePages writes some pages of a text of n positions.
func writePages(w io.Writer, pages []*page, at []int, heads, n int) error {
	for _, i := range at {
		for _, b := range [][]byte{pages[i].k, pages[i].v} {
			if err := writeHeads(w, b, heads, min(n-i*pageLen, pageLen)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeHeads writes keys or values [heads, pageLen, head size], those from the n-th position on as zeros: what the text has forgotten does
// not get out.
func writeHeads(w io.Writer, b []byte, heads, n int) error {
	if n == pageLen {
		_, err := w.Write(b)
		return err
	}
	zeros := make([]byte, len(b)/heads/pageLen*(pageLen-n))
	for head := range slices.Chunk(b, len(b)/heads) {
		if _, err := w.Write(head[:len(head)-len(zeros)]); err != nil {
			return err
		}
		if _, err := w.Write(zeros); err != nil {
			return err
		}
	}
	return nil
}

// SavedText is a saved text that was opened. Its snapshot is the caller's to release.
type SavedText struct {
	*Snapshot
	// Heads have the keys and tensors that the writers of the file and of its segments added. The tensors can be read until the snapshot is
	// released.
	Heads []*gguf.File
	// Info is what the system says of the file, nil if the text came from a reader.
	Info os.FileInfo
	// Written is what the file holds; nil if no segment can follow it: it is of an older version, or what was appended last is torn.
	Written *Written
}

// OpenSnapshot opens a text that WriteSnapshot has written, with the segments after it, and checks all of it. Its keys and values stay in
// the file, which is mapped where that is possible and must not be changed while they are used; appending segments is fine, and so is
// replacing it with another by a rename. A segment at the end that was not written completely is left out.
func (m *Model) OpenSnapshot(ctx context.Context, path string) (*SavedText, error) {
	f, info, err := openMapping(path)
	if err != nil {
		return nil, err
	}
	t, err := m.readSnapshot(ctx, f)
	if err != nil {
		f.release()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t.Info = info
	return t, nil
}

// ReadSnapshot reads a text as OpenSnapshot does. It reads r to its end, and takes as much memory as there is to read.
func (m *Model) ReadSnapshot(ctx context.Context, r io.Reader) (*SavedText, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	return m.readSnapshot(ctx, newMapping(data))
}

// readSnapshot returns the text in f, which it takes over unless it fails.
func (m *Model) readSnapshot(ctx context.Context, f *mapping) (*SavedText, error) {
	version, rest, head, err := readHead(ctx, f.data, m.Workers())
	if err != nil {
		return nil, err
	}
	want, err := m.fingerprintOf(ctx, version)
	if err != nil {
		return nil, err
	}
	got, err := head.Metadata.Text("gemma4.session.model")
	if err != nil {
		return nil, err
	}
	got, adapted, _ := strings.Cut(got, "+")
	if got != want {
		return nil, ErrOtherModel
	}
	t := &Snapshot{config: &m.Config, adapted: adapted, pages: make([][]*page, m.Owners), file: f}
	name, err := head.Metadata.Text("gemma4.session.cache")
	if err != nil {
		return nil, err
	}
	if t.format, err = m.cacheFormat(name); err != nil {
		return nil, err
	}
	k := &keys{m: head.Metadata}
	k.integer("session.page_length", pageLen, pageLen)
	t.n = k.integer("session.positions", 0, min(m.Context, len(f.data))) // every position takes some bytes
	t.marks = k.ascending("session.marks", 1, t.n)
	held := k.ascending("session.pages", 0, (t.n+pageLen-1)/pageLen-1)
	if k.err != nil {
		return nil, k.err
	}
	if err := m.readPages(t, head, f.data[:rest], held, 0); err != nil {
		return nil, err
	}
	s := &SavedText{Snapshot: t, Heads: []*gguf.File{head}}
	if version > 1 {
		sum := binary.LittleEndian.Uint32(f.data[rest-sumBytes:])
		if err := mmap.Guard(func() error { return m.readSegments(ctx, s, rest, sum) }); err != nil {
			return nil, err
		}
	}
	if reach := t.Reach(t.n); reach != t.n {
		return nil, fmt.Errorf("gemma4.session.pages holds the window of position %d, expected that of %d", reach, t.n)
	}
	t.hold()
	return s, nil
}

// hold makes a text that was just opened a holder of its pages, and those that lie in its file holders of that.
func (t *Snapshot) hold() {
	for _, pages := range t.pages {
		for _, p := range pages {
			if p.hold() != nil && p.file == t.file {
				t.file.holders.Add(1)
			}
		}
	}
}

// readPages sets the pages of a text, from number first on, to those that head has in data: in sliding layers, those listed in held.
func (m *Model) readPages(t *Snapshot, head *gguf.File, data []byte, held []int, first int) error {
	all := (t.n + pageLen - 1) / pageLen
	everything := between(first, all)
	for i := range m.Layers[:m.Owners] {
		at := everything
		if m.Layers[i].Sliding {
			at = held
		}
		t.pages[i] = append(t.pages[i][:first], make([]*page, all-first)...)
		if err := m.readLayer(t, i, head, data, at); err != nil {
			return err
		}
	}
	return nil
}

// between returns the numbers from first to end-1.
func between(first, end int) []int {
	list := make([]int, 0, max(0, end-first))
	for i := first; i < end; i++ {
		list = append(list, i)
	}
	return list
}

// readLayer sets some pages of a layer to those that head has in data.
func (m *Model) readLayer(t *Snapshot, i int, head *gguf.File, data []byte, at []int) error {
	if len(at) == 0 {
		return nil
	}
	c := newKV(&m.Layers[i], t.format, false)
	x := head.Tensor(cacheName(i))
	if dims := []int{c.pageValues(), len(at)}; x == nil || x.Type != gguf.Type(t.format) || !slices.Equal(x.Dims, dims) {
		return fmt.Errorf("the tensor %s is missing or not of type %v and shape %v", cacheName(i), t.format, dims)
	}
	size := c.pageBytes()
	for j, b := range at {
		from := int(x.Offset) + j*size
		p := c.page(data[from : from+size : from+size])
		p.file = t.file
		t.pages[i][b] = p
	}
	return nil
}

// cacheFormat returns the cache format of that name.
func (c *Config) cacheFormat(name string) (tensor.Format, error) {
	for _, f := range tensor.Formats() {
		if strings.ToLower(f.String()) == name {
			return f, c.checkCache(f)
		}
	}
	return 0, fmt.Errorf("gemma4.session.cache is %.40q, expected a format such as f16", name)
}

// ascending reads ascending positions from least to most.
func (k *keys) ascending(key string, least, most int) []int {
	if n, _ := k.arrayLen(key); n > max(0, most-least+1) { // before it is decoded
		k.fail("gemma4.%s has %d elements, expected at most %d", key, n, max(0, most-least+1))
		return nil
	}
	list, err := k.m.Ints("gemma4." + key)
	if err != nil {
		k.fail("%w", err)
	}
	out := make([]int, 0, len(list))
	for i, v := range list {
		if v < int64(least) || v > int64(most) || i > 0 && v <= list[i-1] {
			k.fail("gemma4.%s has %d as element %d, expected ascending numbers from %d to %d", key, v, i, least, most)
			break
		}
		out = append(out, int(v))
	}
	return out
}

// readHead reads the head of a saved text and verifies all of it but the segments, which begin at rest.
func readHead(ctx context.Context, data []byte, workers int) (version, rest int, head *gguf.File, err error) {
	fail := func(err error) (int, int, *gguf.File, error) { return 0, 0, nil, err }
	foreign := true
	if err := mmap.Guard(func() error { foreign = len(data) < sumBytes || string(data[:4]) != "GGUF"; return nil }); err != nil {
		return fail(err)
	}
	if foreign {
		return fail(errors.New("is not a saved session"))
	}
	version, rest = 1, len(data)
	head, broken := parse(data)
	if broken == nil { // a model may be large: it need not be read whole to see that it is one
		if is, err := head.Metadata.Text("general.architecture"); err == nil && is != fileArchitecture {
			return fail(fmt.Errorf("is not a saved session: general.architecture is %.40q, expected %q", is, fileArchitecture))
		}
		k := &keys{m: head.Metadata}
		version = k.integer("session.version", 0, math.MaxInt32, 1)
		if version > 1 {
			rest = k.integer("session.bytes", sumBytes, len(data))
		}
		if k.err != nil {
			rest = len(data) // the checksum tells damage from a wrong value
			broken = k.err
		}
	}
	if version > fileVersion || version < 1 {
		return fail(fmt.Errorf("a saved session of version %d, this program reads 1 to %d", version, fileVersion))
	}
	sum, err := checksum(ctx, data[:rest-sumBytes], workers)
	if err != nil {
		return fail(err)
	}
	if err := mmap.Guard(func() error {
		if sum != binary.LittleEndian.Uint32(data[rest-sumBytes:]) {
			return errDamaged
		}
		return nil
	}); err != nil {
		return fail(err)
	}
	if broken != nil {
		return fail(broken)
	}
	if is, err := head.Metadata.Text("general.architecture"); is != fileArchitecture {
		return fail(err)
	}
	if _, err := head.Metadata.Int("gemma4.session.version"); err != nil {
		return fail(err)
	}
	// Again, now that nothing follows it: its tensors end before its checksum.
	if head, err = parse(data[:rest-sumBytes]); err != nil {
		return fail(err)
	}
	return version, rest, head, nil
}

// parse reads the head of a GGUF file that may be mapped.
func parse(data []byte) (*gguf.File, error) {
	return gguf.OpenReaderAt(gguf.Part{ReaderAt: bytes.NewReader(data), Size: int64(len(data))})
}
