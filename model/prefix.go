package model

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/internal/mmap"
	"github.com/gogemma/gemma4/tensor"
)

// A saved prefix is a text that was read, in a file whose name is a digest of all that its keys and values depend on. Those that another
// saved prefix, its base, begins with as well are in that one's file alone: one has the same bytes as the other. The file is a GGUF file
// with a checksum after it (sum.go). Its keys are
//
//	general.architecture      gemma4-prefix
//	gemma4.prefix.version     1
//	gemma4.prefix.bytes       of the file with its checksum
//	gemma4.prefix.model       fingerprint of the model, with what tells its adapters from others, as in a saved text
//	gemma4.prefix.arithmetic  whatever else results depend on, in the words of the program
//	gemma4.prefix.cache       format of keys and values
//	gemma4.prefix.page_length positions per page
//	gemma4.prefix.ids         array of int64: identities
//	gemma4.prefix.marks       positions to go back to, ascending
//	gemma4.prefix.pages       that sliding layers hold, ascending; global layers hold all
//	gemma4.prefix.base        name of the base's file, empty if there is none
//	gemma4.prefix.first       first page of global layers that is in this file
//	gemma4.prefix.own         pages of sliding layers that are in this file, ascending
//
// The tensors are those of a saved text (file.go), with the pages that are in this file. The name covers model, arithmetic, format, page
// length and ids, so that what a head says of them can be believed before the checksum was computed; nothing else is.
const (
	prefixArchitecture = "gemma4-prefix"
	prefixVersion      = 1
	prefixExtension    = ".prefix"
	prefixDigest       = 16 // bytes of it that make a name
)

// ErrOtherArithmetic is wrapped by the error of a saved prefix that was computed in another way, whose results may differ in some bits.
var ErrOtherArithmetic = errors.New("it was read by other kernels or another version of the program")

// SavedPrefix is what the head of a saved prefix tells.
type SavedPrefix struct {
	Name  string        // of the file
	Base  string        // name of the file that has its first pages; empty: none
	IDs   []Identity    // the text
	Cache tensor.Format // of keys and values
	Bytes int64         // of the file
	// Adapted tells the adapters that the text was read with, as [Sequence.Adapted] does.
	Adapted string

	config *Config
	marks  []int
	held   []int // pages of sliding layers that the text has,
	own    []int // and those in this file, ascending
	first  int   // first page of global layers in this file
}

// IsPrefixName reports whether a file's name is one that saved prefixes have.
func IsPrefixName(name string) bool {
	digest, ok := strings.CutSuffix(name, prefixExtension)
	b, err := hex.DecodeString(digest)
	return ok && err == nil && len(b) == prefixDigest && digest == strings.ToLower(digest)
}

// prefixName returns the name of the file for a text.
func prefixName(model, arithmetic, cache string, ids []Identity) string {
	d := sha256.New()
	fmt.Fprintf(d, "%q %q %q %d %d\n", model, arithmetic, cache, prefixVersion, pageLen)
	b := make([]byte, 0, 8*len(ids))
	for _, id := range ids {
		b = binary.LittleEndian.AppendUint64(b, uint64(id))
	}
	d.Write(b)
	return hex.EncodeToString(d.Sum(nil)[:prefixDigest]) + prefixExtension
}

// Reach returns the last position up to n that a sequence can begin at, once the file is open.
func (p *SavedPrefix) Reach(n int) int {
	n = max(0, min(n, len(p.IDs)))
	if !p.config.slides() {
		return n
	}
	return p.config.reach(p.holds, n)
}

func (p *SavedPrefix) holds(page int) bool { return contains(p.held, page) }

// contains reports whether ascending numbers have n among them.
func contains(list []int, n int) bool {
	_, found := slices.BinarySearch(list, n)
	return found
}

// slides reports whether a layer that owns keys and values has a window.
func (c *Config) slides() bool {
	return slices.ContainsFunc(c.Layers[:c.Owners], func(l LayerConfig) bool { return l.Sliding })
}

// inherited returns which pages of a text with the given ids a base has, whole and with the same bytes: all of global layers before first,
// and of sliding ones those that it holds.
func (p *SavedPrefix) inherited(ids []Identity) (first int, held []int) {
	if p == nil {
		return 0, nil
	}
	first = CommonLen(p.IDs, ids) / pageLen
	return first, upTo(p.held, first-1)
}

// Shared returns how many positions of a text with the given ids need not be saved again, if p is its base.
func (p *SavedPrefix) Shared(ids []Identity) int {
	first, _ := p.inherited(ids)
	return first * pageLen
}

