package mmap

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a huge page, to which maps are aligned.
const hugePage = 2 << 20

// Map maps the first size bytes of the file for reading.
func Map(f *os.File, size int64) ([]byte, error) {
	return Aligned(int(f.Fd()), int(size), unix.PROT_READ, unix.MAP_SHARED)
}

// Aligned maps size bytes at an address where huge pages may lie; fd is −1 for memory without a file.
func Aligned(fd, size, prot, flags int) ([]byte, error) {
	length := uintptr(Pages(size))
	area, err := unix.MmapPtr(-1, 0, nil, length+hugePage, unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	before := -uintptr(area) % hugePage
	begin := unsafe.Add(area, before)
	if before > 0 {
		unix.MunmapPtr(area, before)
	}
	if after := hugePage - before; after > 0 {
		unix.MunmapPtr(unsafe.Add(begin, length), after)
	}
	if _, err := unix.MmapPtr(fd, 0, begin, length, prot, flags|unix.MAP_FIXED); err != nil {
		unix.MunmapPtr(begin, length)
		return nil, os.NewSyscallError("mmap", err)
	}
	return unsafe.Slice((*byte)(begin), size), nil
}

// Unmap ends a map.
func Unmap(data []byte) error {
	return os.NewSyscallError("munmap", unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(data)), uintptr(Pages(len(data)))))
}

// Pages rounds up to whole pages.
func Pages(size int) int {
	page := os.Getpagesize()
	return (size + page - 1) &^ (page - 1)
}
