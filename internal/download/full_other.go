//go:build !windows && !plan9

package download

import (
	"errors"
	"syscall"
)

// full reports whether an error says that there is no room on a disk.
func full(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
