// Command pairs measures two builds of the gemma4 command in turn, with weights of every format at every level, and says where the new one
// is slower.
//
//	git worktree add /tmp/before COMMIT
//	go -C /tmp/before build -o /tmp/old ./cmd/gemma4 && go build -o /tmp/new ./cmd/gemma4
//	go run ./internal/cmd/pairs /tmp/old /tmp/new
//	go run ./internal/cmd/pairs -formats q4_0,iq4_nl -levels avx2 -pairs 20 /tmp/old /tmp/new
//
// Slower is what has a median of all pairs' ratios under 0.98, and again in as many pairs more. Then the exit status is 1. Each model is
// written to a folder for temporary files, of which F32 takes 2.3 GB, and removed once it is measured.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/tensor"
)

// least is the ratio of speeds under which a build is slower.
const least = 0.98

// errSlower is the verdict.
var errSlower = errors.New("the new build is slower")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "pairs:", err)
		os.Exit(1)
	}
}

// plan is what is measured of both builds.
type plan struct {
	old, new        string // programs
	pairs           int
	prompt, written int
	steps           string
	dir             string
}

// run measures what the arguments say and prints a row for each test as it is done.
func run(ctx context.Context, args []string, out io.Writer) error {
	p := plan{steps: "1,4"}
	flags := flag.NewFlagSet("pairs", flag.ExitOnError)
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), "usage: pairs [flags] OLD NEW\n\n")
		flags.PrintDefaults()
	}
	formats := flags.String("formats", strings.Join(formats(), ","), "`formats` of weights, separated by commas")
	levels := flags.String("levels", strings.Join(levels(), ","), "`levels` of kernels, likewise")
	preset := flags.String("preset", "e2b-short", "`shape` of the models")
	flags.IntVar(&p.pairs, "pairs", 10, "`runs` of each build, and again of what is slower")
	flags.IntVar(&p.prompt, "p", 128, "`tokens` of the prompt")
	flags.IntVar(&p.written, "n", 8, "`tokens` to write")
	flags.StringVar(&p.dir, "dir", "", "`folder` for the models (default: that for temporary files)")
	_ = flags.Parse(args) // exits where it fails
	if flags.NArg() != 2 || p.pairs < 1 || p.prompt < 1 || p.written < 1 {
		flags.Usage()
		os.Exit(2)
	}
	p.old, p.new = flags.Arg(0), flags.Arg(1)
	var slower []string
	fmt.Fprintln(out, "| format | level | test | old, tokens/s | new | new / old | again |\n|---|---|---|---|---|---|---|")
	for format := range strings.SplitSeq(*formats, ",") {
		rows, err := p.measureFormat(ctx, *preset+":"+format, strings.Split(*levels, ","), out)
		if err != nil {
			return fmt.Errorf("%s: %w", format, err)
		}
		slower = append(slower, rows...)
	}
	if len(slower) == 0 {
		fmt.Fprintf(out, "\nNothing is slower: no median of %d pairs is under %.2f twice.\n", p.pairs, least)
		return nil
	}
	fmt.Fprintf(out, "\nSlower, by two medians of %d pairs under %.2f:\n\n%s", p.pairs, least, strings.Join(slower, ""))
	return errSlower
}

// formats returns those that files have, and the mix.
func formats() []string {
	list := []string{"q4_k_m"}
	for _, f := range tensor.Formats() {
		if f != tensor.Q2_0_128 {
			list = append(list, strings.ToLower(f.String()))
		}
	}
	return list
}

// levels returns the machine's, but for the portable one, which takes minutes for each format.
func levels() (list []string) {
	for _, k := range gemma4.Levels()[1:] {
		list = append(list, k.Name)
	}
	return list
}

