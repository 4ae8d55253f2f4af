//go:build linux || darwin || freebsd

package machine

import (
	"math"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Disk returns how many bytes this process can still write to the disk where path is, or will be, and a name by which two paths on the
// same disk are known. ok is false where the system does not tell.
func Disk(path string) (free int64, name string, ok bool) {
	path = existing(path)
	var fs unix.Statfs_t
	var file unix.Stat_t
	if unix.Statfs(path, &fs) != nil || unix.Stat(path, &file) != nil {
		return 0, "", false
	}
	// The fields have other types on other systems. What is reserved for root can make the blocks left for others fewer than none.
	blocks, size := float64(fs.Bavail), float64(fs.Bsize)
	return int64(min(max(blocks*size, 0), math.MaxInt64/2)), strconv.FormatUint(uint64(file.Dev), 16), true
}

// existing returns path, or the first folder above it that is there.
func existing(path string) string {
	for {
		above := filepath.Dir(path)
		if _, err := os.Stat(path); err == nil || above == path {
			return path
		}
		path = above
	}
}
