package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/internal/pause"
	"github.com/gogemma/gemma4/media"
	"github.com/gogemma/gemma4/media/fetch"
	"github.com/gogemma/gemma4/media/sound"
)

// senses read pictures, sounds and videos as a model takes them.
type attachments struct {
	budget chat.Budget // of a picture, and of each frame of a video; 0: what is usual
	ffmpeg bool        // may be run
	m      *gemma4.Model
	note   func(format string, args ...any)
}

// flags defines -budget and -ffmpeg.
func (f *attachments) flags(p *cli.Program) {
	f.budgetFlag(p)
	f.ffmpegFlag(p)
}

func (f *attachments) budgetFlag(p *cli.Program) {
	p.ChoiceVar(&f.budget, "budget", chat.Budget(0), "`tokens` that a picture may take: 70, 140, 280, 560, 1120, low (70), medium (280), "+
		"high (1120, for small writing) or auto, by its size (default: 280, of a video 70 each frame; the embedded model was made for 70)",
		"70", "140", "280", "560", "1120", "low", "medium", "high", "auto")
}

func (f *attachments) ffmpegFlag(p *cli.Program) {
	p.BoolVar(&f.ffmpeg, "ffmpeg", false, "let ffmpeg, if it is installed, decode videos and sounds that are not decoded here")
}

// of takes the model that files are read for.
func (f *attachments) of(m *gemma4.Model, embedded bool) {
	f.m = m
	if embedded { // it has seen nothing else
		f.budget = cmp.Or(f.budget, chat.LowBudget)
	}
}

// sees returns an error if the model takes no pictures.
func (f *attachments) sees() error {
	_, err := f.m.Picture(image.NewGray(image.Rect(0, 0, 1, 1)), chat.LowBudget)
	return err
}

// hears returns an error if the model takes no sounds.
func (f *attachments) hears() error {
	if _, err := f.m.SoundInput(nil); errors.Is(err, gemma4.ErrSense) {
		return err
	}
	return nil
}

// kinds of parts that a file may be taken for; anyKind goes by what it holds.
const (
	anyKind = ""
	picture = "image"
	audio   = "audio"
	video   = "video"
)

// read makes a part of a file, unless the model does not take such parts.
func (f *attachments) read(ctx context.Context, kind, path string) (chat.Part, error) {
	switch kind {
	case picture:
		if err := f.sees(); err != nil {
			return chat.Part{}, err
		}
		m, err := media.OpenPicture(path, media.Options{})
		if err != nil {
			return chat.Part{}, err
		}
		return f.part(m)
	case audio:
		if err := f.hears(); err != nil {
			return chat.Part{}, err
		}
		clip, err := sound.ReadFile(path, sound.Options{FFmpeg: f.program()})
		if err != nil {
			return chat.Part{}, err
		}
		if clip.Truncated {
			f.note("(%s ends early: what there is of it is heard)", filepath.Base(path))
		}
		return chat.AudioPart(clip.Samples), nil
	case video:
		if err := f.sees(); err != nil {
			return chat.Part{}, err
		}
	default:
		if err := f.sees(); err != nil && f.hears() != nil {
			return chat.Part{}, err
		}
	}
	return f.open(ctx, kind, path)
}

// open makes a part of what a file holds.
func (f *attachments) open(ctx context.Context, kind, path string) (chat.Part, error) {
	part, err := fetch.File(ctx, path, fetch.Options{
		FFmpeg: f.program(), Resize: f.resize, Note: func(text string) { f.note("(%s)", text) },
	})
	if err != nil {
		return part, err
	}
	if kind == video {
		switch part.Type {
		case picture:
			part = chat.VideoPart(chat.Frame{Image: part.Image})
		case audio:
			return part, fmt.Errorf("%s: a sound, not a video", filepath.Base(path))
		}
	}
	if part.Type == audio {
		return part, f.hears()
	}
	part.Budget = f.budget
	return part, nil
}

// program is what may decode what is not decoded here.
func (f *attachments) program() string {
	if f.ffmpeg {
		return "ffmpeg"
	}
	return ""
}

func (f *attachments) resize(m image.Image, budget chat.Budget) (image.Image, error) {
	return f.m.Picture(m, cmp.Or(f.budget, budget))
}

