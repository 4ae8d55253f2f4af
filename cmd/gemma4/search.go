package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"image"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// box is what -detect finds, as JSON.
type box struct {
	Label string `json:"label"`
	Box   [4]int `json:"box"` // left, top, right, bottom; the last two are outside
}

// point is what -point finds.
type point struct {
	Label string `json:"label"`
	At    [2]int `json:"at"` // x, y
}

// searches counts the flags that look for something.
func (s *see) searches() (n int) {
	for _, given := range []bool{s.detect != "", s.point != "", s.ocr} {
		if given {
			n++
		}
	}
	return n
}

// search looks for what is to be found in a picture, and prints it.
func (s *see) search(ctx context.Context, m image.Image, x sight, label string) error {
	budget := s.files.budget
	if s.ocr {
		budget = chat.HighBudget
	}
	p, err := s.m.Picture(m, budget)
	if err != nil {
		return err
	}
	x.Tokens = p.Tokens()
	o := gemma4.DetectOptions{SessionOptions: *s.session, GenerateOptions: s.generation(), Budget: budget, Most: *s.found}
	var lines []string
	var drawing *canvas
	if s.draw != "" {
		drawing = newCanvas(m)
	}
	switch {
	case s.ocr:
		text, err := s.m.ReadText(ctx, m,
			gemma4.ReadOptions{SessionOptions: o.SessionOptions, GenerateOptions: o.GenerateOptions, Tiles: true})
		if err != nil {
			return err
		}
		x.Answer, lines = &text, strings.Split(text, "\n")
		if text == "" {
			lines = nil
		}
	case s.detect != "":
		boxes, err := s.m.Detect(ctx, m, s.detect, o)
		if err != nil {
			return err
		}
		x.Boxes = &[]box{}
		for _, b := range boxes {
			r := b.Rect
			*x.Boxes = append(*x.Boxes, box{b.Label, [4]int{r.Min.X, r.Min.Y, r.Max.X, r.Max.Y}})
			lines = append(lines, fmt.Sprintf("%d %d %d %d %s", r.Min.X, r.Min.Y, r.Max.X, r.Max.Y, b.Label))
			drawing.box(r, b.Label)
		}
	default:
		marks, err := s.m.Point(ctx, m, s.point, o)
		if err != nil {
			return err
		}
		x.Points = &[]point{}
		for _, mark := range marks {
			*x.Points = append(*x.Points, point{mark.Label, [2]int{mark.At.X, mark.At.Y}})
			lines = append(lines, fmt.Sprintf("%d %d %s", mark.At.X, mark.At.Y, mark.Label))
			drawing.point(mark.At, mark.Label)
		}
	}
	if s.asJSON {
		err, lines = s.said.Encode(x), nil
	}
	for _, line := range lines {
		s.printLine(label, line)
	}
	if err = cmp.Or(err, s.Out.Flush()); err != nil || drawing == nil {
		return err
	}
	return writeFile(s.draw, func(w *bufio.Writer) error { return drawing.write(w) })
}
