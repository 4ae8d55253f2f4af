//go:build unix

package main

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// abandoned removes the socket of a server that was killed, at which nobody listens any more.
func abandoned(ctx context.Context, path string) error {
	if info, err := os.Lstat(path); err != nil || info.Mode().Type() != os.ModeSocket {
		return nil // that will be seen
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err == nil {
		return conn.Close()
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(path)
	}
	return nil
}
