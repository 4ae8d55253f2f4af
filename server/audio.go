package server

import (
	"context"
	"errors"
	"io"
	"iter"
	"net/http"
	"strings"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/internal/wait"
	"github.com/gogemma/gemma4/media/sound"
)

// mostSounds is how many files are written down at once, whose sound is in memory meanwhile.
const mostSounds = 4

// transcriptions writes down what is said in a file.
func (c *call) transcriptions() error { return c.transcript("transcribe", "") }

// translations writes it down in English.
func (c *call) translations() error { return c.transcript("translate", "English") }

// transcript answers with what is said in a file, in a language if that is given.
func (c *call) transcript(task, into string) error {
	if err := wait.Turn(c.ctx, c.s.sounds); err != nil {
		return err
	}
	defer func() { <-c.s.sounds }()
	http.NewResponseController(c.w).SetReadDeadline(time.Now().Add(c.s.o.BodyTime)) // the body waits, too
	f, err := c.speech()
	if err != nil {
		return err
	}
	if err := c.known(f.model); err != nil {
		return err
	}
	o := gemma4.TranscribeOptions{Language: f.language, Into: into, Prompt: f.instruction}
	o.Sampling.Temperature = f.temperature
	t := transcript{c: c, duration: time.Duration(len(f.samples)) * time.Second / sound.Rate, task: task, language: f.language, into: into}
	speeches := o.Speeches(f.samples)
	for i := range speeches {
		if err := t.prepare(&f, &speeches[i].Request); err != nil {
			return err
		}
	}
	if f.stream {
		return t.stream(speeches)
	}
	for s, err := range t.segments(speeches) {
		if err != nil {
			return err
		}
		t.all = append(t.all, s)
	}
	return t.write(f.format)
}

// transcript is what is said in a file, as far as it has been written down.
type transcript struct {
	c              *call
	duration       time.Duration
	task, language string
	into           string
	audio          int // positions of the prompts that are sound
	all            []gemma4.Segment
}

// prepare completes the request for a piece of speech: it takes no more of the context than it needs.
func (t *transcript) prepare(f *speechForm, r *gemma4.Request) error {
	parts := r.Messages[0].Parts
	parts[0].Text = f.question(parts[0].Text)
	ids, err := t.c.render(conversationOf(*r))
	if err != nil {
		return err
	}
	if place, ok := t.c.s.m.Tokenizer().ID("<|audio|>"); ok {
		for _, id := range ids {
			if id == place {
				t.audio++
			}
		}
	}
	const turn = 16 // tokens around an answer
	need := len(ids) + r.MaxTokens + turn
	if need > t.c.s.context {
		return &failure{status: http.StatusBadRequest, code: "context_length_exceeded", param: "file", need: need, limit: t.c.s.context,
			message: "a piece of the sound does not fit the context of this server (gemma4 serve -ctx)"}
	}
	r.Context = need
	return nil
}

// segments has pieces of speech written down, several at once, and returns them in their order.
func (t *transcript) segments(speeches []gemma4.Speech) iter.Seq2[gemma4.Segment, error] {
	type written struct {
		segment gemma4.Segment
		err     error
	}
	return func(yield func(gemma4.Segment, error) bool) {
		ctx, cancel := context.WithCancel(t.c.ctx)
		defer cancel()
		ahead := max(1, t.c.s.q.Stats().Slots/2) // others have something to say, too
		var under []chan written
		for len(speeches) > 0 || len(under) > 0 {
			for len(speeches) > 0 && len(under) < ahead {
				s, done := speeches[0], make(chan written, 1)
				go func() {
					segment, err := t.segment(ctx, s)
					done <- written{segment, err}
				}()
				speeches, under = speeches[1:], append(under, done)
			}
			w := <-under[0]
			under = under[1:]
			if !yield(w.segment, w.err) || w.err != nil {
				cancel()
				for _, done := range under {
					<-done
				}
				return
			}
		}
	}
}

// segment has a piece of speech written down. Where the line is full, it waits for as long as it is told to.
func (t *transcript) segment(ctx context.Context, s gemma4.Speech) (gemma4.Segment, error) {
	for first := true; ; first = false {
		pieces, err := t.c.answersWithin(ctx, s.Request)
		var full *gemma4.QueueFullError
		if errors.As(err, &full) && (s.From > 0 || !first) {
			select {
			case <-time.After(min(max(full.Retry, 100*time.Millisecond), 5*time.Second)):
				continue
			case <-ctx.Done():
				return gemma4.Segment{}, context.Cause(ctx)
			}
		}
		if err != nil {
			return gemma4.Segment{}, refused(err)
		}
		choices, err := gemma4.CollectChoices(pieces)
		if err != nil {
			return gemma4.Segment{}, err
		}
		return s.Segment(choices[0]), nil
	}
}

