package gemma4_test

import (
	"context"
	"errors"
	"image"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
)

// TestWhatIsFoundLiesInThePicture, whatever a model writes: nano has never heard of boxes.
func TestWhatIsFoundLiesInThePicture(t *testing.T) {
	m := openSenses(t)
	img := photo(t, 1).Image
	few := gemma4.DetectOptions{Budget: 70, Most: 3}
	hot := few
	hot.Sampling.Temperature, hot.Sampling.Seed = new(2.0), new(uint64(3))
	short := few
	short.MaxTokens = 40
	none := few
	none.MaxTokens = 2
	for i, o := range []gemma4.DetectOptions{few, hot, short, none} {
		boxes, err := m.Detect(ctx, img, "all shapes", o)
		if err != nil || len(boxes) > o.Most {
			t.Errorf("options %d: %v, %v", i, boxes, err)
		}
		for _, b := range boxes {
			if r := b.Rect; r.Min.X > r.Max.X || r.Min.Y > r.Max.Y || r.Union(img.Bounds()) != img.Bounds() {
				t.Errorf("options %d: %v in %v", i, b, img.Bounds())
			}
		}
		marks, err := m.Point(ctx, img, "all shapes", o)
		if err != nil || len(marks) > o.Most {
			t.Errorf("options %d: %v, %v", i, marks, err)
		}
		for _, p := range marks {
			if !p.At.In(img.Bounds()) {
				t.Errorf("options %d: %v in %v", i, p, img.Bounds())
			}
		}
		if i == 0 && len(boxes)+len(marks) == 0 {
			t.Error("nano is expected to find something, if only nonsense")
		}
	}
	ended, end := context.WithCancel(ctx)
	end()
	if _, err := m.Detect(ended, img, "all shapes", few); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	few.Most = -1
	if _, err := m.Detect(ctx, img, "all shapes", few); err == nil {
		t.Error("no error for fewer than none")
	}
	if _, err := m.Detect(ctx, nil, "all shapes", gemma4.DetectOptions{}); err == nil {
		t.Error("no error for no picture")
	}
	blind := openNano(t, gemma4.Loader{})
	if _, err := blind.Point(ctx, img, "all shapes", gemma4.DetectOptions{}); !errors.Is(err, gemma4.ErrSense) {
		t.Error(err)
	}
	if _, err := blind.ReadText(ctx, img, gemma4.ReadOptions{}); !errors.Is(err, gemma4.ErrSense) {
		t.Error(err)
	}
}

// TestLargePagesAreReadInStrips, each of which the model sees at its largest budget.
func TestLargePagesAreReadInStrips(t *testing.T) {
	m := openSenses(t)
	page := image.NewGray(image.Rect(5, 5, 1605, 2405)) // 3.8 megapixels
	for i := range page.Pix {
		page.Pix[i] = byte(i / 7000)
	}
	before := m.Stats().Pictures
	o := gemma4.ReadOptions{Tiles: true, GenerateOptions: gemma4.GenerateOptions{MaxTokens: 5}}
	if _, err := m.ReadText(ctx, page, o); err != nil {
		t.Fatal(err)
	}
	s := m.Stats().Pictures
	if n, tokens := s.Encoded-before.Encoded, s.Tokens-before.Tokens; n != 2 || tokens < 2000 {
		t.Errorf("%d pictures of %d tokens", n, tokens)
	}
}

// TestValuesAreFilledFromPictures: what nano says of them, in the form of a type.
func TestValuesAreFilledFromPictures(t *testing.T) {
	m := openSenses(t)
	type seen struct {
		Color string `json:"color" enum:"red,green,blue,yellow,black,white"`
		Shape string `json:"shape" enum:"circle,square,triangle,star"`
	}
	c := newChat(t, m, gemma4.ChatOptions{})
	part := photo(t, 4)
	got, err := gemma4.Generate[seen](ctx, c, "What do you see?", part)
	if err != nil || got.Color == "" || got.Shape == "" {
		t.Errorf("%+v, %v", got, err)
	}
	if p := promptOf(t, m, gemma4.ChatOptions{}, c.Messages[0]); !strings.Contains(p, "<image|>What do you see?<turn|>") {
		t.Errorf("the picture is not before the text: %.60q…", p)
	}
	n := 0
	for _, err := range gemma4.GenerateSeq[seen](ctx, c, "And now?", part) {
		if n++; err != nil {
			t.Error(err)
		}
	}
	if n == 0 || len(c.Messages) != 4 {
		t.Errorf("%d values, %d messages", n, len(c.Messages))
	}
}

// TestCallsByVoice: a spoken message, with tools, where one has to be called. What nano makes of that is nonsense in the right form.
func TestCallsByVoice(t *testing.T) {
	m := openSenses(t)
	called := 0
	tool, err := gemma4.Tool("multiply", "Multiplies.", func(_ context.Context, in struct{ A, B int32 }) (int64, error) {
		called++
		return int64(in.A) * int64(in.B), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	o := gemma4.ChatOptions{Tools: []chat.Tool{tool}, Calls: grammar.CallOptions{Choice: grammar.Required, Single: true}}
	o.MaxTokens = 60
	samples := voice(t, 3)
	c := newChat(t, m, o)
	for _, err := range c.Run(ctx, "", chat.AudioPart(samples)) {
		if err != nil {
			t.Fatal(err)
		}
	}
	if called != 1 || len(c.Messages) != 4 || c.Messages[0].Parts[0].Type != "audio" || len(c.Messages[1].ToolCalls) != 1 {
		t.Fatalf("%d calls: %+v", called, c.Messages[1:])
	}
	want := c.Messages[1].ToolCalls[0]
	// While it is spoken it is the same call.
	c = newChat(t, m, o)
	l := listen(t, c)
	push(t, l, samples, every(5000))
	answer, err := gemma4.Collect(l.Answer(ctx))
	if err != nil || len(answer.ToolCalls) != 1 || string(answer.ToolCalls[0].Arguments) != string(want.Arguments) {
		t.Errorf("%+v, %v, want %+v", answer, err, want)
	}
	if caption, err := listenTo(t, c, samples).Caption(ctx, gemma4.CaptionOptions{Prompt: "Transcribe."}); err != nil ||
		caption.Text+caption.Tentative == "" {
		t.Errorf("%+v, %v", caption, err)
	}
	if !slices.ContainsFunc(c.Messages, func(m chat.Message) bool { return len(m.ToolCalls) > 0 }) {
		t.Error("the call is no part of the conversation")
	}
}

func listenTo(t *testing.T, c *gemma4.Chat, samples []float32) *gemma4.Listener {
	l := listen(t, c)
	push(t, l, samples, every(5000))
	return l
}
