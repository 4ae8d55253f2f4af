package gemma4

import (
	"cmp"
	"context"
	"fmt"
	"image"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/internal/pixel"
)

// ReadOptions say how [Model.ReadText] reads. The zero value is a good choice.
type ReadOptions struct {
	SessionOptions
	// GenerateOptions hold for each answer. Without a Temperature it is the most likely one.
	GenerateOptions
	// Prompt is what the model is told behind the picture; empty: to write down all text, line by line.
	Prompt string
	// Tiles reads a page of more than 2.6 megapixels, all that a model sees of a picture, in strips as wide as the page that overlap, each
	// by itself. What two strips have read alike is there once.
	Tiles bool
}

// readPrompt asks for text.
const readPrompt = "Write down all text in this picture, line by line, as it is. Output only the text."

// ReadText returns the text in a picture, which the model sees at its largest budget, [chat.HighBudget].
//
//	text, err := m.ReadText(ctx, scan, gemma4.ReadOptions{Tiles: true})
//
// For tables and forms see [Generate], which fills a Go value from a picture.
func (m *Model) ReadText(ctx context.Context, img image.Image, o ReadOptions) (string, error) {
	s, err := m.eyes()
	if err != nil {
		return "", fmt.Errorf("gemma4: to read a picture: %w", err)
	}
	if img == nil {
		return "", fmt.Errorf("gemma4: to read a picture: there is none")
	}
	c, err := m.reader(o.SessionOptions, o.GenerateOptions)
	if err != nil {
		return "", err
	}
	defer c.Close()
	tiles := []image.Image{img}
	if most := int(chat.HighBudget) * s.TokenSide() * s.TokenSide(); o.Tiles && pixels(img) > int64(most) {
		if tiles, err = strips(img, most); err != nil {
			return "", wrap(err)
		}
	}
	var lines []string
	for _, t := range tiles {
		c.Messages = nil
		ask := asked(cmp.Or(o.Prompt, readPrompt), []chat.Part{{Type: "image", Image: t, Budget: chat.HighBudget}})
		answer, err := Collect(c.Send(ctx, ask))
		lines = joined(lines, strings.Split(strings.TrimSpace(answer.Content), "\n"))
		if err != nil {
			return strings.Join(lines, "\n"), err
		}
	}
	return strings.Join(lines, "\n"), nil
}

func pixels(img image.Image) int64 { return int64(img.Bounds().Dx()) * int64(img.Bounds().Dy()) }

// strips cuts a picture into strips of its width, of at most so many pixels where that leaves them a sensible shape. Each has an eighth of
// itself, or more, in common with the next.
func strips(img image.Image, most int) ([]image.Image, error) {
	width, height, rgb, err := pixel.RGB(img)
	if err != nil {
		return nil, err
	}
	var all []image.Image
	for _, at := range cuts(height, max(most/width, width/8, 8)) {
		n := at[1] - at[0]
		all = append(all, &pixel.Image{Width: width, Height: n, Pix: rgb[3*width*at[0]:][:3*width*n]})
	}
	return all, nil
}

// cuts covers a length with pieces of a size, each of which has an eighth of itself, or more, in common with the next.
func cuts(length, size int) (all [][2]int) {
	if length <= size {
		return [][2]int{{0, length}}
	}
	overlap := size / 8
	n := (length - overlap + size - overlap - 1) / (size - overlap)
	for i := range n {
		begin := int(int64(length-size) * int64(i) / int64(n-1))
		all = append(all, [2]int{begin, begin + size})
	}
	return all
}

// joined returns the lines of two overlapping pieces of a text, one below the other. Lines that both end and begin with are there once; the
// outermost of these lines may have been cut through, and then counts where it was not. If they have nothing in common, nothing is lost.
func joined(above, below []string) []string {
	const cut = 2 // lines that may have been cut through
	most, end, begin := 0, len(above), 0
	for left := range min(cut+1, len(above)) {
		for skipped := range min(cut+1, len(below)) {
			least := 1 // letters
			if left+skipped > 0 {
				least = 8 // to be no chance
			}
			for n := min(len(above)-left, len(below)-skipped); n > most; n-- {
				if a := above[len(above)-left-n : len(above)-left]; slices.EqualFunc(a, below[skipped:skipped+n], sameLine) &&
					len(strings.Join(strings.Fields(strings.Join(a, "")), "")) >= least {
					most, end, begin = n, len(above)-left, skipped+n
				}
			}
		}
	}
	return slices.Concat(above[:end], below[begin:])
}

// sameLine reports whether two lines have the same words.
func sameLine(a, b string) bool { return slices.Equal(strings.Fields(a), strings.Fields(b)) }
