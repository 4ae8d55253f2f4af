//go:build unix

package kerneltest

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Pages returns whole pages with room for n bytes, between two that may not be touched.
func Pages(t *testing.T, n int) []byte {
	page := unix.Getpagesize()
	room := (n + page - 1) / page * page
	m, err := unix.Mmap(-1, 0, room+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(m) })
	for _, p := range [][]byte{m[:page], m[page+room:]} {
		if err := unix.Mprotect(p, unix.PROT_NONE); err != nil {
			t.Fatal(err)
		}
	}
	return m[page : page+room]
}
