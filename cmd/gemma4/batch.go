package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/internal/batch"
	"github.com/gogemma/gemma4/server"
)

func batchCommand() cli.Command {
	return cli.Command{
		Name:  "batch",
		Group: "answers",
		Does:  "answer a file of requests, many at once",
		Args:  "[flags] in.jsonl out.jsonl",
		About: `
Answers the requests of a file in the format of OpenAI's Batch API. A line of in.jsonl is

  {"custom_id":"a1","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"Hello!"}]}}

where url may also be /v1/completions, /v1/embeddings, /v1/responses, /v1/messages or /v1/decide, and the line of out.jsonl

  {"id":"batch_req_…","custom_id":"a1","response":{"status_code":200,"request_id":"…","body":{…}},"error":null}

They come in the order in which they are completed: custom_id tells which is whose. A request that fails has a line, too, with the
server's answer or, if there was none, an error. The model answers, without a server, or whoever is at -url: gemma4 serve, a gateway,
another vendor. "-" is standard input, which is read to its end first, or standard output.

All lines are checked before the first is asked: if one is no JSON, has no custom_id or that of another, an unknown url, or asks for
a stream, nothing is done, and the error names the lines.

Run the same command again after Ctrl-C, a crash or a failure: what is answered in out.jsonl stays and is not asked again, a line that
was cut short is taken off, and requests that failed are asked again and their lines replaced (-retry-failed=false keeps them).

A server that is busy (status 408, 429, 500, 502, 503, 504, 529) or loses a connection is asked again after a second, then two, four …
sixty, or when its Retry-After says. The run ends early if there is no sense in it: the key is refused, nobody is at the URL, or more
requests in a row than -parallel had to be given up.

The exit status is 0 if all requests have a good answer, 1 if some failed or the run ended early, 130 after Ctrl-C. Progress goes to
standard error: a line that changes at a terminal, else one every half minute.`,
		Examples: `
gemma4 batch in.jsonl out.jsonl
gemma4 batch -m gemma-4-E2B-it-Q4_K_M.gguf -parallel 16 in.jsonl out.jsonl
gemma4 batch -url http://127.0.0.1:8080/v1 in.jsonl out.jsonl
GEMMA4_KEY=sk-… gemma4 batch -url https://example.org/v1 in.jsonl out.jsonl
jq -c '{custom_id:.id,method:"POST",url:"/v1/embeddings",body:{input:.text}}' texts.jsonl | gemma4 batch - - | jq .custom_id`,
		Operands: cli.Values{Files: "*.jsonl"},
		Define:   defineBatch,
	}
}

func defineBatch(p *cli.Program) func() error {
	model := p.ModelFlags()
	p.DraftFlag(model)
	var queue gemma4.QueueOptions
	p.Group("context and memory")
	most := p.Count("ctx", "`positions` that a request may have, prompt and answer together (default: the model's)")
	const memory = "`bytes` that keys and values may take, such as 500MB or 2GB: sets -ctx, or lets requests wait for others"
	p.SizeVar(&queue.Memory, "memory", memory)
	p.Group("server")
	var b batch.Batch
	p.StringVar(&b.URL, "url", "", "base `URL` of a server that answers instead of a model, such as http://127.0.0.1:8080/v1")
	p.StringVar(&b.Key, "key", "", "API `key` for -url (default: GEMMA4_KEY of the environment, where other users do not see it)")
	p.DurationVar(&b.Timeout, "timeout", time.Hour, "`time` that an answer of -url may take; 0: any")
	p.Group("requests")
	p.IntVar(&b.Parallel, "parallel", 8, "`number` of requests that are asked at once")
	p.IntVar(&b.Retries, "retries", 8, "`times` that a request is asked again while the server is busy or cannot be reached")
	again := p.Bool("retry-failed", true, "ask again what failed in an earlier run")

	return func() error {
		switch {
		case p.NArg() != 2:
			return cli.Wrong("expected two files, of requests and of answers: in.jsonl out.jsonl")
		case b.Parallel < 1 || b.Retries < 0 || b.Timeout < 0:
			return cli.Wrong("-parallel is at least 1, -retries and -timeout are not negative")
		}
		if err := oneOf(p, b.URL != ""); err != nil {
			return err
		}
		if b.URL != "" {
			if err := b.Check(); err != nil {
				return err
			}
		}
		f, err := openBatch(p, !*again)
		if err != nil {
			return err
		}
		defer f.in.Close()
		defer f.out.Close()
		if f.out.Answered == f.in.Requests {
			return f.end(batch.Progress{Requests: f.in.Requests, Before: f.out.Answered}, nil)
		}
		who := b.URL
		if b.URL != "" {
			b.Key = cmp.Or(b.Key, os.Getenv("GEMMA4_KEY"))
		} else {
			m, err := model.Open()
			if err != nil {
				return err
			}
			defer m.Close()
			f.m = m
			who = modelName(m.Info())
			prefixes := gemma4.NewPrefixCache(256 << 20) // files often have one instruction in all their requests
			defer prefixes.Close()
			queue.Slots, queue.Waiting, queue.Context, queue.Prefixes = b.Parallel, b.Parallel, *most, prefixes
			s, err := server.New(m, server.Options{Queue: queue, Draft: model.Draft, MaxBody: batch.MaxLine})
			if err != nil {
				return err
			}
			defer s.Close()
			b.URL, b.Timeout, b.Transport = "http://localhost/v1", 0, batch.Handler{Handler: s}
		}
		p.Note(fmt.Sprintf("asking %s, up to %d at once", who, b.Parallel))
		b.Progress = f.show
		ctx, stop := cli.Interruptible()
		defer stop()
		return f.end(b.Run(ctx, f.in, f.out))
	}
}

