package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"io"
	"os"

	"github.com/gogemma/gemma4"
)

// writeRows makes a file of the rows that write writes. Where that fails there is none.
func writeRows(path string, write func(io.Writer) error) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	if err := cmp.Or(write(w), w.Flush(), f.Close()); err != nil {
		f.Close()
		if info, failed := os.Lstat(path); failed == nil && info.Mode().IsRegular() {
			os.Remove(path)
		}
		return err
	}
	return nil
}

// project writes what the projector makes of an input: float32, little endian.
func project(ctx context.Context, w io.Writer, in gemma4.Input) error {
	rows, err := in.Later.Make(ctx)
	if err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, rows)
}
