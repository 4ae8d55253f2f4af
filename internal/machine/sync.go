package machine

import (
	"errors"
	"os"
	"runtime"
	"syscall"
)

// Sync puts a file onto the disk, where the system does that.
func Sync(f *os.File) error {
	if err := f.Sync(); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}

// SyncFolder makes new names in a folder survive a power cut, where the system lets folders be synced.
func SyncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil // not ours to read
	}
	defer f.Close()
	return Sync(f)
}
