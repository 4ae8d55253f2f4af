package gguf

import (
	"bytes"
	"errors"
	"os"
	"unsafe"

	"github.com/gogemma/gemma4/internal/mmap"
	"golang.org/x/sys/unix"
)

// checkHuge tells whether the system gives huge pages to those who ask.
func checkHuge() error {
	switch text, err := os.ReadFile("/sys/kernel/mm/transparent_hugepage/enabled"); {
	case errors.Is(err, os.ErrNotExist):
		return errors.New("this kernel has none")
	case err != nil:
		return err
	case bytes.Contains(text, []byte("[never]")):
		return errors.New("they are switched off: /sys/kernel/mm/transparent_hugepage/enabled says never")
	}
	return nil
}

// moveToHuge replaces mapped pages of a file by a copy on huge pages at the same address. Who reads them meanwhile sees the same
// bytes. data begins at a multiple of a huge page from the start of its map.
func moveToHuge(data []byte) error {
	block, err := mmap.Aligned(-1, len(data), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	free := true
	defer func() { // also when a copy faults
		if free {
			mmap.Unmap(block)
		}
	}()
	if err := unix.Madvise(block, unix.MADV_HUGEPAGE); err != nil {
		return os.NewSyscallError("madvise", err)
	}
	copy(block, data)
	if err := unix.Mprotect(block, unix.PROT_READ); err != nil {
		return os.NewSyscallError("mprotect", err)
	}
	unix.Madvise(data, unix.MADV_PAGEOUT) // nobody needs the file's pages twice; where that is not possible they go when memory is short
	size := uintptr(mmap.Pages(len(data)))
	_, err = unix.MremapPtr(unsafe.Pointer(&block[0]), size, unsafe.Pointer(&data[0]), size, unix.MREMAP_FIXED|unix.MREMAP_MAYMOVE)
	if err != nil {
		return os.NewSyscallError("mremap", err)
	}
	free = false
	return nil
}
