package gemma4

import (
	"cmp"
	"context"
	"strings"
	"unicode"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/wait"
	"github.com/gogemma/gemma4/sampler"
)

// CaptionOptions say how a [Listener] writes down what it hears. The zero value is a good choice.
type CaptionOptions struct {
	// Prompt is what the model is told behind the sound; empty: the maker's words for a transcription in the sound's own language.
	Prompt string
	// Words is how many words are written at most behind those that are settled; 0: 12. In scripts without spaces each letter is one.
	Words int
}

// Caption is what somebody has said so far, written down. Together its two texts are all of it.
type Caption struct {
	Text      string // what two captions have agreed on, which stays
	Tentative string // what may change still
}

const captionWords = 12

// draft is the caption of a message that is being spoken.
type draft struct {
	turn   chan struct{} // taken while it is written
	prompt string
	Caption
}

// Caption writes down what was heard so far, for somebody to read while the message is spoken: on a copy of the session, so that neither
// the message nor its answer notices. Words that two captions agree on are settled, read by the next one, and not written again. It may be
// called beside Push, on another goroutine, which waits for it moments only.
//
//	for range time.Tick(time.Second) {
//		caption, err := l.Caption(ctx, gemma4.CaptionOptions{})
//		fmt.Printf("\r%s\x1b[2m%s\x1b[0m", caption.Text, caption.Tentative)
//	}
func (l *Listener) Caption(ctx context.Context, o CaptionOptions) (Caption, error) {
	return l.caption(ctx, cmp.Or(o.Prompt, TranscribeOptions{}.prompt()), cmp.Or(max(0, o.Words), captionWords))
}

// caption is Caption with what is said behind the sound, which may be nothing.
func (l *Listener) caption(ctx context.Context, prompt string, words int) (Caption, error) {
	d := &l.draft
	if err := wait.Turn(ctx, d.turn); err != nil {
		return Caption{}, wrap(err)
	}
	defer func() { <-d.turn }()
	if d.prompt != prompt {
		d.prompt, d.Caption = prompt, Caption{}
	}
	f, text, err := l.fork(ctx)
	if err != nil || f == nil {
		return d.Caption, err
	}
	defer f.Close()
	said, err := f.write(ctx, text, words)
	if err != nil {
		return d.Caption, err
	}
	n := agreed(d.Tentative, said)
	d.Text, d.Tentative = d.Text+said[:n], said[n:]
	return d.Caption, nil
}

// fork returns a chat that writes what comes next of the caption, and what it has to read for that; nil: nothing was heard yet.
func (l *Listener) fork(ctx context.Context) (f *Chat, text words, err error) {
	err = l.working(ctx, func() error {
		if l.answered {
			return errAnswered
		}
		heard := medium{place: audioPlace}
		for _, x := range l.heard() {
			if x.Tokens == nil {
				heard.text += audioOpen + audioPlace + audioEnd
				heard.inputs = append(heard.inputs, x)
			}
		}
		if len(heard.inputs) == 0 {
			return nil
		}
		d, o := &l.draft, l.c.Options
		o.GenerateOptions = GenerateOptions{RepeatGuard: true, Sampling: sampler.Overrides{Temperature: new(0.0)}}
		for _, marker := range []string{"<|channel>", "<|tool_call>"} { // text alone
			if id, ok := l.c.m.tok.ID(marker); ok {
				o.Sampling.Suppress = append(o.Sampling.Suppress, id)
			}
		}
		o.Calls, o.FreeCalls, o.Full = grammar.CallOptions{}, true, FullStop
		var after []chat.Part
		if d.prompt != "" {
			after = append(after, chat.TextPart(d.prompt))
		}
		var settled []chat.Message
		if o.Continue = d.Text != ""; o.Continue {
			settled = append(settled, chat.Message{Role: "assistant", Content: d.Text})
		}
		if text, err = l.words(ctx, heard, after, settled...); err != nil {
			return err
		}
		s, err := l.c.s.fork()
		if err != nil {
			return err
		}
		s.options.Prefixes = nil // what it reads is read once
		f = newChat(o, l.c.m)
		f.s, f.Messages = s, settled
		return nil
	})
	return f, text, err
}

// write returns the next words of an answer, at most so many, and no part of one.
func (c *Chat) write(ctx context.Context, text words, most int) (string, error) {
	var b strings.Builder
	c.Options.MaxTokens = 4*most + 4
	err := c.s.claimed(func() error {
		return c.answer(ctx, text, func(t Token) bool {
			if t.Kind == chat.Text {
				b.WriteString(t.Text)
			}
			return len(wordEnds(b.String())) < most
		})
	})
	said := strings.TrimRightFunc(b.String(), unicode.IsSpace)
	ends := wordEnds(said)
	if c.Result().Reason == ReasonEnd {
		ends = append(ends, len(said))
	}
	if len(ends) == 0 {
		return "", err
	}
	return said[:ends[min(most, len(ends))-1]], err
}
