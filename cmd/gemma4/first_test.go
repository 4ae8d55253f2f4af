package main

import (
	"cmp"
	"errors"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/gguf"
)

var (
	firstModel      = flag.String("model", "", "the `FILE` of BenchmarkFirstToken's model; empty: the embedded one")
	firstVocabulary = flag.String("vocabulary", "", "a `FILE` whose vocabulary a copy of -model has; empty: its own")
	firstBefore     = flag.String("before", "", "another build of the command, in turn with this one; empty: none")
)

// BenchmarkFirstToken measures what somebody waits who types gemma4 run: from the start of the process to the first byte of its answer. It
// reports the median in ms, and with -before also that of the other build, run in turn with this one, and the ratio of both. Each has run
// once before that, so that what it reads of the file lies in memory.
//
// The vocabulary is a large part of it, and a synthetic one has few merges: -vocabulary is for such models, whose copy takes as much disk
// again. Paths are relative to this folder.
//
//	go run ./internal/cmd/synth e2b:q4_0 /tmp/e2b.gguf
//	go test ./cmd/gemma4 -run - -bench FirstToken -benchtime 9x -model /tmp/e2b.gguf -vocabulary FILE -before /tmp/old
func BenchmarkFirstToken(b *testing.B) {
	self, err := os.Executable() // which is gemma4 under that name
	if err != nil {
		b.Fatal(err)
	}
	model := *firstModel
	if *firstVocabulary != "" {
		model = withVocabulary(b, model, *firstVocabulary)
	}
	builds := []string{self}
	if *firstBefore != "" {
		builds = append(builds, *firstBefore)
	}
	took := make([][]float64, len(builds))
	for _, build := range builds {
		firstToken(b, build, model)
	}
	for b.Loop() {
		for i, build := range builds {
			took[i] = append(took[i], firstToken(b, build, model).Seconds()*1e3)
		}
	}
	b.ReportMetric(0, "ns/op") // of both builds, to their ends
	b.ReportMetric(median(took[0]), "ms")
	if len(took) > 1 {
		b.ReportMetric(median(took[1]), "ms-before")
		b.ReportMetric(median(took[0])/median(took[1]), "ratio")
	}
}

// firstToken returns what a build of the command takes from its start to the first byte of an answer.
func firstToken(b *testing.B, build, model string) time.Duration {
	b.Helper()
	c := exec.Cmd{Path: build, Args: []string{"gemma4", "run", "-temp", "0", "-n", "1"}, Env: os.Environ(), Stderr: new(strings.Builder)}
	if model != "" {
		c.Args = append(c.Args, "-m", model)
	}
	c.Args = append(c.Args, "What is the capital of France?")
	out, err := c.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := c.Start(); err != nil {
		b.Fatal(err)
	}
	_, err = io.ReadFull(out, make([]byte, 1))
	took := time.Since(began)
	io.Copy(io.Discard, out)
	if err := cmp.Or(c.Wait(), err); err != nil {
		b.Fatalf("%s: %v: %s", build, err, c.Stderr)
	}
	return took
}

// withVocabulary writes a copy of a model that has the vocabulary of another file, and returns its path.
func withVocabulary(b *testing.B, model, vocabulary string) string {
	b.Helper()
	m, err := gguf.Open(model)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Close()
	v, err := gguf.Open(vocabulary)
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	for _, key := range v.Metadata.Keys() {
		if value, ok := v.Metadata.Value(key); ok && strings.HasPrefix(key, "tokenizer.") {
			err = errors.Join(err, m.Metadata.Set(key, value))
		}
	}
	var tensors []gguf.Source
	for _, t := range m.Tensors {
		tensors = append(tensors, t.Source())
	}
	path := filepath.Join(b.TempDir(), "model.gguf")
	if err = errors.Join(err, gguf.WriteFile(path, m.Metadata, tensors)); err != nil {
		b.Fatal(err)
	}
	return path
}
