//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows || plan9)

package download

import "os"

// lock opens the file at path, which it makes if need be, for the caller alone until that calls release. If somebody else has it, the error
// is ErrBusy.
func lock(path string) (f *os.File, release func(), err error) { return lockByFile(path) }
