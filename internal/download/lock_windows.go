package download

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// lock opens the file at path, which it makes if need be, for the caller alone until that calls release, or its process ends. If somebody
// else has it, the error is ErrBusy.
func lock(path string) (f *os.File, release func(), err error) {
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, nil, err
	}
	// A byte far behind the end: what is locked cannot be read by others, who want to see how much there is.
	at := &windows.Overlapped{OffsetHigh: 1 << 30}
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	if err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, at); err != nil {
		f.Close()
		if errors.Is(err, windows.ERROR_LOCK_VIOLATION) || errors.Is(err, windows.ERROR_IO_PENDING) {
			return nil, nil, ErrBusy
		}
		return nil, nil, &os.PathError{Op: "lock", Path: path, Err: err}
	}
	return f, func() { f.Close() }, nil
}
