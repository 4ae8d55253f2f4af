package download

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// lockByFile is lock where there are no locks that end with their process: it is a file beside it, which whoever kills the process must
// remove.
func lockByFile(path string) (f *os.File, release func(), err error) {
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
