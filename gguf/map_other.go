//go:build !unix && !windows

package gguf

import (
	"errors"
	"os"
)

func mapFile(*os.File, int64) ([]byte, error) { return nil, errors.ErrUnsupported }

func unmapFile([]byte) error { return nil }

func advise([]byte, int, int, Access) error { return nil }
