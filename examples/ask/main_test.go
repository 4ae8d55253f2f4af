package main

import (
	"io"
	"os"
	"testing"
)

func TestAskAnswers(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Skip(err)
	}
	defer func(args []string, stdout *os.File) { os.Args, os.Stdout = args, stdout }(os.Args, os.Stdout)
	os.Args, os.Stdout = []string{"ask", "What is 2 + 3?"}, w
	main()
	w.Close()
	if out, err := io.ReadAll(r); string(out) != "2 + 3 = 5\n" {
		t.Errorf("%q, %v", out, err)
	}
}
