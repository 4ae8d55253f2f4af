//go:build !linux && !darwin && !freebsd && !windows

package machine

// Disk returns false: not known.
func Disk(path string) (free int64, name string, ok bool) { return 0, "", false }
