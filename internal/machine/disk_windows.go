package machine

import (
	"math"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// Disk returns how many bytes this process can still write to the disk where path is, or will be, and a name by which two paths on the
// same disk are known. ok is false where the system does not tell.
func Disk(path string) (free int64, name string, ok bool) {
	path, err := filepath.Abs(path)
	if err != nil {
		return 0, "", false
	}
	for {
		var left uint64
		p, err := windows.UTF16PtrFromString(path)
		if err != nil {
			return 0, "", false
		}
		if windows.GetDiskFreeSpaceEx(p, &left, nil, nil) == nil {
			return int64(min(left, math.MaxInt64/2)), strings.ToUpper(filepath.VolumeName(path)), true
		}
		above := filepath.Dir(path) // the folder need not be there yet
		if above == path {
			return 0, "", false
		}
		path = above
	}
}
