package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/internal/pause"
	"github.com/gogemma/gemma4/media/sound"
)

func listenCommand() cli.Command {
	return cli.Command{
		Name:  "listen",
		Group: "answers",
		Does:  "write down what is said, in a file or live, or answer it",
		Args:  "[flags] [FILE|-]",
		About: `
Writes down what is said in a file, a line for each piece of it: it is cut at pauses, and silence is left out. Without a file it listens
to the microphone (Linux, with PulseAudio or PipeWire), with "-" to standard input: samples of 16 bits, little endian, mono, 16,000 a
second, as arecord -t raw writes them. Live, a piece becomes a line as soon as there is a pause; at a terminal it is shown while it is
said, dimmed as far as it may change still. Ctrl-C ends it, with what was heard until then.

With -push the Enter key begins a question and ends it, and the model answers what was said. It reads while one speaks, so that the
answer begins at once. Questions and answers are a conversation; Ctrl-D ends it.

-rows writes what the projector makes of the sound, instead of a text: for each token of 40 ms a row of float32, little endian, as wide
as the model's embeddings. Sounds of more than 30 seconds are cut at pauses first, as they are for the model.`,
		Examples: `
gemma4 listen question.wav
gemma4 listen -m gemma-4-E2B-it-Q4_K_M.gguf -language German -srt talk.mp3 > talk.srt
gemma4 listen -m gemma-4-E2B-it-Q4_K_M.gguf -translate English rede.opus
arecord -f S16_LE -r 16000 -c 1 -t raw | gemma4 listen -m gemma-4-E2B-it-Q4_K_M.gguf -
gemma4 listen -m gemma-4-E2B-it-Q4_K_M.gguf -push
gemma4 listen -m model.gguf -mmproj mmproj-F16.gguf -rows rows.f32 speech.flac`,
		Operands: cli.Values{Files: "*"},
		Define:   defineListen,
	}
}

// listening is what hears.
type listening struct {
	*cli.Program
	model    *cli.ModelFlags
	session  *gemma4.SessionOptions
	sampling *cli.SamplingFlags
	files    attachments
	most     *int
	language string
	into     string
	push     bool
	srt, vtt bool
	asJSON   bool
	rows     string

	m     *gemma4.Model
	shown []gemma4.Segment // that wait for the end, as subtitles do
}

func defineListen(p *cli.Program) func() error {
	l := &listening{Program: p}
	l.model = p.ModelFlags()
	l.model.With.Projector = true
	p.ProjectorFlag(l.model)
	p.DraftFlag(l.model)
	p.Group("sound")
	p.StringVar(&l.language, "language", "", "`language` that is spoken, in English, such as German (default: whatever it is)")
	p.StringVar(&l.into, "translate", "", "`language` to translate into, in English: the translation is written")
	p.BoolVar(&l.push, "push", false, "answer what is said between two presses of the Enter key")
	l.files.ffmpegFlag(p)
	l.session = p.SessionFlags("the model's, allocated as needed")
	l.sampling = p.SamplingFlags()
	p.Group("output")
	l.most = p.Count("n", "maximum `tokens` for a piece, or an answer (default: what can be said in its time, or what the context holds)")
	p.BoolVar(&l.srt, "srt", false, "subtitles in the form of SubRip, when the sound has ended")
	p.BoolVar(&l.vtt, "vtt", false, "subtitles in the form of WebVTT, when the sound has ended")
	p.BoolVar(&l.asJSON, "json", false, "print an object for each piece, with its times in seconds")
	p.FileVar(&l.rows, "rows", "`file` for what the projector makes of the sound; nothing is written down")

	return func() (err error) {
		if err := l.check(); err != nil {
			return err
		}
		if l.m, err = l.model.Open(); err != nil {
			return err
		}
		defer l.m.Close()
		l.files.of(l.m, l.model.Path == "")
		l.files.note = func(format string, args ...any) { p.Note(fmt.Sprintf(format, args...)) }
		if err := l.files.hears(); err != nil {
			return err
		}
		ctx, stop := cli.Interruptible()
		defer stop()
		return l.listen(ctx)
	}
}

