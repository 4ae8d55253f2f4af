package gguf

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"strings"
)

// A Source is a tensor to be written.
type Source struct {
	Name string // at most 65535 bytes, unique in the file
	Type Type   // of the bytes that Write writes
	Dims []int  // fastest first, as in [Tensor]
	// Size is the number of bytes. 0 stands for what type and dimensions take; only Q2_0 and types that this package does not know leave a
	// choice. Of the latter a reader takes the padding behind it for a part of it.
	Size int64
	// Write writes the tensor's bytes, exactly so many, in pieces of any size.
	Write func(w io.Writer) error
}

// NewSource returns a source whose bytes are in memory.
func NewSource(name string, t Type, dims []int, data []byte) Source {
	return Source{Name: name, Type: t, Dims: dims, Size: int64(len(data)), Write: func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}}
}

// Write writes a GGUF file of version 3 to w in one pass: the metadata (which may be nil) in its order, then the
// tensors in theirs, each aligned to general.alignment, 32 where the metadata does not say. Keys split.* that describe
// the parts of a split file are left out. What a reader would refuse is an error before anything is written, and so is,
// at its tensor, a source that writes more or fewer bytes than its shape takes.
func Write(w io.Writer, m *Metadata, tensors []Source) error {
	return write(w, target("", m), tensors)
}

// Size returns how many bytes [Write] writes; what it would refuse is an error. The functions of the sources are not called.
func Size(m *Metadata, tensors []Source) (int64, error) {
	p := target("", m)
	table, err := plan(p, tensors)
	if err != nil {
		return 0, err
	}
	align, err := alignment(p.metadata)
	if err != nil {
		return 0, err
	}
	size := roundUp(int64(len(appendHead(nil, p.metadata, table))), align)
	if n := len(table); n > 0 {
		size += roundUp(table[n-1].Offset+table[n-1].Size, align)
	}
	return size, nil
}

// WriteFile writes a GGUF file as [Write] does. It appears at path when it is complete and on the disk; until then it grows beside it
// under the name path + ".part". Of two that write to one path at once the later one wins: the other fails.
func WriteFile(path string, m *Metadata, tensors []Source) error {
	return writeFile(target(path, m), tensors)
}

// WriteSplit writes a split file of so many parts and returns their paths: NAME-00001-of-00003.gguf and so on for a
// path of NAME.gguf. The tensors are dealt out in their order, so that the parts' sizes are about equal and none is
// empty. The first part has all metadata. The parts appear when all of them are on the disk. After an error none of them is
// left, and what was there before stays, unless a part cannot be renamed.
func WriteSplit(path string, parts int, m *Metadata, tensors []Source) (paths []string, err error) {
	if most := min(max(1, len(tensors)), math.MaxUint16); parts < 1 || parts > most {
		return nil, fmt.Errorf("gguf: %d parts, expected 1 to %d with %d tensors", parts, most, len(tensors))
	}
	whole := target(path, m)
	table, err := plan(whole, tensors)
	if err != nil {
		return nil, err
	}
	var all []*written
	defer func() {
		if err != nil {
			for _, path := range paths {
				os.Remove(path)
			}
			for _, w := range all[len(paths):] {
				w.remove()
			}
			paths = nil
		}
	}()
	var total, done int64
	for _, t := range table {
		total += t.Size
	}
	first := 0 // tensor of the part
	for no := range parts {
		p := &part{name: partName(strings.TrimSuffix(path, ".gguf"), no, parts), metadata: new(Metadata)}
		if no == 0 {
			p.metadata = whole.metadata.Clone()
		} else if a, ok := whole.metadata.values[alignmentKey]; ok {
			p.metadata.set(alignmentKey, a)
		}
		err := errors.Join(p.metadata.Set(splitNo, uint16(no)), p.metadata.Set(splitCount, uint16(parts)),
			p.metadata.Set(splitTensors, int32(len(tensors))))
		if err != nil {
			return paths, err
		}
		// At least one tensor here, and one for each part to come.
		end := first
		share := total / int64(parts) * int64(no+1) // of this part and those before it
		for end < len(tensors)-(parts-1-no) && (end == first || no == parts-1 || done+table[end].Size/2 <= share) {
			done += table[end].Size
			end++
		}
		w, err := writeBeside(p, tensors[first:end])
		if err != nil {
			return paths, err
		}
		all = append(all, w)
		first = end
	}
	for _, w := range all {
		if err := w.rename(); err != nil {
			return paths, err
		}
		paths = append(paths, w.p.name)
	}
	return paths, nil
}

