package model

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/mmap"
	"github.com/gogemma/gemma4/tensor"
)

// A saved text is a GGUF file with a checksum behind it, so that its head is read by a parser that is used to the worst, and any tool for
// such files can look into it. Its keys are
//
//	general.architecture        gemma4-session
//	gemma4.session.version      1
//	gemma4.session.model        fingerprint of the model
//	gemma4.session.cache        format of keys and values
//	gemma4.session.page_length  positions per page
//	gemma4.session.positions    of the text
//	gemma4.session.marks        positions to go back to, ascending
//	gemma4.session.pages        that sliding layers hold, ascending; global layers hold all
//
// and those of the writer. The tensor cache.N, [values per page, pages], holds the pages of layer N, each as it lies in memory: the version
// counts changes of that, too. The last 4 bytes of the file are the CRC-32C of the CRC-32Cs of everything before, in pieces of 1 MB, which
// can be computed side by side.
const (
	fileArchitecture = "gemma4-session"
	fileVersion      = 1
	fileAlignment    = 64 // a line of the processor's cache: the file is mapped as a whole
	sumPiece         = 1 << 20
	sumBytes         = 4
)

// ErrOtherModel is wrapped by the error of a saved text that was made with another model.
var ErrOtherModel = errors.New("it was saved with another model")

// WriteSnapshot writes a text of m to w, with keys and tensors that the caller adds; their names are not to begin as those of the text do.
func (m *Model) WriteSnapshot(w io.Writer, t *Snapshot, more *gguf.Metadata, tensors ...gguf.Source) error {
	if t.config != &m.Config {
		return errors.New("model: a snapshot of another model")
	}
	model, err := m.fingerprint()
	if err != nil {
		return err
	}
	all := (t.n + pageLen - 1) / pageLen
	var marks, held []uint32
	for _, n := range t.marks {
		marks = append(marks, uint32(n))
	}
	for i, pages := range t.pages {
		l := &m.Layers[i]
		var at []uint32
		for j, p := range pages[:all] {
			if p != nil {
				at = append(at, uint32(j))
			}
		}
		if l.Sliding {
			held = at
		}
		if len(at) > 0 { // no tensor is empty
			tensors = append(tensors, gguf.Source{
				Name: cacheName(i), Type: gguf.Type(t.format), Dims: []int{newKV(l, t.format, false).pageValues(), len(at)},
				Write: func(w io.Writer) error { return writePages(w, pages[:all], l.KVHeads, t.n) },
			})
		}
	}
	head := more.Clone()
	for _, k := range []struct {
		key   string
		value any
	}{
		{"general.architecture", fileArchitecture},
		{"general.alignment", uint32(fileAlignment)},
		{"gemma4.session.version", uint32(fileVersion)},
		{"gemma4.session.model", model},
		{"gemma4.session.cache", strings.ToLower(t.format.String())},
		{"gemma4.session.page_length", uint32(pageLen)},
		{"gemma4.session.positions", uint32(t.n)},
		{"gemma4.session.marks", marks},
		{"gemma4.session.pages", held},
	} {
		if err := head.Set(k.key, k.value); err != nil {
			return err
		}
	}
	sum := &summer{w: w}
	// Pages that lie in a file may fault.
	if err := mmap.Guard(func() error { return gguf.Write(sum, head, tensors) }); err != nil {
		return err
	}
	_, err = w.Write(sum.sum())
	return err
}

func cacheName(layer int) string { return fmt.Sprintf("cache.%d", layer) }