// check refuses flags that do not go together.
func (l *listening) check() error {
	forms := 0
	for _, given := range []bool{l.srt, l.vtt, l.asJSON, l.push, l.rows != ""} {
		if given {
			forms++
		}
	}
	switch {
	case l.NArg() > 1:
		return cli.Wrong("one file at a time")
	case forms > 1:
		return cli.Wrong("-srt, -vtt, -json, -push and -rows go without each other")
	case l.push && (l.language != "" || l.into != ""):
		return cli.Wrong("-push answers: it goes without -language and -translate")
	case l.push && l.NArg() == 1 && l.Arg(0) != "-":
		return cli.Wrong("-push is for the microphone, or - with the keyboard at a terminal")
	case l.rows != "" && l.NArg() == 0:
		return cli.Wrong("-rows is for a file, or -")
	case l.model.Path == "" && l.into != "":
		return cli.Wrong("the embedded model does not translate: name a file with -m")
	}
	return nil
}

// listen hears what there is to hear.
func (l *listening) listen(ctx context.Context) error {
	if l.NArg() == 1 && l.Arg(0) != "-" {
		part, err := l.files.read(ctx, audio, l.Arg(0))
		if err != nil {
			return err
		}
		if l.rows != "" {
			return l.writeRows(ctx, part.Samples)
		}
		return l.transcribe(ctx, part.Samples)
	}
	in, err := l.source(ctx)
	if err != nil {
		return err
	}
	defer in.close()
	switch {
	case l.rows != "":
		samples, err := in.all(ctx)
		if err != nil {
			return err
		}
		return l.writeRows(ctx, samples)
	case l.push:
		return l.talk(ctx, in)
	}
	return l.caption(ctx, in)
}

// source returns where sound comes from that goes on: standard input, or the microphone.
func (l *listening) source(ctx context.Context) (*intake, error) {
	if l.NArg() == 1 {
		if cli.IsTerminal(l.In) {
			return nil, cli.Wrong("- is sound on standard input, which is a terminal here")
		}
		return newIntake(func() (*sound.Reader, error) { return standardInput(l.In) }), nil
	}
	return microphone()
}

// options say how to write down what is heard.
func (l *listening) options() gemma4.TranscribeOptions {
	o := gemma4.TranscribeOptions{
		SessionOptions:  *l.session,
		GenerateOptions: gemma4.GenerateOptions{Sampling: l.sampling.Overrides, MaxTokens: *l.most, Draft: l.model.Draft},
		Language:        l.language, Into: l.into,
	}
	if l.model.Path == "" { // what it was trained with
		o.Prompt = "Transcribe."
	}
	return o
}

// transcribe writes down a sound that is all there.
func (l *listening) transcribe(ctx context.Context, samples []float32) error {
	for s, err := range l.m.Transcribe(ctx, samples, l.options()) {
		if err != nil {
			l.finish() // what there is, is good
			return err
		}
		if err := l.print(s); err != nil {
			return err
		}
	}
	return l.finish()
}

// caption writes down a sound while it comes.
func (l *listening) caption(ctx context.Context, in *intake) error {
	o := gemma4.CaptionsOptions{TranscribeOptions: l.options(), Every: -1}
	live := l.Terminal() && !l.srt && !l.vtt && !l.asJSON
	if live {
		o.Every = 0
	}
	captions, err := l.m.NewCaptions(o)
	if err != nil {
		return err
	}
	defer captions.Close()
	show := func(segments []gemma4.Segment) error {
		for _, s := range segments {
			if live {
				l.Partial(s.Text, s.Tentative, s.Final)
				if !s.Final {
					continue
				}
			}
			if err := l.print(s); err != nil {
				return err
			}
		}
		return nil
	}
	for {
		samples, err := in.take(ctx)
		if err == nil {
			var segments []gemma4.Segment
			segments, err = captions.Push(ctx, samples)
			if e := show(segments); e != nil {
				return e
			}
		}
		if err == io.EOF || errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			return err
		}
	}
	ctx = context.Background() // a second Ctrl-C ends the program
	if samples, _ := in.rest(); len(samples) > 0 {
		segments, err := captions.Push(ctx, samples)
		if err = cmp.Or(err, show(segments)); err != nil {
			return err
		}
	}
	segments, err := captions.Finish(ctx)
	if err = cmp.Or(err, show(segments)); err != nil {
		return err
	}
	return l.finish()
}

