//go:build unix && !linux

package mmap

import (
	"os"

	"golang.org/x/sys/unix"
)

// Map maps the first size bytes of the file for reading.
func Map(f *os.File, size int64) ([]byte, error) {
	return unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
}

// Unmap ends a map.
func Unmap(data []byte) error { return unix.Munmap(data) }