// writePages writes the pages of a text of n positions that are held.
func writePages(w io.Writer, pages []*page, heads, n int) error {
	for i, p := range pages {
		if p == nil {
			continue
		}
		for _, b := range [][]byte{p.k, p.v} {
			if err := writeRows(w, b, heads, min(n-i*pageLen, pageLen)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeRows writes rows [heads, pageLen, row]; those from the n-th on are zeros: what the text has forgotten stays here.
func writeRows(w io.Writer, b []byte, heads, n int) error {
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

// OpenSnapshot opens a text that WriteSnapshot has written, and checks all of it. Its keys and values stay in the file, which is mapped
// where that is possible and must not be changed while they are used; replacing it by another through a rename is fine. The second result
// has the keys and tensors that the writer added: the tensors can be read until the snapshot is released.
func (m *Model) OpenSnapshot(path string) (*Snapshot, *gguf.File, error) {
	f, err := openMapping(path)
	if err != nil {
		return nil, nil, err
	}
	t, head, err := m.readSnapshot(f)
	if err != nil {
		f.release()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return t, head, nil
}

// readSnapshot returns the text in f, which takes f over.
func (m *Model) readSnapshot(f *mapping) (*Snapshot, *gguf.File, error) {
	head, err := readHead(f.data, m.Workers())
	if err != nil {
		return nil, nil, err
	}
	k := &keys{m: head.Metadata}
	if v := k.integer("session.version", 0, math.MaxInt32); k.err == nil && v != fileVersion {
		return nil, nil, fmt.Errorf("a saved session of version %d, this program reads %d", v, fileVersion)
	}
	want, err := m.fingerprint()
	if err != nil {
		return nil, nil, err
	}
	if got, err := head.Metadata.Text("gemma4.session.model"); err != nil {
		return nil, nil, err
	} else if got != want {
		return nil, nil, ErrOtherModel
	}
	k.integer("session.page_length", pageLen, pageLen)
	n := k.integer("session.positions", 0, min(m.Context, len(f.data))) // every position takes some bytes
	all := (n + pageLen - 1) / pageLen
	held := k.ascending("session.pages", 0, all-1)
	t := &Snapshot{config: &m.Config, n: n, marks: k.ascending("session.marks", 1, n), file: f}
	if k.err != nil {
		return nil, nil, k.err
	}
	name, err := head.Metadata.Text("gemma4.session.cache")
	if err != nil {
		return nil, nil, err
	}
	if t.format, err = m.cacheFormat(name); err != nil {
		return nil, nil, err
	}
	everything := make([]int, all)
	for i := range everything {
		everything[i] = i
	}
	for i := range m.Layers[:m.Owners] {
		l := &m.Layers[i]
		c := newKV(l, t.format, false)
		at := everything
		if l.Sliding {
			at = held
		}
		pages := make([]*page, all)
		t.pages = append(t.pages, pages)
		if len(at) == 0 {
			continue
		}
		x := head.Tensor(cacheName(i))
		if dims := []int{c.pageValues(), len(at)}; x == nil || x.Type != gguf.Type(t.format) || !slices.Equal(x.Dims, dims) {
			return nil, nil, fmt.Errorf("the tensor %s is missing or not of type %v and shape %v", cacheName(i), t.format, dims)
		}
		size := c.pageBytes()
		for j, b := range at {
			from := int(x.Offset) + j*size
			pages[b] = c.page(f.data[from : from+size : from+size])
			pages[b].file = f
		}
	}
	if reach := t.Reach(n); reach != n {
		return nil, nil, fmt.Errorf("gemma4.session.pages holds the window of position %d, expected that of %d", reach, n)
	}
	for _, pages := range t.pages {
		for _, p := range pages {
			if p.hold() != nil {
				f.holders.Add(1)
			}
		}
	}
	return t, head, nil
}

// cacheFormat returns the cache format of that name.
func (c *Config) cacheFormat(name string) (tensor.Format, error) {
	for f := tensor.F32; f <= tensor.Q2_0; f++ {
		if f.Valid() && strings.ToLower(f.String()) == name {
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

// readHead reads the head of a saved text and verifies all of it.
func readHead(data []byte, workers int) (*gguf.File, error) {
	foreign := true
	mmap.Guard(func() error { foreign = len(data) < sumBytes || string(data[:4]) != "GGUF"; return nil })
	if foreign {
		return nil, errors.New("is no saved session")
	}
	head, broken := gguf.OpenReaderAt(gguf.Part{ReaderAt: bytes.NewReader(data), Size: int64(len(data))})
	if broken == nil { // a model may be large: it need not be read to see that it is one
		if is, err := head.Metadata.Text("general.architecture"); err == nil && is != fileArchitecture {
			return nil, fmt.Errorf("is no saved session: general.architecture is %.40q, expected %q", is, fileArchitecture)
		}
	}
	if err := verify(data, workers); err != nil {
		return nil, err
	}
	if broken != nil {
		return nil, broken
	}
	if is, err := head.Metadata.Text("general.architecture"); is != fileArchitecture {
		return nil, err
	}
	return head, nil
}

// verify compares a saved text with its checksum.
func verify(data []byte, workers int) error {
	body := data[:len(data)-sumBytes]
	sums := make([]byte, (len(body)+sumPiece-1)/sumPiece*sumBytes)
	var next atomic.Int64
	var all sync.WaitGroup
	var failed atomic.Pointer[error]
	for range workers {
		all.Go(func() {
			err := mmap.Guard(func() error {
				for {
					i := int(next.Add(1) - 1)
					if i >= len(sums)/sumBytes {
						return nil
					}
					binary.LittleEndian.PutUint32(sums[i*sumBytes:], crc32.Checksum(body[i*sumPiece:min((i+1)*sumPiece, len(body))], castagnoli))
				}
			})
			if err != nil {
				failed.Store(&err)
			}
		})
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		return *err
	}
	return mmap.Guard(func() error {
		if crc32.Checksum(sums, castagnoli) != binary.LittleEndian.Uint32(data[len(body):]) {
			return errors.New("the saved session is damaged or incomplete: its checksum does not match")
		}
		return nil
	})
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// summer computes the checksum of what it passes on.
type summer struct {
	w    io.Writer
	n    int    // bytes of the running piece
	crc  uint32 // of the running piece
	sums []byte // of those before
}

func (s *summer) Write(b []byte) (int, error) {
	n, err := s.w.Write(b)
	for b = b[:n]; len(b) > 0; {
		part := b[:min(len(b), sumPiece-s.n)]
		s.crc = crc32.Update(s.crc, castagnoli, part)
		if s.n += len(part); s.n == sumPiece {
			s.flush()
		}
		b = b[len(part):]
	}
	return n, err
}

func (s *summer) flush() {
	s.sums = binary.LittleEndian.AppendUint32(s.sums, s.crc)
	s.n, s.crc = 0, 0
}

func (s *summer) sum() []byte {
	if s.n > 0 {
		s.flush()
	}
	return binary.LittleEndian.AppendUint32(nil, crc32.Checksum(s.sums, castagnoli))
}

// mapping is a file whose bytes pages lie in. The last of those who hold it unmaps it, or the garbage collector when nobody has
// given it back.
type mapping struct {
	holders atomic.Int32
	data    []byte
	mapped  bool
	cleanup runtime.Cleanup
}

// openMapping maps a file or, where that is not possible, reads it. On Windows a mapped file could not be replaced, not even by who
// has mapped it.
func openMapping(path string) (*mapping, error) {
	info, err := os.Stat(path) // before opening: opening a pipe would wait for its writer
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is no regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, err
	}
	size := info.Size()
	if size > math.MaxInt/2 {
		return nil, fmt.Errorf("%s: %d bytes are more than this machine can address", path, size)
	}
	f := &mapping{}
	f.holders.Store(1)
	if runtime.GOOS != "windows" && size > 0 {
		if f.data, err = mmap.Map(file, size); err == nil {
			f.mapped = true
			f.cleanup = runtime.AddCleanup(f, func(data []byte) { mmap.Unmap(data) }, f.data)
			return f, nil
		}
	}
	f.data = make([]byte, size)
	_, err = io.ReadFull(file, f.data)
	return f, err
}

func (f *mapping) release() {
	if f.holders.Add(-1) > 0 {
		return
	}
	if f.mapped {
		f.cleanup.Stop()
		mmap.Unmap(f.data)
	}
	f.data = nil
}

// fingerprint tells models apart: it is a digest of the shape, of the list of tensors, of small tensors and of samples of the others.
func fingerprint(f *gguf.File) (string, error) {
	const small, sample, samples = 64 << 10, 1 << 10, 4
	digest := sha256.New()
	shape := f.Metadata.Clone()
	for _, key := range shape.Keys() {
		if !strings.HasPrefix(key, "gemma4.") {
			shape.Delete(key)
		}
	}
	if err := gguf.Write(digest, shape, nil); err != nil {
		return "", err
	}
	buf := make([]byte, small)
	for _, t := range f.Tensors {
		fmt.Fprintf(digest, "%s %v %v\n", t.Name, t.Type, t.Dims)
		at, step, size := int64(0), int64(1), t.Size
		if t.Size > small {
			step, size = (t.Size-sample)/(samples-1), sample
		}
		for ; at+size <= t.Size; at += step {
			if _, err := t.ReadAt(buf[:size], at); err != nil {
				return "", err
			}
			digest.Write(buf[:size])
		}
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}
