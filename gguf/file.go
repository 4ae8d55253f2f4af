package gguf

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"unsafe"

	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/internal/mmap"
)

// A File is an open GGUF file, or all parts of a split one. Reading it from several goroutines is safe.
type File struct {
	// Version is the format's version, 2 or 3. They differ in nothing that a reader of little-endian files sees.
	Version uint32
	// Metadata is that of the first part, which holds all of a split file's but the split.* keys.
	Metadata *Metadata
	// Tensors is the table in the order of the file, part after part.
	Tensors []*Tensor

	index  map[string]*Tensor
	parts  []*part
	room   int64        // bytes of address space that further maps may take
	mu     sync.RWMutex // held for reading while a part is read
	closed bool
}

// A Part is one part of a file for [OpenReaderAt].
type Part struct {
	Name string // for errors
	io.ReaderAt
	Size int64 // bytes
}

// part is a file's bytes: in memory (data), or read through r.
type part struct {
	name  string
	size  int64
	data  []byte
	r     *io.SectionReader // nil where the bytes are in memory
	unmap func() error      // nil where there is nothing to unmap
	close func() error      // nil where there is nothing to close

	version  uint32
	metadata *Metadata
	tensors  []*Tensor
}

// Open opens the file at path. If it is one part of a split file, NAME-00002-of-00003.gguf, the others are opened with
// it: they are expected beside it. The file is mapped where that is possible and must not be changed while it is open;
// replacing it by another through a rename is fine (Windows refuses that).
func Open(path string) (*File, error) { return open(path, machine.Addressable()) }

// OpenUnmapped is Open for who goes through a file once, front to back: it is read where it is not mapped, so that its pages are never
// counted as memory of the program.
func OpenUnmapped(path string) (*File, error) { return open(path, 0) }

func open(path string, room int64) (*File, error) {
	f := &File{room: room}
	err := f.addPath(path)
	if err == nil {
		err = f.addSiblings()
	}
	return f.finish(err)
}

// OpenParts opens a split file whose parts are given in any order and under any name.
func OpenParts(paths ...string) (*File, error) {
	f := &File{room: machine.Addressable()}
	for _, path := range paths {
		if err := f.addPath(path); err != nil {
			return f.finish(err)
		}
	}
	return f.finish(nil)
}

// OpenBytes opens a file that lies in memory, such as an embedded one, or the parts of a split file in any order. The
// bytes must not be changed while it is open.
func OpenBytes(parts ...[]byte) (*File, error) {
	f := new(File)
	for i, data := range parts {
		p := &part{name: "bytes", size: int64(len(data)), data: data}
		if len(parts) > 1 {
			p.name = fmt.Sprintf("bytes %d", i)
		}
		if err := f.add(p); err != nil {
			return f.finish(err)
		}
	}
	return f.finish(nil)
}

// OpenReaderAt opens a file that is read piece by piece, or the parts of a split file in any order. Each part's ReadAt
// must allow calls from several goroutines, as [io.ReaderAt] demands. Close does not close them.
func OpenReaderAt(parts ...Part) (*File, error) {
	f := new(File)
	for _, in := range parts {
		p := &part{name: in.Name, size: in.Size}
		if in.ReaderAt == nil || in.Size < 0 {
			return f.finish(p.errorf("no reader, or a size of %d bytes", in.Size))
		}
		p.r = io.NewSectionReader(in.ReaderAt, 0, in.Size)
		if err := f.add(p); err != nil {
			return f.finish(err)
		}
	}
	return f.finish(nil)
}

// Tensor returns the tensor of that name, nil if the file has none.
func (f *File) Tensor(name string) *Tensor { return f.index[name] }

// Locate returns err with the names of file and tensor if it wraps an error that tells, by a method Addr, of a fault in the memory that
// the file is mapped to, and else err itself.
func (f *File) Locate(err error) error {
	var fault interface {
		error
		Addr() uintptr
	}
	if !errors.As(err, &fault) {
		return err
	}
	f.mu.RLock()
	defer f.mu.RUnlock()
	for i, p := range f.parts {
		at := fault.Addr() - uintptr(unsafe.Pointer(unsafe.SliceData(p.data)))
		if at >= uintptr(len(p.data)) {
			continue
		}
		for _, t := range f.Tensors {
			if t.Part == i && int64(at) >= t.Offset && int64(at) < t.Offset+t.Size {
				return t.wrap(err)
			}
		}
		return p.errorf("%w", err)
	}
	return err
}

// Size returns the bytes of all parts.
func (f *File) Size() int64 {
	var n int64
	for _, p := range f.parts {
		n += p.size
	}
	return n
}

// Close gives back what the file holds. It waits for running calls of this package; what Data returned is invalid
// afterwards. A second call does nothing.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	var errs []error
	for _, p := range f.parts {
		for _, free := range []func() error{p.unmap, p.close} {
			if free != nil {
				if err := free(); err != nil {
					errs = append(errs, p.errorf("close: %w", err))
				}
			}
		}
		p.data = nil
	}
	return errors.Join(errs...)
}

// addPath opens the file at path and reads its head.
func (f *File) addPath(path string) error {
	p, err := openPart(path, f.room)
	if err != nil {
		return fmt.Errorf("gguf: %w", err)
	}
	if p.r == nil {
		f.room -= p.size
	}
	return f.add(p)
}

// add takes the part over and reads its head.
func (f *File) add(p *part) error {
	f.parts = append(f.parts, p)
	// Hostile parts must not take more together than one file may.
	keys, tensors := maxKeys, maxTensors
	for _, p := range f.parts[:len(f.parts)-1] {
		keys -= p.metadata.Len()
		tensors -= len(p.tensors)
	}
	var err error
	if fault := mmap.Guard(func() error { err = p.readHead(keys, tensors); return nil }); fault != nil {
		return p.errorf("%w", fault)
	}
	return err
}

// finish joins the parts, or closes them after an error.
func (f *File) finish(err error) (*File, error) {
	if err == nil {
		err = f.join()
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// openPart maps the file if it takes at most so many bytes of address space, or opens it for reading.
func openPart(path string, room int64) (*part, error) {
	// Asked before opening: opening a pipe would wait for its writer.
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s: is a directory, expected a GGUF file", path)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: is not a regular file (%s), expected a GGUF file", path, info.Mode().Type())
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if info, err = file.Stat(); err != nil {
		file.Close()
		return nil, err
	}
	p := &part{name: path, size: info.Size()}
	if p.size > 0 && p.size <= room {
		if data, err := mmap.Map(file, p.size); err == nil {
			p.data = data
			p.unmap = func() error { return mmap.Unmap(data) }
			file.Close()
			return p, nil
		}
	}
	p.r = io.NewSectionReader(file, 0, p.size)
	p.close = file.Close
	return p, nil
}

// errorf returns an error that names the part.
func (p *part) errorf(format string, args ...any) error {
	return fmt.Errorf("%s%w", prefix(p.name), fmt.Errorf(format, args...))
}

// prefix begins an error's text; file is empty where there is none to name.
func prefix(file string) string {
	if file == "" {
		return "gguf: "
	}
	return "gguf: " + file + ": "
}