// target returns the file to be written, without what said that m was a split file's.
func target(path string, m *Metadata) *part {
	p := &part{name: path, metadata: new(Metadata)}
	if m != nil {
		p.metadata = m.Clone()
	}
	p.metadata.file = path
	for _, key := range []string{splitNo, splitCount, splitTensors} {
		p.metadata.Delete(key)
	}
	return p
}

func writeFile(p *part, tensors []Source) error {
	w, err := writeBeside(p, tensors)
	if err != nil {
		return err
	}
	return w.rename()
}

// written is a file that is complete and on the disk, beside the path where it is to appear.
type written struct {
	p   *part
	own fs.FileInfo
}

func (w *written) path() string { return w.p.name + ".part" }

// writeBeside writes a file, or leaves nothing.
func writeBeside(p *part, tensors []Source) (*written, error) {
	w := &written{p: p}
	// What lies there was left by a run that was killed, or belongs to one that goes on writing a file that no longer has a name.
	if err := os.Remove(w.path()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	f, err := os.OpenFile(w.path(), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return nil, fmt.Errorf("gguf: %w", err)
	}
	w.own, err = f.Stat()
	if err == nil {
		err = write(f, p, tensors)
	}
	if err == nil {
		if e := f.Sync(); e != nil { // or the name could reach the disk before the bytes
			err = p.errorf("%w", e)
		}
	}
	if e := f.Close(); err == nil && e != nil {
		err = p.errorf("%w", e)
	}
	if err != nil {
		w.remove()
		return nil, err
	}
	return w, nil
}

// there reports whether the file is still there.
func (w *written) there() bool {
	now, err := os.Lstat(w.path())
	return err == nil && w.own != nil && os.SameFile(w.own, now)
}

// remove removes the file, unless somebody else's lies there.
func (w *written) remove() {
	if w.there() {
		os.Remove(w.path())
	}
}

// rename has the file appear, or removes it.
func (w *written) rename() error {
	if !w.there() {
		return w.p.errorf("%s is another file than the one written: somebody else writes to this path", w.path())
	}
	if err := os.Rename(w.path(), w.p.name); err != nil {
		os.Remove(w.path())
		return fmt.Errorf("gguf: %w", err)
	}
	return nil
}

func write(w io.Writer, p *part, tensors []Source) error {
	table, err := plan(p, tensors)
	if err != nil {
		return err
	}
	align, err := alignment(p.metadata)
	if err != nil {
		return err
	}
	head := appendHead(nil, p.metadata, table)
	if len(head) > maxHead {
		return p.errorf("%d bytes of metadata and tensor table, expected at most %d", len(head), maxHead)
	}
	out := bufio.NewWriterSize(w, windowSize)
	if _, err = out.Write(head); err == nil {
		err = pad(out, int64(len(head)), align)
	}
	if err != nil {
		return p.errorf("%w", err)
	}
	for i, t := range table {
		exact := &exactWriter{w: out, left: t.Size}
		err := tensors[i].Write(exact)
		if err == nil && exact.left > 0 {
			err = fmt.Errorf("source wrote %d bytes, expected %d", t.Size-exact.left, t.Size)
		}
		if err == nil {
			err = pad(out, t.Size, align)
		}
		if err != nil {
			return t.wrap(err)
		}
	}
	if err := out.Flush(); err != nil {
		return p.errorf("%w", err)
	}
	return nil
}

// plan checks the tensors as a reader would and gives them their places. Offsets count from the data.
func plan(p *part, tensors []Source) ([]*Tensor, error) {
	if n := p.metadata.Len(); n > maxKeys {
		return nil, p.errorf("%d metadata keys, expected at most %d", n, maxKeys)
	}
	if len(tensors) > maxTensors {
		return nil, p.errorf("%d tensors, expected at most %d", len(tensors), maxTensors)
	}
	align, err := alignment(p.metadata)
	if err != nil {
		return nil, err
	}
	var table []*Tensor
	names := make(map[string]bool)
	next := int64(0)
	for _, s := range tensors {
		t := &Tensor{Name: s.Name, Type: s.Type, Offset: next, part: p}
		if err := checkName(s.Name); err != nil {
			return nil, t.wrap(err)
		}
		if names[s.Name] {
			return nil, t.wrap(errors.New("appears twice"))
		}
		names[s.Name] = true
		if s.Write == nil {
			return nil, t.wrap(errors.New("no function that writes it"))
		}
		var dims []uint64
		for _, d := range s.Dims {
			dims = append(dims, uint64(max(d, 0)))
		}
		if t.Dims, t.Size, err = layout(s.Type, dims); err != nil {
			return nil, t.wrap(err)
		}
		if err := t.resize(s.Size, align); err != nil {
			return nil, t.wrap(err)
		}
		if next = roundUp(next+t.Size, align); next > maxSize {
			return nil, t.wrap(errors.New("the file gets larger than a file can be"))
		}
		table = append(table, t)
	}
	return table, nil
}

// resize gives the tensor the size that a source asks for, as a reader will find it.
func (t *Tensor) resize(size, align int64) error {
	if values, _ := t.Type.Block(); values == 0 {
		if size <= 0 || size > maxSize {
			return fmt.Errorf("%s of %d bytes, expected a type that this package knows, such as F16 or Q4_K, or its size", t.Type, size)
		}
		t.Size = size
		return nil
	}
	standard := t.Size
	if size == 0 || size == standard {
		return nil
	}
	if t.settle(size, align); t.Size != size {
		return fmt.Errorf("%d bytes, but %s with dimensions %d takes %d", size, t.Type, t.Dims, standard)
	}
	return nil
}

// appendHead appends everything before the data.
func appendHead(b []byte, m *Metadata, table []*Tensor) []byte {
	b = binary.LittleEndian.AppendUint32(append(b, magic...), 3)
	b = binary.LittleEndian.AppendUint64(b, uint64(len(table)))
	b = binary.LittleEndian.AppendUint64(b, uint64(m.Len()))
	for _, key := range m.keys {
		b = m.values[key].append(appendString(b, key))
	}
	for _, t := range table {
		b = t.append(b)
	}
	return b
}

// append appends the tensor's entry in the table.
func (t *Tensor) append(b []byte) []byte {
	b = appendString(b, t.Name)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(t.Dims)))
	for _, d := range t.Dims {
		b = binary.LittleEndian.AppendUint64(b, uint64(d))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(t.Type))
	return binary.LittleEndian.AppendUint64(b, uint64(t.Offset))
}

// pad writes zeros from byte n to the next such multiple.
func pad(w io.Writer, n, multiple int64) error {
	_, err := w.Write(make([]byte, roundUp(n, multiple)-n))
	return err
}

// An exactWriter refuses more than left bytes.
type exactWriter struct {
	w    io.Writer
	left int64
}

func (e *exactWriter) Write(p []byte) (int, error) {
	if int64(len(p)) > e.left {
		return 0, fmt.Errorf("source writes %d bytes too many", int64(len(p))-e.left)
	}
	e.left -= int64(len(p))
	return e.w.Write(p)
}
