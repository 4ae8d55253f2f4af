//go:build !unix

package machine

// MajorFaults returns 0: not known.
func MajorFaults() int64 { return 0 }
