package gemma4_test

import (
	"context"
	"errors"
	"iter"
	"reflect"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// TestAnEndedContextIsAlwaysAnError: every method that takes a context looks at it before it takes what is free, so that what has been left
// ends in the same way each time.
func TestAnEndedContextIsAlwaysAnError(t *testing.T) {
	m := openSenses(t)
	c := newChat(t, m, gemma4.ChatOptions{})
	s := newSession(t, m, gemma4.SessionOptions{})
	if _, err := s.Write(ctx, 2, 3); err != nil { // so that Write of nothing has logits
		t.Fatal(err)
	}
	asked := chat.Message{Role: "user", Content: "What is the capital of France?"}
	c.Messages = []chat.Message{asked}
	speaks := newChat(t, m, gemma4.ChatOptions{})
	l := listen(t, speaks)
	samples := voice(t, 1)
	push(t, l, samples, every(len(samples)))
	captions := newCaptions(t, m, gemma4.CaptionsOptions{Every: -1})
	if _, err := captions.Push(ctx, samples); err != nil {
		t.Fatal(err)
	}
	q, err := m.NewQueue(gemma4.QueueOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	prefixes := gemma4.NewPrefixCache(1 << 20)
	defer prefixes.Close()
	if err := prefixes.Open(ctx, m, t.TempDir(), 1<<20); err != nil {
		t.Fatal(err)
	}
	part := photo(t, 1)
	photo := part.Image
	speech := chat.AudioPart(samples)
	prompt := []gemma4.Input{{Tokens: []int32{2, 3}}}

	calls := map[any]map[string]func(ctx context.Context) error{
		c: {
			"Answer": func(ctx context.Context) error { _, err := c.Answer(ctx, "Hello"); return err },
			"Ask":    func(ctx context.Context) error { return last(c.Ask(ctx, "Hello")) },
			"Decide": func(ctx context.Context) error { _, err := c.Decide(ctx, []string{"Yes", "No"}, asked); return err },
			"Listen": func(ctx context.Context) error { _, err := c.Listen(ctx, chat.TextPart("Hello")); return err },
			"Prompt": func(ctx context.Context) error { _, err := c.Prompt(ctx); return err },
			"Read":   func(ctx context.Context) error { return c.Read(ctx) },
			"Run":    func(ctx context.Context) error { return last(c.Run(ctx, "Hello")) },
			"Say":    func(ctx context.Context) error { return last(c.Say(ctx, part, speech)) },
			"Send":   func(ctx context.Context) error { return last(c.Send(ctx, asked)) },
		},
		l: {
			"Answer":  func(ctx context.Context) error { return last(l.Answer(ctx)) },
			"Caption": func(ctx context.Context) error { _, err := l.Caption(ctx, gemma4.CaptionOptions{}); return err },
			"Push":    func(ctx context.Context) error { return l.Push(ctx, nil) },
		},
		m: {
			"Detect": func(ctx context.Context) error {
				_, err := m.Detect(ctx, photo, "square", gemma4.DetectOptions{})
				return err
			},
			"Fingerprint": func(ctx context.Context) error { _, err := m.Fingerprint(ctx); return err },
			"Point": func(ctx context.Context) error {
				_, err := m.Point(ctx, photo, "square", gemma4.DetectOptions{})
				return err
			},
			"Prefault": func(ctx context.Context) error { return m.Prefault(ctx, gemma4.PrefaultOptions{}) },
			"Prompt": func(ctx context.Context) error {
				_, err := m.Prompt(ctx, chat.Conversation{Messages: []chat.Message{asked}})
				return err
			},
			"ReadText":   func(ctx context.Context) error { _, err := m.ReadText(ctx, photo, gemma4.ReadOptions{}); return err },
			"Transcribe": func(ctx context.Context) error { return last(m.Transcribe(ctx, samples, gemma4.TranscribeOptions{})) },
			"Translate": func(ctx context.Context) error {
				return last(m.Translate(ctx, samples, "French", gemma4.TranscribeOptions{}))
			},
		},
		prefixes: {
			"Open": func(ctx context.Context) error { return prefixes.Open(ctx, m, t.TempDir(), 1<<20) },
			"Save": func(ctx context.Context) error { return prefixes.Save(ctx) },
		},
		q: {
			"Do": func(ctx context.Context) error {
				return q.Do(ctx, gemma4.ChatOptions{}, func(ctx context.Context, _ *gemma4.Chat) error {
					t.Error("Queue.Do: called")
					return ctx.Err()
				})
			},
			"Submit": func(ctx context.Context) error {
				pieces, err := q.Submit(ctx, gemma4.Request{Messages: []chat.Message{asked}})
				if err == nil {
					err = last(pieces)
				}
				return err
			},
		},
		s: {
			"AllLogits": func(ctx context.Context) error {
				return s.AllLogits(ctx, []int32{2, 3}, func(int, []float32) error { return nil })
			},
			"Decide": func(ctx context.Context) error {
				_, err := s.Decide(ctx, prompt, []string{"Yes", "No"}, gemma4.DecideOptions{})
				return err
			},
			"Embed":    func(ctx context.Context) error { _, err := s.Embed(ctx, []int32{2, 3}); return err },
			"Generate": func(ctx context.Context) error { return last(s.Generate(ctx, prompt, gemma4.GenerateOptions{})) },
			"Importance": func(ctx context.Context) error {
				_, err := s.Importance(ctx, []int32{2, 3}, new(gemma4.Importance), nil)
				return err
			},
			"Perplexity": func(ctx context.Context) error { _, err := s.Perplexity(ctx, []int32{2, 3}, nil); return err },
			"Read":       func(ctx context.Context) error { return s.Read(ctx, prompt...) },
			"Write":      func(ctx context.Context) error { _, err := s.Write(ctx, 2); return err },
		},
		captions: {
			"Finish": func(ctx context.Context) error { _, err := captions.Finish(ctx); return err },
			"Push":   func(ctx context.Context) error { _, err := captions.Push(ctx, samples); return err },
		},
	}
	why := errors.New("nobody is there")
	ended, end := context.WithCancelCause(ctx)
	end(why)
	takes := reflect.TypeFor[context.Context]()
	for value, methods := range calls {
		kind := reflect.TypeOf(value)
		for i := range kind.NumMethod() {
			method := kind.Method(i)
			if method.Type.NumIn() < 2 || method.Type.In(1) != takes {
				continue
			}
			name := kind.Elem().Name() + "." + method.Name
			call := methods[method.Name]
			if call == nil {
				if name != "Queue.Shutdown" { // which ends what goes on, and errs only if something does
					t.Errorf("%s is not called here", name)
				}
				continue
			}
			for range 20 {
				if err := call(ended); !errors.Is(err, context.Canceled) || !errors.Is(err, why) {
					t.Errorf("%s: %v, expected that the context has ended, and why", name, err)
					break
				}
			}
		}
	}
	for range 20 {
		if _, err := gemma4.Generate[int](ended, c, "How many?"); !errors.Is(err, context.Canceled) {
			t.Errorf("Generate: %v", err)
		}
		if err := last(gemma4.GenerateSeq[int](ended, c, "How many?")); !errors.Is(err, context.Canceled) {
			t.Errorf("GenerateSeq: %v", err)
		}
	}
	if len(c.Messages) != 1 {
		t.Errorf("messages of calls that failed: %v", c.Messages)
	}
}

// last returns the error that ends a loop.
func last[T any](all iter.Seq2[T, error]) (err error) {
	for _, err = range all {
	}
	return err
}