// oneOf refuses flags that are about a model beside -url, and those about a server without.
func oneOf(p *cli.Program, url bool) error {
	var wrong []string
	p.Visit(func(f *flag.Flag) {
		switch f.Name {
		case "allow-unknown", "ctx", "draft", "exact", "huge", "m", "memory", "prefault", "threads":
			if url {
				wrong = append(wrong, "-"+f.Name)
			}
		case "key", "timeout":
			if !url {
				wrong = append(wrong, "-"+f.Name)
			}
		}
	})
	switch {
	case len(wrong) == 0:
		return nil
	case url:
		return cli.Wrong("-url has a model of its own: it goes without %s", strings.Join(wrong, ", "))
	}
	return cli.Wrong("%s: there is no -url for it", strings.Join(wrong, ", "))
}

// batchRun is what a batch reads and writes, and tells.
type batchRun struct {
	*cli.Program
	in    *batch.Input
	out   *batch.Output
	m     *gemma4.Model // nil: a server answers
	said  time.Time     // when progress was shown
	every time.Duration
}

// openBatch opens the files that the arguments name, and tells what is in them.
func openBatch(p *cli.Program, keepFailed bool) (f *batchRun, err error) {
	if p.Arg(0) == "-" && cli.IsTerminal(p.In) {
		p.Note("reading standard input; Ctrl-D ends it")
	}
	f = &batchRun{Program: p, said: time.Now(), every: 30 * time.Second}
	if cli.IsTerminal(p.Err) {
		f.every = 200 * time.Millisecond
	}
	if f.in, err = batch.Open(p.Arg(0), p.In); err != nil {
		return nil, err
	}
	if p.Arg(1) == "-" {
		f.out = batch.Stream(flushing{p})
		return f, nil
	}
	if f.out, err = batch.Resume(p.Arg(1), f.in, keepFailed); err != nil {
		f.in.Close()
		return nil, err
	}
	var said []string
	say := func(n int, format string) {
		if n > 0 {
			said = append(said, fmt.Sprintf(format, n))
		}
	}
	say(f.out.Answered-f.out.Failed, "%d answers stay")
	say(f.out.Failed, "%d failures stay")
	say(f.out.Again, "%d failed requests are asked again")
	say(f.out.Foreign, "%d lines are for other requests, and stay")
	say(int(f.out.Cut), "an incomplete last line, of %d bytes, is cut off")
	if len(said) > 0 {
		p.Note(p.Arg(1) + ": " + strings.Join(said, "; "))
	}
	return f, nil
}

// flushing is standard output, each line at once.
type flushing struct{ p *cli.Program }

func (f flushing) Write(line []byte) (int, error) {
	n, err := f.p.Out.Write(line)
	return n, cmp.Or(err, f.p.Out.Flush())
}

// show tells how far the run has come.
func (f *batchRun) show(p batch.Progress) {
	now := time.Now()
	if now.Sub(f.said) < f.every {
		return
	}
	f.said = now
	if text := progressText(p); cli.IsTerminal(f.Err) {
		f.Status(text)
	} else {
		f.Note(text)
	}
}

// progressText tells how far a run has come, and how long it will take.
func progressText(p batch.Progress) string {
	text := fmt.Sprintf("%d of %d", p.Before+p.Answered+p.Failed, p.Requests)
	if p.Failed > 0 {
		text += fmt.Sprintf(", %d failed", p.Failed)
	}
	text += speed(p)
	if left := p.Left(); left > 0 {
		text += fmt.Sprintf(", %v left", left.Round(time.Second))
	}
	if p.Waiting > 0 {
		text += fmt.Sprintf(", %d wait: %s", p.Waiting, p.Trouble)
	}
	return text
}

// speed tells the tokens per second: those that were generated or, of embeddings and decisions, those that were read.
func speed(p batch.Progress) string {
	n, what := p.Generated, "tokens/s"
	if n == 0 {
		n, what = p.Prompt, "prompt tokens/s"
	}
	if n == 0 || p.Elapsed <= 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f %s", float64(n)/p.Elapsed.Seconds(), what)
}

// end tells what has come of the run, and returns an error unless all requests have good answers.
func (f *batchRun) end(p batch.Progress, err error) error {
	answered := p.Before - f.out.Failed + p.Answered
	failed := f.out.Failed + p.Failed
	text := fmt.Sprintf("%d of %d requests are answered", answered, p.Requests)
	if failed > 0 {
		text += fmt.Sprintf(", %d failed", failed)
	}
	if p.Failed > 0 {
		text += fmt.Sprintf(" (the last: %s)", p.Failure)
	}
	if p.Answered > 0 {
		text += fmt.Sprintf("; %d in %v%s", p.Answered, p.Elapsed.Round(time.Second/10), speed(p))
	}
	if f.m != nil {
		text += drafted(f.m.Stats().Drafts)
	}
	goesOn := "; the same command goes on"
	if f.Arg(0) == "-" || f.Arg(1) == "-" {
		goesOn = ""
	}
	switch {
	case errors.Is(err, context.Canceled):
		f.Note(text + goesOn)
		return err
	case err != nil:
		return fmt.Errorf("%w; %s%s", err, text, goesOn)
	case failed > 0:
		return fmt.Errorf("%s", text)
	}
	f.Note(text)
	return nil
}
