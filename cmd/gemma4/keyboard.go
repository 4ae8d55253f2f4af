package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
)

// keyboard returns where the Enter key is heard: standard input or, where sound comes from there, the terminal.
func (l *listening) keyboard() (io.Reader, error) {
	if l.NArg() == 0 {
		return l.In, nil
	}
	name := "/dev/tty"
	if runtime.GOOS == "windows" {
		name = "CONIN$"
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("-push needs a terminal whose Enter key it hears: %w", err)
	}
	return f, nil
}
