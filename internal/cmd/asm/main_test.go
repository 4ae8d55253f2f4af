package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/gogemma/gemma4/internal/testdata"
)

func TestFilesAreCurrent(t *testing.T) {
	for _, f := range files {
		want, err := write(f.template, f.data)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(testdata.Root(t), f.path)); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not what go generate ./internal/kernels writes (%v)", f.path, err)
		}
	}
}
