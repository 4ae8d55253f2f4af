package gemma4

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"image"
	"strings"

	"github.com/gogemma/gemma4/chat"
)

// DetectOptions say how [Model.Detect] and [Model.Point] look for things. The zero value is a good choice.
type DetectOptions struct {
	SessionOptions
	// GenerateOptions hold for the answer, whose Grammar is none of the caller's. Without a Temperature it is the most likely one.
	GenerateOptions
	// Budget is the most tokens that the picture may become; 0: that of Loader.Pictures. Small things need more.
	Budget chat.Budget
	// Most is how many things are told at most; 0: 64.
	Most int
	// Prompt is what the model is told, in place of what follows from what is looked for.
	Prompt string
}

// Box is where something is in a picture.
type Box struct {
	Label string          // what it is, in the model's words
	Rect  image.Rectangle // in pixels of the picture, within its bounds
}

// Mark is a point at something in a picture.
type Mark struct {
	Label string      // what it is, in the model's words
	At    image.Point // a pixel of the picture
}

// mostFound is how many things are told unless the options say otherwise.
const mostFound = 64

// Detect finds things in a picture: each has a label and a box around it. What they are is said in words, such as "all red cars". The
// answer is held to the form that the models have learned, so that it can be read whatever they see; if there is nothing it is empty.
//
//	boxes, err := m.Detect(ctx, photo, "cats and dogs", gemma4.DetectOptions{})
//	for _, b := range boxes {
//		fmt.Println(b.Label, b.Rect)
//	}
func (m *Model) Detect(ctx context.Context, img image.Image, what string, o DetectOptions) (boxes []Box, err error) {
	all, err := m.find(ctx, img, "Detect "+what, "box_2d", "ymin, xmin, ymax, xmax", o)
	for _, f := range all {
		boxes = append(boxes, Box{f.Label, f.rect(img.Bounds())})
	}
	return boxes, err
}

// Point is [Model.Detect] that points at each thing.
func (m *Model) Point(ctx context.Context, img image.Image, what string, o DetectOptions) (marks []Mark, err error) {
	all, err := m.find(ctx, img, "Point to "+what, "point", "y, x", o)
	for _, f := range all {
		marks = append(marks, Mark{f.Label, f.at(img.Bounds())})
	}
	return marks, err
}

// found is a thing as the models tell of it.
type found struct {
	Box   [4]int `json:"box_2d"` // ymin, xmin, ymax, xmax
	Point [2]int `json:"point"`  // y, x
	Label string `json:"label"`
}

// thousand is what the models take each side of a picture for.
const thousand = 1000

// rect returns the box in a picture with these bounds: all pixels that it touches, whichever of its corners come first.
func (f found) rect(b image.Rectangle) image.Rectangle {
	y, x := [2]int{f.Box[0], f.Box[2]}, [2]int{f.Box[1], f.Box[3]}
	return image.Rect(
		along(b.Min.X, b.Max.X, min(x[0], x[1]), 0), along(b.Min.Y, b.Max.Y, min(y[0], y[1]), 0),
		along(b.Min.X, b.Max.X, max(x[0], x[1]), thousand-1), along(b.Min.Y, b.Max.Y, max(y[0], y[1]), thousand-1))
}

// at returns the pixel of a picture with these bounds.
func (f found) at(b image.Rectangle) image.Point {
	return image.Pt(min(along(b.Min.X, b.Max.X, f.Point[1], 0), b.Max.X-1), min(along(b.Min.Y, b.Max.Y, f.Point[0], 0), b.Max.Y-1))
}

// along returns where a coordinate lies between two pixels; up is added to what is rounded down.
func along(begin, end, at, up int) int {
	return begin + int((int64(end-begin)*int64(at)+int64(up))/thousand)
}

// find asks for things with a place each, as so many numbers under a key.
func (m *Model) find(ctx context.Context, img image.Image, wish, key, numbers string, o DetectOptions) (all []found, err error) {
	if _, err := m.eyes(); err != nil {
		return nil, fmt.Errorf("gemma4: to look at a picture: %w", err)
	}
	if img == nil {
		return nil, fmt.Errorf("gemma4: to look at a picture: there is none")
	}
	if o.Most < 0 {
		return nil, fmt.Errorf("gemma4: Most %d, expected 0 or more", o.Most)
	}
	o.Most = cmp.Or(o.Most, mostFound)
	n := strings.Count(numbers, ",") + 1
	schema := fmt.Appendf(nil, `{"type": "array", "maxItems": %d, "items": {"type": "object", "properties": {
		"%s": {"type": "array", "minItems": %d, "maxItems": %d, "items": {"type": "integer", "minimum": 0, "maximum": %d}},
		"label": {"type": "string", "maxLength": 80}}, "required": ["%s", "label"], "additionalProperties": false}}`,
		o.Most, key, n, n, thousand, key)
	if o.Prompt == "" {
		o.Prompt = fmt.Sprintf("%s. Answer with a JSON list of {\"%s\": [%s], \"label\": …}, where the numbers are integers from 0 to %d, "+
			"and with an empty list if there is nothing.", wish, key, numbers, thousand)
	}
	if o.MaxTokens == 0 {
		const each = 64 // tokens, of which a digit is one
		o.MaxTokens = each * (o.Most + 1)
	}
	c, err := m.reader(o.SessionOptions, o.GenerateOptions)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	ask := asked(o.Prompt, []chat.Part{{Type: "image", Image: img, Budget: o.Budget}})
	text, err := c.fill(ctx, ask, func() (json.RawMessage, error) { return schema, nil }, func(string) bool { return true })
	if err == nil {
		err = c.decode(text, &all)
	}
	return all, err
}

// reader returns a chat for one answer about a picture, the most likely one unless options say otherwise.
func (m *Model) reader(s SessionOptions, g GenerateOptions) (*Chat, error) {
	g.RepeatGuard = true
	if g.Sampling.Temperature == nil {
		g.Sampling.Temperature = new(0.0)
	}
	return m.NewChat(ChatOptions{SessionOptions: s, GenerateOptions: g})
}
