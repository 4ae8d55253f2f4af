//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package download

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock opens the file at path, which it makes if need be, for the caller alone until that calls release, or its process ends. If somebody
// else has it, the error is ErrBusy.
func lock(path string) (f *os.File, release func(), err error) {
	for {
		f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
		if err != nil {
			return nil, nil, err
		}
		err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			mine, err := f.Stat()
			if there, e := os.Stat(path); err == nil && e == nil && os.SameFile(mine, there) {
				return f, func() { f.Close() }, nil
			}
			f.Close() // whoever had it has finished, and has removed it, since it was opened
			continue
		}
		f.Close()
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return nil, nil, ErrBusy
		case errors.Is(err, unix.ENOLCK), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.EOPNOTSUPP):
			return lockByFile(path) // some disks of networks
		default:
			return nil, nil, &os.PathError{Op: "lock", Path: path, Err: err}
		}
	}
}