// said is what a segment says, in the language that is wanted.
func (t *transcript) said(s gemma4.Segment) string {
	if t.into != "" && s.Translation != "" {
		return s.Translation
	}
	return s.Text
}

// text is all that is said.
func (t *transcript) text() string {
	var texts []string
	for _, s := range t.all {
		if text := t.said(s); text != "" {
			texts = append(texts, text)
		}
	}
	return strings.Join(texts, " ")
}

// speechUsage are the tokens that a transcript took.
type speechUsage struct {
	Type    string `json:"type"`
	Input   int    `json:"input_tokens"`
	Details struct {
		Text  int `json:"text_tokens"`
		Audio int `json:"audio_tokens"`
	} `json:"input_token_details"`
	Output int `json:"output_tokens"`
	Total  int `json:"total_tokens"`
}

func (t *transcript) usage() (u speechUsage) {
	t.c.mu.Lock()
	defer t.c.mu.Unlock()
	u.Type, u.Input, u.Output, u.Total = "tokens", t.c.prompt, t.c.generated, t.c.prompt+t.c.generated
	u.Details.Audio, u.Details.Text = t.audio, t.c.prompt-t.audio
	return u
}

// write writes all that is said in a format.
func (t *transcript) write(format string) error {
	switch format {
	case "text":
		return t.c.text("text/plain; charset=utf-8", t.text()+"\n")
	case "srt":
		return t.c.text("application/x-subrip; charset=utf-8", gemma4.SRT(t.all))
	case "vtt":
		return t.c.text("text/vtt; charset=utf-8", gemma4.VTT(t.all))
	case "verbose_json":
		return t.verbose()
	}
	return t.c.json(http.StatusOK, struct {
		Text  string      `json:"text"`
		Usage speechUsage `json:"usage"`
	}{t.text(), t.usage()})
}

// verbose writes it with the times of segments.
func (t *transcript) verbose() error {
	type segment struct {
		ID    int     `json:"id"`
		Start float64 `json:"start"` // in seconds
		End   float64 `json:"end"`
		Text  string  `json:"text"`
	}
	list := []segment{}
	for _, s := range t.all {
		if text := t.said(s); text != "" {
			list = append(list, segment{len(list), inSeconds(s.From), inSeconds(s.To), text})
		}
	}
	return t.c.json(http.StatusOK, struct {
		Task     string      `json:"task"`
		Language string      `json:"language"`
		Duration float64     `json:"duration"`
		Text     string      `json:"text"`
		Segments []segment   `json:"segments"`
		Usage    speechUsage `json:"usage"`
	}{t.task, strings.ToLower(t.language), inSeconds(t.duration), t.text(), list, t.usage()})
}

// inSeconds returns a time to the millisecond.
func inSeconds(d time.Duration) float64 { return float64(d.Milliseconds()) / 1000 }

// stream writes each segment as it is known.
func (t *transcript) stream(speeches []gemma4.Speech) error {
	type event struct {
		Type  string       `json:"type"`
		Delta *string      `json:"delta,omitempty"`
		Text  *string      `json:"text,omitempty"`
		Usage *speechUsage `json:"usage,omitempty"`
	}
	var st *stream // begins with the first segment: what fails before that has a status
	before := 0
	for s, err := range t.segments(speeches) {
		if err != nil {
			return err
		}
		if st == nil {
			st = t.c.events()
		}
		t.all = append(t.all, s)
		text := t.text()
		if delta := text[before:]; delta != "" {
			before = len(text)
			if err := st.send("", event{Type: "transcript.text.delta", Delta: &delta}); err != nil {
				return err
			}
		}
	}
	if st == nil {
		st = t.c.events()
	}
	text, usage := t.text(), t.usage()
	return st.last("", event{Type: "transcript.text.done", Text: &text, Usage: &usage})
}

// text writes a whole answer that is no JSON.
func (c *call) text(contentType, text string) error {
	h := c.w.Header()
	h.Set("Content-Type", contentType)
	h.Set("Cache-Control", "no-store")
	c.status = http.StatusOK
	_, err := io.WriteString(c.w, text)
	return err
}