// measureFormat writes a model, prints the rows of each level, and returns those that are slower.
func (p *plan) measureFormat(ctx context.Context, spec string, levels []string, out io.Writer) (slower []string, err error) {
	shape, err := synth.ParseShape(spec, 0)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(p.dir, "pairs")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.gguf")
	if err := synth.WriteFile(ctx, path, shape); err != nil {
		return nil, err
	}
	all := []string{"prefill " + strconv.Itoa(p.prompt)}
	for step := range strings.SplitSeq(p.steps, ",") {
		all = append(all, "decode "+step)
	}
	_, format, _ := strings.Cut(spec, ":")
	for _, level := range levels {
		first, err := p.inTurn(ctx, path, level, all)
		if err != nil {
			return nil, err
		}
		var doubtful []string
		for _, test := range all {
			if first[test].ratio() < least {
				doubtful = append(doubtful, test)
			}
		}
		again, err := p.inTurn(ctx, path, level, doubtful)
		if err != nil {
			return nil, err
		}
		for _, test := range all {
			line, isSlower := row(format, level, test, first[test], again[test])
			fmt.Fprint(out, line)
			if isSlower {
				slower = append(slower, line)
			}
		}
	}
	return slower, nil
}

// row returns a line of the table, and whether the new build is slower: by the first pairs, and by those that were measured again.
func row(format, level, test string, first, again speeds) (line string, slower bool) {
	second := "-"
	if again.old != nil {
		second, slower = fmt.Sprintf("%.3f", again.ratio()), first.ratio() < least && again.ratio() < least
	}
	return fmt.Sprintf("| %s | %s | %s | %.1f | %.1f | %.3f | %s |\n",
		format, level, test, median(first.old), median(first.new), first.ratio(), second), slower
}

// speeds are the tokens per second of pairs of runs.
type speeds struct{ old, new []float64 }

// ratio returns the median of the pairs' ratios: what the machine does to both runs of a pair is not in it.
func (s speeds) ratio() float64 {
	ratios := make([]float64, len(s.old))
	for i := range ratios {
		ratios[i] = s.new[i] / s.old[i]
	}
	return median(ratios)
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return (x[len(x)/2] + x[(len(x)-1)/2]) / 2
}

// inTurn runs the tests with both builds, in pairs: each build is the first of every other one.
func (p *plan) inTurn(ctx context.Context, path, level string, tests []string) (map[string]speeds, error) {
	found := map[string]speeds{}
	if len(tests) == 0 {
		return found, nil
	}
	for i := range p.pairs {
		var pair [2]map[string]float64
		for j := range 2 {
			build := (i + j) % 2
			var err error
			if pair[build], err = p.bench(ctx, []string{p.old, p.new}[build], path, level, tests); err != nil {
				return nil, err
			}
		}
		for _, test := range tests {
			s := found[test]
			found[test] = speeds{append(s.old, pair[0][test]), append(s.new, pair[1][test])}
		}
	}
	return found, nil
}

// bench runs a build once and returns the tokens per second of each test.
func (p *plan) bench(ctx context.Context, program, path, level string, tests []string) (map[string]float64, error) {
	prompt, written, steps := 0, 0, []string{}
	for _, test := range tests {
		if step, ok := strings.CutPrefix(test, "decode "); ok {
			written, steps = p.written, append(steps, step)
		} else {
			prompt = p.prompt
		}
	}
	args := []string{"bench", "-json", "-m", path, "-r", "1", "-p", strconv.Itoa(prompt), "-n", strconv.Itoa(written)}
	if written > 0 {
		args = append(args, "-b", strings.Join(steps, ","))
	}
	c := exec.CommandContext(ctx, program, args...)
	c.Env = append(os.Environ(), "GEMMA4_CPU="+level)
	c.Stderr = os.Stderr
	text, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	var rows []struct {
		Level           string
		Test            string
		Tokens          int
		TokensPerSecond float64 `json:"tokens_per_second"`
	}
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, fmt.Errorf("%s: %w", c, err)
	}
	found := map[string]float64{}
	for _, r := range rows {
		if r.Level != level {
			return nil, fmt.Errorf("%s: level %s, expected %s", c, r.Level, level)
		}
		found[fmt.Sprintf("%s %d", r.Test, r.Tokens)] = r.TokensPerSecond
	}
	for _, test := range tests {
		if found[test] <= 0 {
			return nil, fmt.Errorf("%s: no speed of %q", c, test)
		}
	}
	return found, nil
}
