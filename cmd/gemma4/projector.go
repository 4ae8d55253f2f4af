package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/model"
)

// towers are what a projector takes, and what that takes of it.
type towers struct {
	Image    string          `json:"image,omitempty"` // what looks at pictures
	Sound    string          `json:"sound,omitempty"` // and hears
	Width    int             `json:"width"`           // of the models that it is for
	Error    string          `json:"error,omitempty"` // why it is of no use
	Pictures []pictureMemory `json:"pictures,omitempty"`
	Second   int64           `json:"second,omitempty"` // bytes while a second of sound is heard
}

// pictureMemory is what looking at a picture takes, at a budget.
type pictureMemory struct {
	Budget int   `json:"budget"` // tokens
	Bytes  int64 `json:"bytes"`
}

// newTowers looks at a projector, for models of the width that its own projections have.
func newTowers(f *gguf.File) *towers {
	x := &towers{}
	for _, name := range []string{"mm.input_projection.weight", "mm.a.input_projection.weight"} {
		if t := f.Tensor(name); t != nil && len(t.Dims) == 2 {
			x.Width = t.Dims[1]
		}
	}
	p, err := model.OpenProjector(f, &model.Config{Width: x.Width}, model.Options{Workers: 1, AllowUnknown: true})
	if err != nil {
		x.Error = err.Error()
		return x
	}
	defer p.Close()
	x.Image, x.Sound = p.Image, p.Sound
	if side := p.TokenSide(); side > 0 {
		for _, budget := range model.Budgets {
			w, h, err := model.Fit(1, 1, budget, side)
			if err != nil {
				x.Error = err.Error()
				return x
			}
			if bytes := p.SightBytes(w, h); bytes > 0 { // else there are more patches than its table has positions for
				x.Pictures = append(x.Pictures, pictureMemory{budget, bytes})
			}
		}
	}
	if x.Sound != "" {
		x.Second = p.HearingBytes(p.SoundTokens(gemma4.SampleRate))
	}
	return x
}

// print says what a projector is for.
func (x *towers) print(w io.Writer) {
	if x.Error != "" {
		fmt.Fprintf(w, "\nprojector: of no use, %s\n", printable(x.Error))
		return
	}
	senses := model.Senses{Image: x.Image, Sound: x.Sound}
	fmt.Fprintf(w, "\nprojector: %v, for models of width %d\n", &senses, x.Width)
	right := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, p := range x.Pictures {
		fmt.Fprintf(right, "  a picture of %d tokens takes\t%s\t\n", p.Budget, cli.Bytes(p.Bytes))
	}
	if x.Second > 0 {
		fmt.Fprintf(right, "  a second of sound takes\t%s\t\n", cli.Bytes(x.Second))
	}
	right.Flush()
}