// print writes a segment down.
func (l *listening) print(s gemma4.Segment) error {
	text := s.Text
	if s.Translation != "" {
		text = s.Translation
	}
	switch {
	case l.srt || l.vtt:
		l.shown = append(l.shown, s)
		return nil
	case l.asJSON:
		seconds := func(t time.Duration) float64 { return float64(t.Round(time.Millisecond).Milliseconds()) / 1000 }
		e := json.NewEncoder(l.Out)
		e.SetEscapeHTML(false)
		if err := e.Encode(struct {
			From        float64 `json:"from"`
			To          float64 `json:"to"`
			Text        string  `json:"text"`
			Translation string  `json:"translation,omitempty"`
		}{seconds(s.From), seconds(s.To), s.Text, s.Translation}); err != nil {
			return err
		}
	case text != "":
		if text = strings.Join(strings.Fields(text), " "); l.Terminal() {
			text = cli.Printable(text)
		}
		fmt.Fprintln(l.Out, text)
	}
	return l.Out.Flush()
}

// finish writes what has waited for the end.
func (l *listening) finish() error {
	switch {
	case l.srt:
		io.WriteString(l.Out, gemma4.SRT(l.shown))
	case l.vtt:
		io.WriteString(l.Out, gemma4.VTT(l.shown))
	}
	return l.Out.Flush()
}

// writeRows writes what the projector makes of a sound.
func (l *listening) writeRows(ctx context.Context, samples []float32) error {
	return writeFile(l.rows, func(w *bufio.Writer) error {
		rows, spans := 0, pause.Split(samples, longest)
		for _, span := range spans {
			in, err := l.m.SoundInput(samples[span[0]:span[1]])
			if err != nil && len(spans) > 1 { // what is left at the end is too short
				continue
			} else if err != nil {
				return err
			}
			if err := project(ctx, w, in); err != nil {
				return err
			}
			rows += in.Later.Count
		}
		l.Note(fmt.Sprintf("%s: %d rows", filepath.Base(l.Arg(0)), rows))
		return nil
	})
}

// talk answers what is said between two presses of Enter.
func (l *listening) talk(ctx context.Context, in *intake) error {
	keys, err := l.keyboard()
	if err != nil {
		return err
	}
	c, err := l.m.NewChat(gemma4.ChatOptions{SessionOptions: *l.session, Full: gemma4.FullDrop, GenerateOptions: gemma4.GenerateOptions{
		Sampling: l.sampling.Overrides, MaxTokens: *l.most, RepeatGuard: true, Draft: l.model.Draft}})
	if err != nil {
		return err
	}
	defer c.Close()
	enter := newPipe(keys, nil)
	for {
		question, err := c.Listen(ctx) // what was said before is read while nobody speaks
		if err != nil {
			return err
		}
		l.Note("Enter begins a question, Ctrl-D ends")
		switch err := l.hear(ctx, in, enter, nil); {
		case errors.Is(err, io.EOF) || errors.Is(err, context.Canceled):
			return nil
		case err != nil:
			return err
		}
		l.Note("listening; Enter ends the question")
		err = l.hear(ctx, in, enter, question)
		ended := errors.Is(err, io.EOF)
		if errors.Is(err, context.Canceled) {
			return nil
		} else if err != nil && !ended {
			return err
		}
		switch heard := question.Heard(); {
		case heard.Seconds() < 0.1 && ended:
			return nil
		case heard.Seconds() < 0.1:
			l.Note("(nothing was said)")
			continue
		}
		if _, err := l.Answer(question.Answer(ctx), false); errors.Is(err, context.Canceled) {
			return nil
		} else if err != nil {
			return err
		}
		if ended {
			return nil
		}
	}
}

// hear lets a question hear what comes until Enter is pressed; a nil one lets it pass. The end of the keys, or of the sound, is io.EOF.
func (l *listening) hear(ctx context.Context, in *intake, enter *pipe, question *gemma4.Listener) error {
	for {
		select {
		case _, ok := <-enter.lines:
			if !ok {
				return io.EOF
			}
			if question != nil { // what is there still was said before
				samples, err := in.rest()
				if len(samples) > 0 {
					err = question.Push(ctx, samples)
				}
				return err
			}
			in.rest()
			return nil
		case <-in.arrived:
			samples, err := in.rest()
			if question != nil && len(samples) > 0 {
				if err := question.Push(ctx, samples); err != nil {
					return err
				}
				l.Status(fmt.Sprintf("heard %.1f s", question.Heard().Seconds()))
			}
			if err == io.EOF && question == nil { // no sound will come any more
				return err
			}
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
