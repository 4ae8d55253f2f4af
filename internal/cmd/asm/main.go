// Command asm writes the assembly that is one line many times over, from the tables here. A test says when what lies in the folders of the
// kernels is not what it writes.
//
//	go generate ./internal/kernels
package main

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"text/template"
)

//go:embed *.tmpl
var templates embed.FS

// files are what is written, by their paths from the project's root. Headers that two packages include are written twice: the build cache
// does not see those of another package.
var files = []struct {
	path, template string
	data           any
}{
	{"kernels_arm64.h", "words_arm64.h.tmpl", words},
	{"internal/kernels/words_arm64.h", "words_arm64.h.tmpl", words},
	{"internal/kernels/rows_avx2_formats_amd64.h", "rows_avx2_formats_amd64.h.tmpl", rowFormats},
	{"internal/kernels/rows_avx512_formats_amd64.h", "rows_avx512_formats_amd64.h.tmpl", rowFormats},
	{"internal/kernels/rows_formats_amd64.go", "rows_formats_amd64.go.tmpl", rowFormats},
	{"internal/kernels/words_amd64.h", "words_amd64.h.tmpl", nil},
	{"internal/cmd/tiles/testdata/probe/words_amd64.h", "words_amd64.h.tmpl", nil},
}

func main() {
	for _, f := range files {
		text, err := write(f.template, f.data)
		if err == nil {
			err = os.WriteFile(f.path, text, 0o666)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "asm:", err)
			os.Exit(1)
		}
	}
}

func write(name string, data any) ([]byte, error) {
	t, err := template.New(name).ParseFS(templates, name)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = t.Execute(&b, data)
	return b.Bytes(), err
}
