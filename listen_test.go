package gemma4_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// push lets a listener hear samples in pieces of its own lengths.
func push(t testing.TB, l *gemma4.Listener, samples []float32, cut func(i int) int) {
	t.Helper()
	for i := 0; len(samples) > 0; i++ {
		n := min(max(1, cut(i)), len(samples))
		if err := l.Push(ctx, samples[:n]); err != nil {
			t.Fatal(err)
		}
		samples = samples[n:]
	}
}

func listen(t testing.TB, c *gemma4.Chat, before ...chat.Part) *gemma4.Listener {
	t.Helper()
	l, err := c.Listen(ctx, before...)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func every(n int) func(int) int { return func(int) int { return n } }

func TestSpokenQuestionsAreAnsweredWhileTheyAreSpoken(t *testing.T) {
	m := openSenses(t)
	for i, q := range askedWith(t, "sound") {
		c := newChat(t, m, gemma4.ChatOptions{})
		var before []chat.Part
		if q.Content[0].Type == "text" {
			before = append(before, chat.TextPart(q.Content[0].Text))
		}
		l := listen(t, c, before...)
		push(t, l, voice(t, i+1), every(800))
		got := replied(t, c, l.Answer(ctx)).text
		if want := strings.TrimSuffix(q.Answer, "<turn|>"); got != want {
			t.Errorf("%s: %q, want %q", q.File, got, want)
		}
	}
}

// TestStreamedIsWhole: whatever the pieces in which a sound comes, the answer has the bytes of the answer to the whole.
func TestStreamedIsWhole(t *testing.T) {
	short, long := voice(t, 1), speech(t)
	text := func(s string) []chat.Part { return []chat.Part{chat.TextPart(s)} }
	for i, k := range gemma4.Levels() {
		t.Run(k.Name, func(t *testing.T) {
			t.Setenv("GEMMA4_CPU", k.Name)
			m := openSenses(t)
			for _, test := range []struct {
				name          string
				before, after []chat.Part
				samples       []float32
				asked         bool // something before
				ways          int
			}{
				{"alone", nil, nil, short, false, 20},
				{"behind text", text("Transcribe."), nil, short, false, 4},
				{"before text", nil, text(" Transcribe. "), short, false, 4},
				{"between, later", text("Listen:"), text("Transcribe."), short, true, 4},
				{"short", nil, nil, short[:161], false, 4},
				{"a token and a sample", nil, nil, short[:641], false, 4},
				{"just 30 s", nil, nil, long[:30*gemma4.SampleRate], false, 1},
				{"30 s and a sample", nil, nil, long[:30*gemma4.SampleRate+1], false, 2},
				{"a minute", text("Transcribe."), nil, long, false, 5},
			} {
				if i+1 < len(gemma4.Levels()) { // all the rest at the highest
					test.ways = (test.ways + 3) / 4
				}
				if n := len(test.samples); n > len(short) && (i+1 < len(gemma4.Levels()) || testing.Short() || racing) {
					continue
				}
				begin := func() *gemma4.Chat {
					c := newChat(t, m, gemma4.ChatOptions{})
					if test.asked {
						answer(t, c, chat.Message{Role: "user", Content: "What is the capital of France?"})
					}
					return c
				}
				c := begin()
				want := replied(t, c, c.Say(ctx, slices.Concat(test.before, []chat.Part{chat.AudioPart(test.samples)}, test.after)...))
				for way := range test.ways {
					random := rand.New(rand.NewPCG(uint64(way), 1))
					cut := []func(int) int{
						every(len(test.samples)), every(1600), every(641), every(7919), func(int) int { return 1 + random.IntN(9000) },
					}[way%5]
					m = openSenses(t) // with no embeddings of the whole
					c := begin()
					l := listen(t, c, test.before...)
					l.Group = []int{0, 1, 4, 12}[way/5]
					push(t, l, test.samples, cut)
					if got := replied(t, c, l.Answer(ctx, test.after...)); !got.equal(want) {
						t.Errorf("%s, way %d: %q, want %q", test.name, way, got.text, want.text)
					}
				}
			}
		})
	}
}

// TestSpeechIsEncodedOnce, but for what comes again where a long sound is cut.
func TestSpeechIsEncodedOnce(t *testing.T) {
	m := openSenses(t)
	for i, q := range askedWith(t, "sound") {
		before := m.Stats().Sounds
		c := newChat(t, m, gemma4.ChatOptions{})
		samples := voice(t, i+1)
		l := listen(t, c)
		push(t, l, samples, every(1000))
		if got := l.Heard(); got != time.Duration(len(samples))*time.Second/gemma4.SampleRate {
			t.Errorf("%s: heard %v of %d samples", q.File, got, len(samples))
		}
		replied(t, c, l.Answer(ctx))
		s := m.Stats().Sounds
		if n := s.Encoded - before.Encoded; n != 1 || s.Reused-before.Reused > 1 {
			t.Errorf("%s: %d sounds encoded, %d reused", q.File, n, s.Reused-before.Reused)
		}
		tokens := int((len(samples)+160-321)/160+4) / 4
		if n := s.Tokens - before.Tokens; int(n) != tokens {
			t.Errorf("%s: %d tokens encoded, expected %d", q.File, n, tokens)
		}
		// Of the message, the end of the sound and what comes behind it are left to read when it has ended.
		if r := c.Result(); r.Prompt > 8+2+10 || r.Reused < tokens-8 {
			t.Errorf("%s: %d positions read after the sound, %d were there", q.File, r.Prompt, r.Reused)
		}
	}
}

func TestAFailedPushIsNotHeard(t *testing.T) {
	m := openSenses(t)
	samples := voice(t, 3)
	c := newChat(t, m, gemma4.ChatOptions{})
	want := replied(t, c, c.Say(ctx, chat.AudioPart(samples)))

	c = newChat(t, m, gemma4.ChatOptions{})
	l := listen(t, c)
	ended, end := context.WithCancel(ctx)
	end()
	half := len(samples) / 2
	push(t, l, samples[:half], every(3000))
	bad := slices.Clone(samples[half:])
	bad[5] = float32(math.NaN())
	if err := l.Push(ctx, bad); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("sample %d is NaN", half+5)) {
		t.Errorf("NaN: %v", err)
	}
	if err := l.Push(ended, samples[half:]); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	if _, err := l.Caption(ended, gemma4.CaptionOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("a caption with an ended context: %v", err)
	}
	for _, err := range l.Answer(ended) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("an answer with an ended context: %v", err)
		}
	}
	if n := len(c.Messages); n != 0 {
		t.Fatalf("%d messages", n)
	}
	for range c.Ask(ctx, "What is the capital of France?") {
		if err := l.Push(ctx, samples[half:]); !errors.Is(err, gemma4.ErrBusy) {
			t.Errorf("beside an answer: %v", err)
		}
		if _, err := c.Listen(ctx); !errors.Is(err, gemma4.ErrBusy) {
			t.Errorf("another beside an answer: %v", err)
		}
		break
	}
	c.Messages = nil
	if got, want := l.Heard(), time.Duration(half)*time.Second/gemma4.SampleRate; got != want {
		t.Errorf("heard %v, want %v", got, want)
	}
	push(t, l, samples[half:], every(3000))
	first := true
	got := replied(t, c, func(yield func(gemma4.Token, error) bool) {
		for tok, err := range l.Answer(ctx) {
			if first {
				first = false
				if err := l.Push(ctx, samples); !errors.Is(err, gemma4.ErrBusy) {
					t.Errorf("within the answer: %v", err)
				}
				if _, err := l.Caption(ctx, gemma4.CaptionOptions{}); !errors.Is(err, gemma4.ErrBusy) {
					t.Errorf("a caption within the answer: %v", err)
				}
			}
			if !yield(tok, err) {
				return
			}
		}
	})
	if !got.equal(want) {
		t.Errorf("after failures: %q, want %q", got.text, want.text)
	}
	if err := l.Push(ctx, samples); err == nil {
		t.Error("a message that was answered goes on")
	}
	if _, err := gemma4.Collect(l.Answer(ctx)); err == nil {
		t.Error("a message is answered twice")
	}
	if n := len(c.Messages); n != 2 {
		t.Errorf("%d messages", n)
	}
}

