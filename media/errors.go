package media

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
)

// ErrTooLarge is what [errors.Is] finds in the error of a picture, a frame or a video above a limit of [Options].
var ErrTooLarge = errors.New("too large")

// Unsupported is the error of a file whose format is known, but not decoded here.
type Unsupported struct {
	// Name is the file's, as the caller gave it.
	Name string
	// Format says what it is, as "HEIC" or "H.264 video".
	Format string
	// Command makes a file of it that can be read, and Result says what; empty where no single command does.
	Command, Result string
}

// Error names the format and the command.
func (e *Unsupported) Error() string {
	text := prefix(e.Name) + e.Format + " is not decoded here"
	if e.Command != "" {
		text += "; " + e.Command + " makes " + e.Result + " of it"
	} else if e.Result != "" {
		text += "; " + e.Result
	}
	return text
}

// prefix is how an error about that file begins.
func prefix(name string) string {
	if name == "" {
		return "media: "
	}
	return "media: " + name + ": "
}

// failed is an error about that file.
func failed(name, format string, args ...any) error {
	return fmt.Errorf(prefix(strings.ReplaceAll(name, "%", "%%"))+format, args...)
}

// tooLarge is the error of w×h pixels where o allows fewer, and nil where it does not; w and h must be positive.
func tooLarge(name string, w, h int, o Options) error {
	if w <= 0 || h <= 0 {
		return failed(name, "a picture of %d×%d pixels", w, h)
	}
	if w > o.pixels()/h {
		return failed(name, "%d×%d pixels are %w: the limit is %d", w, h, ErrTooLarge, o.pixels())
	}
	return nil
}

// becomes is what a conversion calls its result: name with another extension, in quotes where a shell needs them.
func becomes(name, extension string) (from, to string) {
	if name == "" || name == "-" {
		name = "FILE"
	}
	to = strings.TrimSuffix(name, filepath.Ext(name)) + extension
	if to == name { // a file with the wrong extension
		to = strings.TrimSuffix(name, extension) + "-converted" + extension
	}
	return quote(name), quote(to)
}

// quote makes a word of a shell out of a file's name.
func quote(name string) string {
	if strings.HasPrefix(name, "-") {
		name = "./" + name
	}
	for _, r := range name {
		plain := r == '/' || r == '.' || r == '-' || r == '_' || '0' <= r && r <= '9' || 'A' <= r && r <= 'Z' || 'a' <= r && r <= 'z'
		if !plain {
			return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
		}
	}
	return name
}