// SavePrefix plans how a text of m that was read, with these ids, is saved: what its base has is left out, if there is one. arithmetic says
// in the program's words what results depend on beside the model. write writes the file; it gets pieces of a few megabytes, and ends with
// ctx.
func (m *Model) SavePrefix(ctx context.Context, t *Snapshot, ids []Identity, arithmetic string, base *SavedPrefix) (
	p *SavedPrefix, write func(ctx context.Context, w io.Writer) error, err error) {
	if t.config != &m.Config || t.n != len(ids) || t.pure != t.n {
		return nil, nil, errors.New("model: a snapshot of another model, with other ids or of a text that was written")
	}
	fingerprint, err := m.Fingerprint(ctx)
	if err != nil {
		return nil, nil, err
	}
	fingerprint = withAdapters(fingerprint, t.adapted)
	cache := strings.ToLower(t.format.String())
	p = &SavedPrefix{
		Name: prefixName(fingerprint, arithmetic, cache, ids), IDs: ids, Cache: t.format, Adapted: t.adapted, config: &m.Config,
		marks: t.marks, held: t.held(),
	}
	first, inherited := base.inherited(ids)
	if first > 0 {
		p.Base, p.first = base.Name, first
	}
	p.own = without(p.held, inherited)
	list := make([]int64, len(ids))
	for i, id := range ids {
		list[i] = int64(id)
	}
	head := new(gguf.Metadata)
	if err := set(head, []keyValue{
		{"general.architecture", prefixArchitecture},
		{"general.alignment", uint32(fileAlignment)},
		{"gemma4.prefix.version", uint32(prefixVersion)},
		{"gemma4.prefix.bytes", uint64(0)},
		{"gemma4.prefix.model", fingerprint},
		{"gemma4.prefix.arithmetic", arithmetic},
		{"gemma4.prefix.cache", cache},
		{"gemma4.prefix.page_length", uint32(pageLen)},
		{"gemma4.prefix.ids", list},
		{"gemma4.prefix.marks", positions(p.marks)},
		{"gemma4.prefix.pages", positions(p.held)},
		{"gemma4.prefix.base", p.Base},
		{"gemma4.prefix.first", uint32(p.first)},
		{"gemma4.prefix.own", positions(p.own)},
	}); err != nil {
		return nil, nil, err
	}
	tensors := m.sourcesOf(t, p.inFile)
	size, err := gguf.Size(head, tensors)
	if err == nil {
		p.Bytes = size + sumBytes
		err = head.Set("gemma4.prefix.bytes", uint64(p.Bytes))
	}
	if err != nil {
		return nil, nil, err
	}
	return p, func(ctx context.Context, w io.Writer) error {
		_, err := stream(endingWriter{ctx, w}, size, func(w io.Writer) error { return gguf.Write(w, head, tensors) })
		return err
	}, nil
}

// inFile returns the pages of a layer that are in the file.
func (p *SavedPrefix) inFile(layer int) []int {
	if p.config.Layers[layer].Sliding {
		return p.own
	}
	return between(p.first, (len(p.IDs)+pageLen-1)/pageLen)
}

// endingWriter takes nothing any more when its context has ended.
type endingWriter struct {
	ctx context.Context
	w   io.Writer
}

func (e endingWriter) Write(b []byte) (int, error) {
	if err := cause.Of(e.ctx); err != nil {
		return 0, err
	}
	return e.w.Write(b)
}

// ReadPrefix reads the head of a saved prefix, without its keys and values: they are checked when it is opened. A file of another model
// ([ErrOtherModel]) or arithmetic ([ErrOtherArithmetic]) is an error.
func (m *Model) ReadPrefix(ctx context.Context, path, arithmetic string) (*SavedPrefix, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	head, err := gguf.OpenReaderAt(gguf.Part{Name: path, ReaderAt: f, Size: max(0, info.Size()-sumBytes)})
	if err != nil {
		return nil, err
	}
	p, err := m.savedPrefix(ctx, head, filepath.Base(path), arithmetic, info.Size())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, nil
}

