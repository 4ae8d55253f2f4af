package gemma4

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gogemma/gemma4/chat"
)

// TestMediaTakeTheirPlaces in a prompt, whose literal text and answer move with it.
func TestMediaTakeTheirPlaces(t *testing.T) {
	picture, sound := medium{place: imagePlace, text: "[picture]"}, medium{place: audioPlace, text: "[sound][sound]"}
	for name, c := range map[string]struct {
		text   string // « stands before literal bytes, ¶ before the answer
		all    []medium
		want   string
		failed string
	}{
		"none": {text: "«<|turn>user", want: "«<|turn>user"},
		"one":  {text: "a <|image|> b", all: []medium{picture}, want: "a [picture] b"},
		"in order": {text: "<|audio|><|image|><|image|>¶c", all: []medium{sound, picture, picture},
			want: "[sound][sound][picture][picture]¶c"},
		"literal":       {text: "«<|image|> <|image|> «<|audio|>", all: []medium{picture}, want: "«<|image|> [picture] «<|audio|>"},
		"behind answer": {text: "a¶b <|image|>«<c", all: []medium{picture}, want: "a¶b [picture]«<c"},
		"answer at end": {text: "<|image|>¶", all: []medium{picture}, want: "[picture]¶"},
		"wrong kind": {text: "a <|audio|> <|image|>", all: []medium{picture},
			failed: "writes <|audio|> where the conversation has what belongs to <|image|>"},
		"left out":     {text: "a <|image|>", all: []medium{picture, sound}, failed: "leaves out 1 of the conversation's 2"},
		"all left out": {text: "a «<|image|>", all: []medium{picture}, failed: "leaves out 1 of the conversation's 1"},
		"more than given": {text: "a <|image|> <|image|> b", all: []medium{picture},
			failed: "writes <|image|>, for which the conversation has nothing"},
		"none given": {text: "a <|video|>", failed: "writes <|video|>, for which the conversation has nothing"},
	} {
		got, err := placed(marked(c.text), c.all)
		switch {
		case c.failed != "":
			if err == nil || !strings.Contains(err.Error(), c.failed) {
				t.Errorf("%s: %v, want %s", name, err, c.failed)
			}
		case err != nil:
			t.Errorf("%s: %v", name, err)
		default:
			if want := marked(c.want); got.Text != want.Text || !slices.Equal(got.Literal, want.Literal) || got.Answer != want.Answer {
				t.Errorf("%s: %+v, want %+v", name, got, want)
			}
		}
	}
}

// marked reads a prompt in which « stands before literal bytes and ¶ before the answer.
func marked(text string) chat.Prompt {
	p := chat.Prompt{Answer: -1}
	var b strings.Builder
	for _, r := range text {
		switch r {
		case '«':
			p.Literal = append(p.Literal, b.Len())
		case '¶':
			p.Answer = b.Len()
		default:
			b.WriteRune(r)
		}
	}
	if p.Text = b.String(); p.Answer < 0 {
		p.Answer = len(p.Text)
	}
	return p
}

// TestFramesHaveTheirTimes as the models know them, also behind the first hour.
func TestFramesHaveTheirTimes(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "00:00", 999 * time.Millisecond: "00:00", 61500 * time.Millisecond: "01:01", 75 * time.Minute: "75:00",
		100 * time.Hour: "6000:00",
	} {
		if got := clock(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}
