package model

import (
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"sync/atomic"
	"unsafe"

	"github.com/gogemma/gemma4/internal/mmap"
)

// mapping is a file whose bytes pages lie in. The last holder unmaps it, or the garbage collector when nobody has released it.
type mapping struct {
	holders atomic.Int32
	path    string // it was opened at, if it has one
	data    []byte
	mapped  bool
	cleanup runtime.Cleanup
}

// newMapping returns bytes that lie in memory as a file that the caller holds.
func newMapping(data []byte) *mapping {
	f := &mapping{data: data}
	f.holders.Store(1)
	return f
}

// openMapping maps a file or, where that is not possible, reads it. On Windows a mapped file could not be replaced, not even by whoever has
// mapped it. The FileInfo is from before the bytes were looked at.
func openMapping(path string) (*mapping, os.FileInfo, error) {
	info, err := os.Stat(path) // before opening: opening a pipe would wait for its writer
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s: is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	if info, err = file.Stat(); err != nil {
		return nil, nil, err
	}
	size := info.Size()
	if size > math.MaxInt/2 {
		return nil, nil, fmt.Errorf("%s: %d bytes are more than this machine can address", path, size)
	}
	if runtime.GOOS != "windows" && size > 0 {
		if data, err := mmap.Map(file, size); err == nil {
			f := newMapping(data)
			f.path, f.mapped = path, true
			f.cleanup = runtime.AddCleanup(f, func(data []byte) { mmap.Unmap(data) }, data)
			return f, info, nil
		}
	}
	f := newMapping(make([]byte, size))
	f.path = path
	if _, err := io.ReadFull(file, f.data); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	return f, info, nil
}

// contains reports whether an address lies among the bytes.
func (f *mapping) contains(addr uintptr) bool {
	return addr-uintptr(unsafe.Pointer(unsafe.SliceData(f.data))) < uintptr(len(f.data))
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