// savedPrefix returns what the head of a file of that name and size tells.
func (m *Model) savedPrefix(ctx context.Context, head *gguf.File, name, arithmetic string, size int64) (*SavedPrefix, error) {
	if is, err := head.Metadata.Text("general.architecture"); err != nil || is != prefixArchitecture {
		return nil, fmt.Errorf("is not a saved prefix: general.architecture is %.40q, expected %q", is, prefixArchitecture)
	}
	p := &SavedPrefix{Name: name, Bytes: size, config: &m.Config}
	k := &keys{m: head.Metadata}
	if version := k.integer("prefix.version", 0, math.MaxInt32); k.err == nil && version != prefixVersion {
		return nil, fmt.Errorf("a saved prefix of version %d, this program reads %d", version, prefixVersion)
	}
	k.integer("prefix.bytes", int(size), int(size))
	k.integer("prefix.page_length", pageLen, pageLen)
	text := func(key string) string {
		s, err := head.Metadata.Text("gemma4.prefix." + key)
		if err != nil {
			k.fail("%w", err)
		}
		return s
	}
	fingerprint, computed, cache := text("model"), text("arithmetic"), text("cache")
	p.Base = text("base")
	if n, _ := k.arrayLen("prefix.ids"); int64(n) > size/8 {
		k.fail("gemma4.prefix.ids has %d elements, more than the file can hold", n)
	}
	if k.err != nil {
		return nil, k.err
	}
	list, err := head.Metadata.Ints("gemma4.prefix.ids")
	if err != nil {
		return nil, err
	}
	p.IDs = make([]Identity, len(list))
	for i, id := range list {
		p.IDs[i] = Identity(id)
	}
	if prefixName(fingerprint, computed, cache, p.IDs) != name {
		return nil, errors.New("is damaged or was renamed: its name is not that of what it holds")
	}
	if want, err := m.Fingerprint(ctx); err != nil {
		return nil, err
	} else if fingerprint, p.Adapted, _ = strings.Cut(fingerprint, "+"); fingerprint != want {
		return nil, ErrOtherModel
	}
	if computed != arithmetic {
		return nil, ErrOtherArithmetic
	}
	if p.Cache, err = m.cacheFormat(cache); err != nil {
		return nil, err
	}
	if n := len(p.IDs); n == 0 || n > m.Context || CommonLen(p.IDs, p.IDs) < n {
		return nil, fmt.Errorf("gemma4.prefix.ids has %d elements, expected 1 to %d, all of them known", n, m.Context)
	}
	all := (len(p.IDs) + pageLen - 1) / pageLen
	p.marks = k.ascending("prefix.marks", 1, len(p.IDs))
	p.held = k.ascending("prefix.pages", 0, all-1)
	p.own = k.ascending("prefix.own", 0, all-1)
	p.first = k.integer("prefix.first", 0, all)
	if k.err != nil {
		return nil, k.err
	}
	based := p.Base != ""
	if based != (p.first > 0) || based && !IsPrefixName(p.Base) || len(without(p.own, p.held)) > 0 ||
		len(without(without(p.held, p.own), between(0, p.first))) > 0 {
		return nil, errors.New("gemma4.prefix.base, first, pages and own do not fit together")
	}
	if reach := p.Reach(len(p.IDs)); reach != len(p.IDs) {
		return nil, fmt.Errorf("gemma4.prefix.pages holds the window of position %d, expected that of %d", reach, len(p.IDs))
	}
	return p, nil
}

// OpenPrefix opens a saved prefix and checks all of its file. Its keys and values stay there: the file is mapped where that is possible,
// and must not be changed while they are used; replacing it by a rename and removing it are fine. base opens the one that it continues,
// which the caller keeps until OpenPrefix returns. The snapshot is the caller's to release.
func (m *Model) OpenPrefix(ctx context.Context, path, arithmetic string, base func(name string) (*SavedPrefix, *Snapshot, error)) (
	*SavedPrefix, *Snapshot, error) {
	f, _, err := openMapping(path)
	if err != nil {
		return nil, nil, err
	}
	p, t, err := m.openPrefix(ctx, f, arithmetic, base)
	if err != nil {
		f.release()
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return p, t, nil
}

// openPrefix returns the prefix in f, which it takes over unless it fails.
func (m *Model) openPrefix(ctx context.Context, f *mapping, arithmetic string,
	base func(name string) (*SavedPrefix, *Snapshot, error)) (*SavedPrefix, *Snapshot, error) {
	end := len(f.data) - sumBytes
	if end < 0 {
		return nil, nil, errors.New("is not a saved prefix")
	}
	sum, err := checksum(ctx, f.data[:end], m.Workers())
	if err != nil {
		return nil, nil, err
	}
	var want uint32
	if err := mmap.Guard(func() error { want = binary.LittleEndian.Uint32(f.data[end:]); return nil }); err != nil {
		return nil, nil, err
	}
	if sum != want {
		return nil, nil, errors.New("is damaged or incomplete: its checksum does not match")
	}
	head, err := parse(f.data[:end])
	if err != nil {
		return nil, nil, err
	}
	p, err := m.savedPrefix(ctx, head, filepath.Base(f.path), arithmetic, int64(len(f.data)))
	if err != nil {
		return nil, nil, err
	}
	t := &Snapshot{
		config: &m.Config, format: p.Cache, adapted: p.Adapted, n: len(p.IDs), pure: len(p.IDs), marks: p.marks, file: f,
		pages: make([][]*page, m.Owners),
	}
	var before *Snapshot
	if p.Base != "" {
		b, s, err := base(p.Base)
		if err != nil {
			return nil, nil, err
		}
		if first, _ := b.inherited(p.IDs); first < p.first || s.config != t.config || s.format != t.format ||
			s.adapted != t.adapted {
			return nil, nil, fmt.Errorf("its base %s is another text", p.Base)
		}
		before = s
	}
	for i := range t.pages {
		t.pages[i] = make([]*page, (t.n+pageLen-1)/pageLen)
		inherited := between(0, p.first)
		if m.Layers[i].Sliding {
			inherited = without(p.held, p.own)
		}
		for _, at := range inherited {
			if t.pages[i][at] = before.pages[i][at]; t.pages[i][at] == nil {
				return nil, nil, fmt.Errorf("its base %s lacks page %d of layer %d", p.Base, at, i)
			}
		}
		if err := m.readLayer(t, i, head, f.data[:end], p.inFile(i)); err != nil {
			return nil, nil, err
		}
	}
	t.hold()
	return p, t, nil
}
