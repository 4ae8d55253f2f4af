//go:build !linux

package machine

import (
	"runtime"

	"github.com/klauspost/cpuid/v2"
)

// cores counts physical cores, 0 if that is not known.
func cores() int {
	if t := cpuid.CPU.ThreadsPerCore; t > 1 {
		return (runtime.NumCPU() + t - 1) / t
	}
	return 0
}

// quota returns 0: not known.
func quota() float64 { return 0 }

// Available returns 0: not known.
func Available() int64 { return 0 }

// Memory returns the bytes of memory that the machine has for programs, 0 if that is not known, and no limit.
func Memory() (total, limit int64) { return installed(), 0 }

// DiskRead returns 0: not known.
func DiskRead() int64 { return 0 }
