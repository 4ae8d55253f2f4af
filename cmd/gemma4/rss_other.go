//go:build !unix

package main

import "runtime"

// peakRSS returns what Go has taken from the system: without mapped weights, which this system does not tell.
func peakRSS() int64 {
	var s runtime.MemStats
	runtime.ReadMemStats(&s)
	return int64(s.Sys)
}
