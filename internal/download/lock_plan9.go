package download

import (
	"io/fs"
	"os"
	"strings"
)

// lock opens the file at path, which it makes if need be, for the caller alone until that calls release, or its process ends. If somebody
// else has it, the error is ErrBusy.
func lock(path string) (f *os.File, release func(), err error) {
	f, err = os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666|fs.ModeExclusive)
	if err != nil && (strings.Contains(err.Error(), "exclusive") || strings.Contains(err.Error(), "locked")) { // as file servers put it
		return nil, nil, ErrBusy
	}
	return f, func() { f.Close() }, err
}