// TestNobodyWaitsForAnAnswerToEnd: who has waited for another call when an answer begins is refused then, and all others at once.
func TestNobodyWaitsForAnAnswerToEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, goOn := make(chan struct{}), make(chan struct{})
		first := sync.OnceFunc(func() { close(begun); <-goOn })
		c := newChat(t, openSenses(t), gemma4.ChatOptions{})
		l, samples := listen(t, c), voice(t, 3)
		c.Options.Progress = func(int, int) { first() }
		var all sync.WaitGroup
		all.Go(func() {
			if err := l.Push(ctx, samples); err != nil {
				t.Error(err)
			}
		})
		<-begun
		later := make(chan error, 1)
		all.Go(func() {
			n := 0
			for _, err := range l.Answer(ctx) {
				if n++; err != nil {
					t.Error(err)
				}
				if n > 1 {
					continue
				}
				if err := <-later; !errors.Is(err, gemma4.ErrBusy) {
					t.Errorf("what has waited: %v", err)
				}
				if got := l.Heard(); got != time.Duration(len(samples))*time.Second/gemma4.SampleRate {
					t.Errorf("heard %v of %d samples", got, len(samples))
				}
			}
		})
		synctest.Wait() // the answer is next
		all.Go(func() { later <- l.Push(ctx, samples) })
		synctest.Wait()
		close(goOn)
		all.Wait()
	})
}

