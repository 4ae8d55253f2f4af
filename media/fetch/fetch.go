package fetch

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"image"
	"time"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/internal/wait"
	"github.com/gogemma/gemma4/media"
	"github.com/gogemma/gemma4/media/sound"
)

// ErrTooLarge is what [errors.Is] finds in the error of what is above a limit of [Options].
var ErrTooLarge = errors.New("too large")

// ErrNotAllowed is what [errors.Is] finds in the error of a URL from which [Options] do not allow to fetch.
var ErrNotAllowed = errors.New("not allowed")

// Message gets all media that the parts of a message only name: their URL and Data become an Image, Samples or Frames. Parts that have
// these already, or text, stay as they are. An error names the part; it wraps [ErrTooLarge], [ErrNotAllowed], or a [media.Unsupported] or
// [sound.Unsupported] with the command that converts the file. The message is then as it was.
func Message(ctx context.Context, m *chat.Message, o Options) error {
	f := New(o)
	parts := append([]chat.Part(nil), m.Parts...)
	for i := range parts {
		if err := f.part(ctx, &parts[i]); err != nil {
			return fmt.Errorf("fetch: part %d: %w", i, err)
		}
	}
	m.Parts = parts
	return nil
}

// Part is [Message] for one part.
func Part(ctx context.Context, p *chat.Part, o Options) error { return New(o).Part(ctx, p) }

// A Fetcher gets media of several parts, within limits for all of them together. It is not safe for concurrent use.
type Fetcher struct {
	Options
	bytes    int64 // that are left
	pixels   int64
	duration time.Duration
}

// New returns a Fetcher that has all that its options allow still before it.
func New(o Options) *Fetcher { return &Fetcher{o, o.bytes(), o.pixels(), o.duration()} }

// Part gets what a part only names.
func (f *Fetcher) Part(ctx context.Context, p *chat.Part) error {
	if err := f.part(ctx, p); err != nil {
		return fmt.Errorf("fetch: %w", err)
	}
	return nil
}

func (f *Fetcher) part(ctx context.Context, p *chat.Part) error {
	if p.Type == "text" || p.Image != nil || p.Samples != nil || p.Frames != nil || p.URL == "" && p.Data == nil {
		return nil
	}
	file, err := f.file(ctx, p)
	if err != nil {
		return fmt.Errorf("%s: %w", p.Type, err)
	}
	leave, err := f.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	next := *p
	next.URL, next.Data, next.Format = "", nil, ""
	switch p.Type {
	case "image":
		next.Image, err = f.picture(file, p.Wanted())
	case "audio":
		next.Samples, err = f.sound(file)
	case "video":
		next.Frames, err = f.video(ctx, file, p.Wanted())
	default:
		err = fmt.Errorf("expected image, audio or video")
	}
	if err != nil {
		return fmt.Errorf("%s: %w", p.Type, err)
	}
	*p = next
	return nil
}

// file is what a part names.
type file struct {
	name string // for errors; may be empty
	data []byte
}

// enter waits for a turn to decode.
func (f *Fetcher) enter(ctx context.Context) (leave func(), err error) {
	if f.Turns == nil {
		return func() {}, cause.Of(ctx)
	}
	if err := wait.Turn(ctx, f.Turns); err != nil {
		return nil, err
	}
	return func() { <-f.Turns }, nil
}

// picture decodes a picture.
func (f *Fetcher) picture(in file, budget chat.Budget) (image.Image, error) {
	o := f.media()
	if w, h, err := media.Size(in.name, in.data, o); err != nil {
		return nil, tooLarge(err)
	} else if err := f.spend(w, h); err != nil {
		return nil, err
	}
	m, err := media.Picture(in.name, in.data, o)
	if err != nil {
		return nil, tooLarge(err)
	}
	return f.resized(m, budget)
}

// sound decodes a sound.
func (f *Fetcher) sound(in file) ([]float32, error) {
	clip, err := sound.Read(bytes.NewReader(in.data), sound.Options{Name: in.name, MaxDuration: f.duration})
	if err != nil {
		return nil, tooLarge(err)
	}
	f.duration = max(f.duration-clip.Duration(), 1) // 0 would be no limit
	return clip.Samples, nil
}

// video decodes those frames of a video that a model sees.
func (f *Fetcher) video(ctx context.Context, in file, budget chat.Budget) ([]chat.Frame, error) {
	clip, err := media.Video(in.name, bytes.NewReader(in.data), int64(len(in.data)), f.media())
	if err != nil {
		return nil, tooLarge(err)
	}
	return f.frames(ctx, in.name, clip, budget)
}

// frames decodes those of a clip that a model sees.
func (f *Fetcher) frames(ctx context.Context, name string, clip *media.Clip, budget chat.Budget) (out []chat.Frame, err error) {
	if budget == 0 {
		budget = chat.LowBudget
	}
	chosen, spread := media.Sample(clip.Frames, clip.Duration)
	last := -1
	for i, c := range chosen {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if c.Index == last { // one that stays
			out = append(out, chat.Frame{Time: c.Time, Image: out[i-1].Image})
			continue
		}
		if clip.Width > 0 && clip.Height > 0 {
			if err := f.spend(clip.Width, clip.Height); err != nil {
				return nil, err
			}
		}
		m, err := c.Image()
		if err != nil {
			return nil, fmt.Errorf("frame at %v: %w", c.Time, tooLarge(err))
		}
		if b := m.Bounds(); clip.Width == 0 || clip.Height == 0 {
			if err := f.spend(b.Dx(), b.Dy()); err != nil {
				return nil, err
			}
		}
		if m, err = f.resized(m, budget); err != nil {
			return nil, fmt.Errorf("frame at %v: %w", c.Time, err)
		}
		out, last = append(out, chat.Frame{Time: c.Time, Image: m}), c.Index
	}
	name = cmp.Or(name, "the video")
	if spread {
		f.note("%s takes %v: of it %d pictures are seen, spread evenly", name, clip.Duration.Round(time.Second), len(chosen))
	}
	if clip.Sound {
		f.note("%s has sound, which is not heard", name)
	}
	return out, nil
}

func (f *Fetcher) note(format string, args ...any) {
	if f.Note != nil {
		f.Note(fmt.Sprintf(format, args...))
	}
}

func (f *Fetcher) resized(m image.Image, budget chat.Budget) (image.Image, error) {
	if f.Resize == nil {
		return m, nil
	}
	return f.Resize(m, budget)
}

// media returns the limits of one picture.
func (f *Fetcher) media() media.Options {
	return media.Options{Pixels: int(max(1, min(f.pixels, f.Options.picture()))), FFmpeg: f.FFmpeg}
}

// spend takes the pixels of a picture from those that are left.
func (f *Fetcher) spend(w, h int) error {
	if f.pixels -= int64(w) * int64(h); f.pixels < 0 {
		return fmt.Errorf("with its %d × %d pixels the pictures are %w: the limit is %d pixels together", w, h, ErrTooLarge,
			f.Options.pixels())
	}
	return nil
}

// large is an error of a decoder about a limit, which is one of this package, too.
type large struct{ error }

func (e large) Unwrap() []error { return []error{e.error, ErrTooLarge} }

func tooLarge(err error) error {
	if errors.Is(err, media.ErrTooLarge) || errors.Is(err, sound.ErrTooLarge) {
		return large{err}
	}
	return err
}
