package download

import (
	"errors"
	"fmt"
	"net/http"
)

// ErrBusy means that somebody else is fetching the same file right now.
var ErrBusy = errors.New("somebody else is fetching it right now")

// ErrNoSpace means that the disk is too small for what is to be fetched, or has become full. What has come stays.
var ErrNoSpace = errors.New("the disk is too small")

// A StatusError is an answer without the file.
type StatusError struct {
	URL    string // without its query, which may be secret
	Status int
	Said   string      // the first line of what the server said, if that was text: printable, 200 characters at most
	Header http.Header // of the answer
}

func (e *StatusError) Error() string {
	text := fmt.Sprintf("%s answers with status %d", e.URL, e.Status)
	if name := http.StatusText(e.Status); name != "" {
		text += " (" + name + ")"
	}
	if e.Said != "" {
		text += ": " + e.Said
	}
	return text
}

// A HashError means that a file is complete and not what was asked for. It has been discarded.
type HashError struct {
	Path      string
	Kind      string // "SHA-256", "git's SHA-1"
	Got, Want string // in hexadecimal digits
}

func (e *HashError) Error() string {
	return fmt.Sprintf("%s would have the %s %s, expected %s; what had come is discarded", e.Path, e.Kind, e.Got, e.Want)
}

// A wrongAnswer is one that contradicts what was asked for.
type wrongAnswer struct{ err error }

func (e *wrongAnswer) Error() string { return e.err.Error() }
func (e *wrongAnswer) Unwrap() error { return e.err }

func wrong(format string, args ...any) error { return &wrongAnswer{fmt.Errorf(format, args...)} }

// An anew error means that what has come cannot be gone on with.
type anew struct {
	why   string
	plain bool // and that nothing can be: the server gives only whole files
}

func (e *anew) Error() string { return e.why }

// A final error is not to be tried again.
type final struct{ err error }

func (e *final) Error() string { return e.err.Error() }
func (e *final) Unwrap() error { return e.err }