func TestWhatListensNeedsEars(t *testing.T) {
	m := openNano(t, gemma4.Loader{})
	c := newChat(t, m, gemma4.ChatOptions{})
	if _, err := c.Listen(ctx); !errors.Is(err, gemma4.ErrSense) {
		t.Error(err)
	}
	if _, err := m.NewCaptions(gemma4.CaptionsOptions{}); !errors.Is(err, gemma4.ErrSense) {
		t.Error(err)
	}
	if _, err := gemma4.Segments(m.Transcribe(ctx, make([]float32, 16000), gemma4.TranscribeOptions{})); !errors.Is(err, gemma4.ErrSense) {
		t.Error(err)
	}
	c = newChat(t, openSenses(t), gemma4.ChatOptions{})
	for name, samples := range map[string][]float32{"nothing": nil, "too little": make([]float32, 160)} {
		l := listen(t, c)
		if err := l.Push(ctx, samples); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := gemma4.Collect(l.Answer(ctx)); err == nil || !strings.Contains(err.Error(), "too short") || len(c.Messages) != 0 {
			t.Errorf("%s: %v, %d messages", name, err, len(c.Messages))
		}
	}
}

func TestSpeechThatDoesNotFitIsAnError(t *testing.T) {
	m := openSenses(t)
	long := speech(t)
	for _, full := range []gemma4.Full{gemma4.FullStop, gemma4.FullDrop} {
		c := newChat(t, m, gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Context: 300}, Full: full})
		l := listen(t, c)
		var err error
		at := 0
		for ; at < len(long) && err == nil; at += 8000 {
			err = l.Push(ctx, long[at:at+8000])
		}
		var context *gemma4.ContextError
		if !errors.As(err, &context) || at < 250*640 || at > 320*640 {
			t.Errorf("%v: %v after %d samples", full, err, at)
		}
		if got := l.Heard(); got != time.Duration(at-8000)*time.Second/gemma4.SampleRate {
			t.Errorf("%v: heard %v of %d samples", full, got, at)
		}
	}
	// What is old makes room for what is said.
	drop := gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Context: 100}, Full: gemma4.FullDrop}
	samples := voice(t, 3)
	talk := func(speak func(c *gemma4.Chat) reply) reply {
		c := newChat(t, m, drop)
		for range 4 {
			answer(t, c, chat.Message{Role: "user", Content: "What is the capital of France?"})
		}
		x := speak(c)
		if c.Result().Dropped == 0 {
			t.Error("nothing was dropped")
		}
		return x
	}
	want := talk(func(c *gemma4.Chat) reply { return replied(t, c, c.Say(ctx, chat.AudioPart(samples))) })
	got := talk(func(c *gemma4.Chat) reply {
		l := listen(t, c)
		push(t, l, samples, every(4000))
		return replied(t, c, l.Answer(ctx))
	})
	if !got.equal(want) {
		t.Errorf("%q, want %q", got.text, want.text)
	}
}

