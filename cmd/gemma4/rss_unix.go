//go:build unix

package main

import (
	"runtime"
	"syscall"
)

// peakRSS returns the most memory that the process has held, mapped weights included.
func peakRSS() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	if runtime.GOOS == "darwin" || runtime.GOOS == "ios" {
		return int64(u.Maxrss) // in bytes
	}
	return int64(u.Maxrss) * 1024
}
