package main

import (
	"context"
	"io"
)

// untilDone returns what r delivers until ctx ends: then what is there ends, although r may never.
func untilDone(ctx context.Context, r io.Reader) io.Reader {
	in, out := io.Pipe()
	go func() {
		_, err := io.Copy(out, r)
		out.CloseWithError(err)
	}()
	context.AfterFunc(ctx, func() { out.Close() })
	return in
}
