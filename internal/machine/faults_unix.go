//go:build unix

package machine

import "syscall"

// MajorFaults returns how often the process has waited for a page of a mapped file to be read, 0 if the system does not tell.
func MajorFaults() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return int64(u.Majflt)
}
