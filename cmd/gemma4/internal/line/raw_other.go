//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package line

import (
	"os"

	"golang.org/x/term"
)

// raw lets keys through as they are pressed.
func raw(f *os.File) (restore func() error, err error) {
	fd := int(f.Fd())
	before, err := term.MakeRaw(fd)
	return func() error { return term.Restore(fd, before) }, err
}

// stop does nothing: there is no shell that could let the program go on.
func stop() {}