// TestAListenerThatIsDroppedLeavesNothing, nor does one whose chat goes on with something else in between.
func TestAListenerThatIsDroppedLeavesNothing(t *testing.T) {
	m := openSenses(t)
	samples := voice(t, 5)
	ask := chat.Message{Role: "user", Content: "What is the capital of France?"}
	c := newChat(t, m, gemma4.ChatOptions{})
	first := replied(t, c, c.Send(ctx, ask))
	second := replied(t, c, c.Say(ctx, chat.AudioPart(samples)))

	c = newChat(t, m, gemma4.ChatOptions{})
	push(t, listen(t, c), samples, every(2000))
	l := listen(t, c)
	push(t, l, samples[:9000], every(2000))
	if got := replied(t, c, c.Send(ctx, ask)); !got.equal(first) {
		t.Errorf("%q, want %q", got.text, first.text)
	}
	push(t, l, samples[9000:], every(2000))
	if got := replied(t, c, l.Answer(ctx)); !got.equal(second) {
		t.Errorf("%q, want %q", got.text, second.text)
	}
}

// TestListenersInCompany: several, with captions, beside others that write, each with the bytes that it has alone.
func TestListenersInCompany(t *testing.T) {
	m := openSenses(t)
	all := askedWith(t, "sound")
	want, samples := make([]reply, len(all)), make([][]float32, len(all))
	for i := range all {
		c := newChat(t, m, gemma4.ChatOptions{})
		samples[i] = voice(t, i+1)
		want[i] = replied(t, c, c.Say(ctx, chat.AudioPart(samples[i])))
	}
	goroutines := runtime.NumGoroutine()
	var group sync.WaitGroup
	for i := range all {
		c, other := newChat(t, m, gemma4.ChatOptions{}), newChat(t, m, gemma4.ChatOptions{})
		group.Go(func() {
			for range 3 {
				if _, err := other.Answer(ctx, "Count from 1 to 10."); err != nil {
					t.Error(err)
				}
			}
		})
		group.Go(func() {
			l, err := c.Listen(ctx)
			if err != nil {
				t.Error(err)
				return
			}
			var captions sync.WaitGroup
			defer captions.Wait()
			for at := 0; at < len(samples[i]); at += 4000 {
				if err := l.Push(ctx, samples[i][at:min(at+4000, len(samples[i]))]); err != nil {
					t.Error(err)
				}
				captions.Go(func() {
					if _, err := l.Caption(ctx, gemma4.CaptionOptions{Prompt: "Transcribe.", Words: 2}); err != nil {
						t.Error(err)
					}
				})
			}
			captions.Wait()
			if got := replied(t, c, l.Answer(ctx)); !got.equal(want[i]) {
				t.Errorf("%s: %q, want %q", all[i].File, got.text, want[i].text)
			}
		})
	}
	group.Wait()
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > goroutines; runtime.Gosched() { // those that have just ended
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, %d before", runtime.NumGoroutine(), goroutines)
		}
	}
}
