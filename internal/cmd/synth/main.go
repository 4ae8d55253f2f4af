// Command synth writes a Gemma 4 model with random weights, for benchmarks and tests.
//
//	go run ./internal/cmd/synth e2b:q4_0 e2b.gguf
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
		fmt.Fprintf(flag.CommandLine.Output(), "usage: synth [-seed N] PRESET:FORMAT PATH\n\npresets: %s\n"+
			"formats: q4_k_m, f32, f16, bf16, q4_0, q8_0, iq4_xs, and every other weight format\n\n", strings.Join(synth.Presets(), ", "))
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() != 2 {
		flag.Usage()
		os.Exit(2)
	}
	c, err := synth.Parse(flag.Arg(0))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	c.Seed = *seed
	start := time.Now()
	if err := synth.WriteFile(context.Background(), flag.Arg(1), c); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Printf("%s: %.2f GB, %.2f billion parameters, written in %.1f s\n",
		flag.Arg(1), float64(c.Size())/1e9, float64(c.Parameters())/1e9, time.Since(start).Seconds())
}
