//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd || windows)

package line

import (
	"os"

	"golang.org/x/term"
)

// raw lets keys through as they are pressed.
func raw(in, _ *os.File) (restore func() error, err error) {
	fd := int(in.Fd())
	before, err := term.MakeRaw(fd)
	return func() error { return term.Restore(fd, before) }, err
}

// stop does nothing: there is no shell that could let the program go on.
func stop() {}
