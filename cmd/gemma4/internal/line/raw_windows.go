package line

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
	"golang.org/x/term"
)

// raw lets keys through as they are pressed, and has the console do what the output says, as terminals elsewhere do anyway.
func raw(in, out *os.File) (restore func() error, err error) {
	screen := windows.Handle(out.Fd())
	var mode uint32
	if err := windows.GetConsoleMode(screen, &mode); err != nil {
		return nil, err
	}
	if err := windows.SetConsoleMode(screen, mode|windows.ENABLE_VIRTUAL_TERMINAL_PROCESSING); err != nil {
		return nil, err
	}
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, errors.Join(err, windows.SetConsoleMode(screen, mode))
	}
	return func() error {
		return errors.Join(term.Restore(int(in.Fd()), before), windows.SetConsoleMode(screen, mode))
	}, nil
}

// stop does nothing: there is no shell that could let the program go on.
func stop() {}
