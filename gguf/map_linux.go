package gguf

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

const hugePage = 2 << 20

// mapFile maps the first size bytes of the file for reading.
func mapFile(f *os.File, size int64) ([]byte, error) {
	return alignedMap(int(f.Fd()), int(size), unix.PROT_READ, unix.MAP_SHARED)
}

// alignedMap maps size bytes at an address where huge pages may lie.
func alignedMap(fd, size, prot, flags int) ([]byte, error) {
	length := uintptr(pages(size))
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

func unmapFile(data []byte) error {
	return os.NewSyscallError("munmap", unix.MunmapPtr(unsafe.Pointer(unsafe.SliceData(data)), uintptr(pages(len(data)))))
}

// pages rounds up to whole pages.
func pages(size int) int {
	page := os.Getpagesize()
	return (size + page - 1) &^ (page - 1)
}
