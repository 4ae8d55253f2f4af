package gemma4

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// replaceFile puts a file at path in one step, when all of it is on the disk. Until then it grows beside it, as PATH.NUMBER.part.
func replaceFile(path string, write func(io.Writer) error) error {
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target // a link stays one
	}
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return &os.PathError{Op: "replace", Path: path, Err: errors.New("is no regular file")}
	}
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	tidy(dir, name)
	f, err := os.CreateTemp(dir, name+".*.part")
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncFolder(dir)
}

// abandoned is the age at which a file that was to replace another is not being written any more.
const abandoned = 10 * time.Minute

// tidy removes what writers that were killed have left behind. Whatever fails here can be tried again next time.
func tidy(dir, name string) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), name+".")
		number, part := strings.CutSuffix(rest, ".part")
		if !ours || !part || number == "" || strings.Trim(number, "0123456789") != "" {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > abandoned {
			os.Remove(filepath.Join(dir, e.Name()))
		}
	}
}

// syncFolder makes new names in a folder survive a power cut, where the system lets folders be synced.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil // not ours to read
	}
	defer f.Close()
	if err := f.Sync(); !errors.Is(err, syscall.EINVAL) && !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	return nil
}
