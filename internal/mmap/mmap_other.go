//go:build !unix && !windows

package mmap

import (
	"errors"
	"os"
)

// Map fails: this system has no maps.
func Map(*os.File, int64) ([]byte, error) { return nil, errors.ErrUnsupported }

// Unmap does nothing.
func Unmap([]byte) error { return nil }
