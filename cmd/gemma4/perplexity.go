package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
)

func perplexityCommand() cli.Command {
	return cli.Command{
		Name:  "perplexity",
		Group: "measurements",
		Does:  "measure how well a model predicts a text",
		Args:  "[flags] [file]",
		About: `
Prints the perplexity of a text file, or of standard input, with its standard error. The text is cut into windows of
-ctx tokens (default 2048, or the model's context if that is smaller), each after a BOS token; every token counts.
With -ids and -logits it reads those ids as they are and writes what follows each of them: little-endian float32
[ids, vocabulary].
With -imatrix it also writes how much each column of the model's matrices matters, the mean square of what it is
multiplied with, for gemma4 quantize -imatrix and other programs. Some 100 kB of text like what the model is to be used
for are enough; windows are then of 512 tokens, as other programs have them, unless -ctx says otherwise. Take the model in
the best format that runs: the matrix serves all others.`,
		Examples: `
gemma4 perplexity book.txt
gemma4 perplexity -m model.gguf -cache q8_0 -ctx 512 < book.txt
gemma4 perplexity -m model.gguf -ids 2,105,2364 -logits out.f32
gemma4 perplexity -m model-bf16.gguf -imatrix model.imatrix.gguf book.txt`,
		Operands: cli.Values{Files: "*"},
		Define:   definePerplexity,
	}
}

func definePerplexity(p *cli.Program) func() error {
	model, session := p.ModelFlags(), p.SessionFlags("2048, with -imatrix 512, or the model's if that is smaller; with -ids the model's")
	p.Group("output")
	asJSON := p.Bool("json", false, "print one JSON object")
	ids := p.String("ids", "", "`ids` to read instead of a text, such as 2,105,2364; with -logits")
	out := p.String("logits", "", "`file` for the logits of -ids; it appears once it is complete")
	p.Values("logits", cli.Values{Files: "*"})
	matrix := p.String("imatrix", "", "`file` for the importance matrix; it appears once it is complete")
	p.Values("imatrix", cli.Values{Files: "*.gguf"})

	return func() error {
		switch {
		case p.NArg() > 1:
			return cli.Wrong("one file at a time, not %d", p.NArg())
		case (*ids == "") != (*out == ""):
			return cli.Wrong("-ids and -logits go together")
		case *ids != "" && p.NArg() > 0:
			return cli.Wrong("-ids takes the place of the file")
		case *ids != "" && *matrix != "":
			return cli.Wrong("-imatrix goes with a text, not with -ids")
		case *ids != "" && *asJSON:
			return cli.Wrong("-json is for the perplexity of a text, and -logits writes float32")
		}
		var text []byte
		var err error
		if *ids == "" {
			if text, err = readText(p); err != nil {
				return err
			}
		}
		if err := checkOutputs(*matrix, *out, model.Path, p.Arg(0)); err != nil {
			return err
		}
		m, err := model.Open()
		if err != nil {
			return err
		}
		defer m.Close()
		if session.Context == 0 && *ids == "" {
			session.Context = 2048
			if *matrix != "" {
				session.Context = 512
			}
			session.Context = min(session.Context, m.Info().Context)
		}
		session.Progress = nil // the text's progress is shown instead
		s, err := m.NewSession(*session)
		if err != nil {
			return err
		}
		defer s.Close()

		ctx, stop := cli.Interruptible()
		defer stop()
		if *ids != "" {
			list, err := cli.ParseIDs(*ids, m.Config().Vocabulary)
			if err != nil {
				return fmt.Errorf("-ids: %w", err)
			}
			return writeFile(*out, func(w *bufio.Writer) error { return writeLogits(ctx, w, s, list, p.Progress("prefill")) })
		}
		list := m.Tokenizer().Encode(string(text), false)
		var result gemma4.Perplexity
		if *matrix == "" {
			result, err = s.Perplexity(ctx, list, p.Progress("prefill"))
		} else {
			result, err = measureImportance(ctx, s, list, p, *matrix)
		}
		if err != nil {
			return err
		}
		if *asJSON {
			return json.NewEncoder(p.Out).Encode(measured{
				result.Value(), result.ValueStdErr(), result.Mean, result.StdErr, result.Tokens, s.Context(),
			})
		}
		fmt.Fprintf(p.Out, "%v, windows of %d\n", result, s.Context())
		return nil
	}
}

// checkOutputs refuses at once what would go wrong at the end: places where nothing can be written, and files that are read.
func checkOutputs(matrix, logits string, inputs ...string) error {
	if matrix != "" {
		if _, err := os.Stat(filepath.Dir(matrix)); err != nil {
			return err
		}
		if info, err := os.Stat(matrix); err == nil && !info.Mode().IsRegular() {
			return fmt.Errorf("-imatrix: %s is not a regular file", matrix)
		}
	}
	for _, out := range []string{matrix, logits} {
		if out == "" {
			continue
		}
		for _, path := range []string{out, out + ".part"} {
			info, err := os.Stat(path)
			if err != nil {
				continue
			}
			for _, in := range inputs {
				if other, err := os.Stat(in); err == nil && os.SameFile(info, other) {
					return fmt.Errorf("%s is read: the file to be written must be another one", path)
				}
			}
		}
	}
	return nil
}

// measured is what -json prints.
type measured struct {
	Perplexity       float64 `json:"perplexity"`
	PerplexityStdErr float64 `json:"perplexity_std_err"`
	Nats             float64 `json:"nats_per_token"`
	NatsStdErr       float64 `json:"nats_per_token_std_err"`
	Tokens           int     `json:"tokens"`
	Window           int     `json:"window"`
}

// measureImportance writes the importance matrix of a text to a file.
func measureImportance(ctx context.Context, s *gemma4.Session, ids []int32, p *cli.Program, path string) (gemma4.Perplexity, error) {
	var i gemma4.Importance
	result, err := s.Importance(ctx, ids, &i, p.Progress("prefill"))
	if err != nil {
		return result, err
	}
	name := "standard input"
	if p.NArg() == 1 {
		name = filepath.Base(p.Arg(0))
	}
	return result, i.WriteFile(path, name)
}

// readText returns the text of the file that was named, or of standard input.
func readText(p *cli.Program) ([]byte, error) {
	if p.NArg() == 1 {
		return os.ReadFile(p.Arg(0))
	}
	text, err := p.Input()
	return []byte(text), err
}

// writeLogits writes a row of logits for each id.
func writeLogits(ctx context.Context, w io.Writer, s *gemma4.Session, ids []int32, progress func(done, total int)) error {
	if len(ids) == 0 {
		return errors.New("-ids: no ids")
	}
	var row []byte
	return s.AllLogits(ctx, ids, func(i int, logits []float32) error {
		row = row[:0]
		for _, x := range logits {
			row = binary.LittleEndian.AppendUint32(row, math.Float32bits(x))
		}
		if progress != nil {
			progress(i+1, len(ids))
		}
		_, err := w.Write(row)
		return err
	})
}

// writeFile makes a file of what write writes. It grows beside path, so that an error leaves no half file; a device or a
// pipe at path is written directly.
func writeFile(path string, write func(w *bufio.Writer) error) (err error) {
	part := path + ".part"
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		part = path
	}
	f, err := os.Create(part)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	err = cmp.Or(write(w), w.Flush(), f.Close())
	if part == path {
		return err
	}
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		os.Remove(part)
	}
	return err
}