// part makes a part of a picture, resized.
func (f *attachments) part(m image.Image) (chat.Part, error) {
	p, err := f.m.Picture(m, f.budget)
	if err != nil {
		return chat.Part{}, err
	}
	part := chat.ImagePart(p)
	part.Budget = f.budget
	return part, nil
}

// folder makes a video of the pictures in a folder, so many a second.
func (f *attachments) folder(dir string, fps float64) (chat.Part, error) {
	clip, err := media.Folder(dir, fps, media.Options{})
	if err != nil {
		return chat.Part{}, err
	}
	chosen, spread := media.Sample(clip.Frames, clip.Duration)
	if spread {
		f.note("(%s has %d pictures: of them %d are seen, spread evenly)", dir, len(clip.Frames), len(chosen))
	}
	var frames []chat.Frame
	for _, c := range chosen {
		m, err := c.Image()
		if err == nil {
			m, err = f.resize(m, chat.LowBudget)
		}
		if err != nil {
			return chat.Part{}, err
		}
		frames = append(frames, chat.Frame{Time: c.Time, Image: m})
	}
	part := chat.VideoPart(frames...)
	part.Budget = f.budget
	return part, nil
}

// longest is how many samples of a sound a model takes in one piece.
const longest = 30 * sound.Rate

// tokens returns how many positions a part takes, without the markers around it.
func (f *attachments) tokens(p chat.Part) (n int) {
	size := func(m image.Image) int {
		if p, ok := m.(*gemma4.Picture); ok {
			return p.Tokens()
		}
		return 0
	}
	switch p.Type {
	case picture:
		return size(p.Image)
	case video:
		for _, frame := range p.Frames {
			n += size(frame.Image)
		}
	case audio:
		for _, span := range pause.Split(p.Samples, longest) {
			if in, err := f.m.SoundInput(p.Samples[span[0]:span[1]]); err == nil {
				n += in.Later.Count
			}
		}
	}
	return n
}

// describe says what a part is, and what it takes.
func (f *attachments) describe(p chat.Part) string {
	n := f.tokens(p)
	switch p.Type {
	case picture:
		b := p.Image.Bounds()
		return fmt.Sprintf("a picture, seen as %d × %d pixels: %d tokens", b.Dx(), b.Dy(), n)
	case video:
		return fmt.Sprintf("a video, %d pictures of it: %d tokens", len(p.Frames), n)
	}
	return fmt.Sprintf("a sound of %.1f s: %d tokens", seconds(len(p.Samples)), n)
}

func seconds(samples int) float64 { return float64(samples) / sound.Rate }

// message makes one of the user: pictures and videos before the text, sounds behind it, as the models were made for.
func message(parts []chat.Part, text string) chat.Message {
	if len(parts) == 0 {
		return chat.Message{Role: "user", Content: text}
	}
	var before, after []chat.Part
	for _, p := range parts {
		if p.Type == audio {
			after = append(after, p)
		} else {
			before = append(before, p)
		}
	}
	if strings.TrimSpace(text) != "" {
		before = append(before, chat.TextPart(text))
	}
	return chat.Message{Role: "user", Parts: append(before, after...)}
}

// spoken reports whether a sound is among parts, which is a message by itself.
func spoken(parts []chat.Part) bool {
	return slices.ContainsFunc(parts, func(p chat.Part) bool { return p.Type == audio })
}

// about says in a few words what the parts of a message are that are no text.
func about(m chat.Message) (text string) {
	for _, p := range m.Parts {
		switch p.Type {
		case picture:
			text += "[picture] "
		case audio:
			text += fmt.Sprintf("[sound of %.1f s] ", seconds(len(p.Samples)))
		case video:
			text += fmt.Sprintf("[video of %d pictures] ", len(p.Frames))
		}
	}
	return text
}

// home returns a path whose ~/ is that of the user.
func home(path string) string {
	if len(path) > 1 && path[0] == '~' && os.IsPathSeparator(path[1]) {
		if dir, err := os.UserHomeDir(); err == nil {
			return filepath.Join(dir, path[2:])
		}
	}
	return path
}
