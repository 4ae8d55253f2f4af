package main

import (
	"context"
	"encoding/binary"
	"io"

	"github.com/gogemma/gemma4"
)

// project writes what the projector makes of an input: float32, little endian.
func project(ctx context.Context, w io.Writer, in gemma4.Input) error {
	rows, err := in.Later.Make(ctx)
	if err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, rows)
}
