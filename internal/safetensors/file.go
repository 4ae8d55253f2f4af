package safetensors

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/gogemma/gemma4/internal/jsonstream"
)

// A File is an open file of tensors, or all files of an index. Reading it from several goroutines is safe.
type File struct {
	// Tensors are in the order in which they lie in their file, file after file.
	Tensors []*Tensor

	index  map[string]*Tensor
	closes []func() error
	mu     sync.RWMutex // held for reading while bytes are read
	closed bool
}

// A Tensor is an entry of the table of tensors. Its fields are not to be changed.
type Tensor struct {
	Name   string // unique, over all files of an index
	Type   Type
	Shape  []int  // the slowest dimension first; empty for a single number; a dimension may be 0
	Size   int64  // bytes
	Source string // the file that holds them

	file   *File
	r      io.ReaderAt
	offset int64 // in r
}

// Values returns the number of values.
func (t *Tensor) Values() int64 { return t.Size / int64(t.Type.Size()) }

// ReadAt reads bytes of the tensor beginning at byte off, as [io.ReaderAt] says.
func (t *Tensor) ReadAt(p []byte, off int64) (int, error) {
	t.file.mu.RLock()
	defer t.file.mu.RUnlock()
	if t.file.closed {
		return 0, t.wrap(fs.ErrClosed)
	}
	n, err := io.NewSectionReader(t.r, t.offset, t.Size).ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		err = t.wrap(err)
	} else if err != nil && off >= 0 && off+int64(n) < t.Size {
		err = t.wrap(fmt.Errorf("%w: the file has become shorter", io.ErrUnexpectedEOF))
	}
	return n, err
}

// wrap names file and tensor.
func (t *Tensor) wrap(err error) error {
	return fmt.Errorf("safetensors: %s: tensor %s: %w", t.Source, jsonstream.Show(t.Name), err)
}

// Open opens the file at path, or all files that an index names (a path that ends in .json).
func Open(path string) (*File, error) {
	f := new(File)
	if err := f.open(path); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// New opens a file of so many bytes that is read through r, by any number of goroutines. name is that for errors. Close does not close r.
func New(name string, r io.ReaderAt, size int64) (*File, error) {
	f := new(File)
	if err := f.add(name, r, size); err != nil {
		return nil, err
	}
	return f, nil
}

// Tensor returns the tensor of that name, nil if there is none.
func (f *File) Tensor(name string) *Tensor { return f.index[name] }

// Close gives back what the file holds. It waits for running reads. A second call does nothing.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return nil
	}
	f.closed = true
	var errs []error
	for _, c := range f.closes {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// addPath opens the file at path and reads its header.
func (f *File) addPath(path string) error {
	info, err := os.Stat(path) // before opening: opening a pipe would wait for its writer
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("safetensors: %s: is no regular file (%s)", path, info.Mode().Type())
	}
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	f.closes = append(f.closes, file.Close)
	if info, err = file.Stat(); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	return f.add(path, file, info.Size())
}

// add reads the header of one file and takes its tensors over.
func (f *File) add(name string, r io.ReaderAt, size int64) error {
	tensors, err := readHeader(r, size)
	if err != nil {
		return fmt.Errorf("safetensors: %s: %w", name, err)
	}
	if len(f.Tensors)+len(tensors) > maxTensors {
		return fmt.Errorf("safetensors: %s: more than %d tensors in all files", name, maxTensors)
	}
	if f.index == nil {
		f.index = make(map[string]*Tensor)
	}
	for _, t := range tensors {
		if other := f.index[t.Name]; other != nil {
			return fmt.Errorf("safetensors: %s: tensor %s: is in %s, too", name, jsonstream.Show(t.Name), other.Source)
		}
		t.Source, t.file, t.r = name, f, r
		f.index[t.Name] = t
		f.Tensors = append(f.Tensors, t)
	}
	return nil
}
