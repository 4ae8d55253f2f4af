//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows || plan9)

package download

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// lock opens the file at path, which it makes if need be, for the caller alone until that calls release. If somebody else has it, the error
// is ErrBusy. There are no locks here that end with their process, so it is a file beside it; whoever kills this process must remove that.
func lock(path string) (f *os.File, release func(), err error) {
	held := path + ".lock"
	own, err := os.OpenFile(held, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return nil, nil, fmt.Errorf("%w; if nobody is, remove %s", ErrBusy, held)
	} else if err != nil {
		return nil, nil, err
	}
	own.Close()
	if f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666); err != nil {
		os.Remove(held)
		return nil, nil, err
	}
	return f, func() {
		f.Close()
		os.Remove(held)
	}, nil
}
