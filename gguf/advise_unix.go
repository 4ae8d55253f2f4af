//go:build unix

package gguf

import (
	"os"

	"golang.org/x/sys/unix"
)

// advise gives advice for the pages that hold data[from:to] of a map.
func advise(data []byte, from, to int, a Access) error {
	advice := map[Access]int{
		Normal: unix.MADV_NORMAL, Sequential: unix.MADV_SEQUENTIAL, Random: unix.MADV_RANDOM, WillNeed: unix.MADV_WILLNEED,
	}
	code, ok := advice[a]
	if !ok {
		return os.ErrInvalid
	}
	return unix.Madvise(data[from&^(os.Getpagesize()-1):to], code)
}
