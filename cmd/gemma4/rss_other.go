//go:build !unix

package main

import (
	"runtime"
	"time"
)

// busy returns 0: this system does not tell how long the process has run.
func busy() time.Duration { return 0 }

// peakRSS returns what Go has taken from the system: without mapped weights, which this system does not tell.
func peakRSS() int64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.Sys)
}
