// Command synth writes a Gemma 4 model, projector or drafter with random weights, for benchmarks and tests.
//
//	go run ./internal/cmd/synth e2b:q4_0 e2b.gguf
//	go run ./internal/cmd/synth e2b-mmproj:q8_0 mmproj-e2b.gguf
//	go run ./internal/cmd/synth e2b-draft:q4_0 mtp-e2b.gguf
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gogemma/gemma4/internal/synth"
)

func main() {
	seed := flag.Uint64("seed", 0, "seed of the weights")
	flag.Usage = func() {
		fmt.Fprintf(flag.CommandLine.Output(), "usage: synth [-seed N] PRESET:FORMAT PATH\n\nmodels: %s\nprojectors: %s\ndrafters: %s\n"+
			"formats: q4_k_m, f32, f16, bf16, q4_0, q8_0, iq4_xs, and every other weight format\n\n",
			strings.Join(synth.Presets(), ", "), strings.Join(synth.Projectors(), ", "), strings.Join(synth.Drafters(), ", "))
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	shape, err := synth.ParseShape(flag.Arg(0), *seed)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	start := time.Now()
	if err := synth.WriteFile(context.Background(), flag.Arg(1), shape); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s: %.2f GB, %.2f billion parameters, written in %.1f s\n",
		flag.Arg(1), float64(shape.Size())/1e9, float64(shape.Parameters())/1e9, time.Since(start).Seconds())
}
