package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/media"
)

func seeCommand() cli.Command {
	return cli.Command{
		Name:  "see",
		Group: "answers",
		Does:  "look at pictures, videos or a camera, and answer a question about each",
		Args:  `[flags] FILE… ["question"]`,
		About: `
Looks at files and answers a question about each, or describes it. A file is a picture, a video, or a folder, whose pictures are those
of a video (-fps of them a second). The last argument is the question, unless it is a file. With -together all are in one question.

"-" is a camera: JPEG pictures on standard input, one behind the other. Each answer is about the newest there is; one that shows what
the last one did is passed over (-same says how much alike that is), and so are those that come sooner than -every after it.

With -detect things are looked for and told with a box each, the pixels of its left upper and its right lower corner; with -point a
pixel of each. -draw paints them into a copy of the picture. With -ocr the text in the pictures is written down, at 1120 tokens, large
pages in strips. These go without a question, and for pictures only.

The answer to one file goes to standard output as it is; of several, and of a camera, each is a line that begins with the name, or the
time. With -json each is an object. -rows writes what the projector makes of the pictures, in their order, instead of asking: for each
token a row of float32, little endian, as wide as the model's embeddings.`,
		Examples: `
gemma4 see picture.png "How many shapes are there?"
gemma4 see -m gemma-4-E2B-it-Q4_K_M.gguf -budget high *.jpg "What does the sign say?"
gemma4 see -m gemma-4-E2B-it-Q4_K_M.gguf -together before.png after.png "What has changed?"
gemma4 see -m gemma-4-E2B-it-Q4_K_M.gguf -budget 560 -detect "cars and people" -draw boxes.png street.jpg
gemma4 see -m gemma-4-E2B-it-Q4_K_M.gguf -ocr page-1.png page-2.png
rpicam-vid -t 0 --codec mjpeg -o - | gemma4 see -m model.gguf -every 10s - "Who is at the door?"
gemma4 see -m model.gguf -mmproj mmproj-F16.gguf -rows rows.f32 photo.jpg`,
		Operands: cli.Values{Files: "*"},
		Define:   defineSee,
	}
}

// see is what looks.
type see struct {
	*cli.Program
	model    *cli.ModelFlags
	session  *gemma4.SessionOptions
	sampling *cli.SamplingFlags
	files    attachments
	most     *int
	together bool
	detect   string
	point    string
	found    *int // at most
	ocr      bool
	draw     string
	fps      float64
	every    time.Duration
	same     float64
	asJSON   bool
	rows     string

	m        *gemma4.Model
	names    []string
	question string
	said     *json.Encoder
}

func defineSee(p *cli.Program) func() error {
	s := &see{Program: p}
	s.model = p.ModelFlags()
	s.model.With.Projector = true
	p.ProjectorFlag(s.model)
	p.DraftFlag(s.model)
	p.Group("pictures")
	s.files.flags(p)
	p.BoolVar(&s.together, "together", false, "all files in one question")
	p.StringVar(&s.detect, "detect", "", "`things` to find, such as \"red cars\": a box for each")
	p.StringVar(&s.point, "point", "", "`things` to point at")
	s.found = p.Count("most", "`number` of things that are told at most (default 64)")
	p.BoolVar(&s.ocr, "ocr", false, "write down the text in the pictures")
	p.Float64Var(&s.fps, "fps", 1, "pictures a `second` of a folder")
	p.DurationVar(&s.every, "every", 0, "`time` between two pictures of a camera, such as 10s; 0: the next as soon as an answer is there")
	p.Float64Var(&s.same, "same", 2, "mean `difference`, of 255, up to which a camera's picture shows what the last one did")
	s.session = p.SessionFlags("the model's, allocated as needed")
	s.sampling = p.SamplingFlags()
	p.Group("output")
	s.most = p.Count("n", "maximum `tokens` per answer (default: what the context holds)")
	p.BoolVar(&s.asJSON, "json", false, "print an object for each answer")
	p.FileVar(&s.draw, "draw", "PNG `file` for a copy of the picture with the boxes or points of what was found")
	p.FileVar(&s.rows, "rows", "`file` for what the projector makes of the pictures; nothing is asked")

	return func() (err error) {
		if err := s.arguments(); err != nil {
			return err
		}
		if s.m, err = s.model.Open(); err != nil {
			return err
		}
		defer s.m.Close()
		s.files.of(s.m, s.model.Path == "")
		s.files.note = func(format string, args ...any) { p.Note(fmt.Sprintf(format, args...)) }
		if err := s.files.sees(); err != nil {
			return err
		}
		s.said = json.NewEncoder(p.Out)
		s.said.SetEscapeHTML(false)
		ctx, stop := cli.Interruptible()
		defer stop()
		if s.rows != "" {
			return writeFile(s.rows, func(w *bufio.Writer) error { return s.writeRows(ctx, w) })
		}
		return s.look(ctx)
	}
}

// arguments tells files from the question.
func (s *see) arguments() error {
	s.names = s.Args()
	if n := len(s.names); n > 1 && !isFile(s.names[n-1]) {
		s.names, s.question = s.names[:n-1], s.names[n-1]
	}
	switch {
	case len(s.names) == 0:
		return cli.Wrong("name a file, or - for pictures on standard input")
	case slices.Contains(s.names, "-") && len(s.names) > 1:
		return cli.Wrong("- goes without other files")
	case s.names[0] == "-" && (s.together || s.rows != "" || s.draw != ""):
		return cli.Wrong("- is a camera: it goes without -together, -rows and -draw")
	case s.names[0] == "-" && cli.IsTerminal(s.In):
		return cli.Wrong("- is a camera on standard input, which is a terminal here")
	case s.searches() > 1 || s.searches() == 1 && (s.together || s.rows != "" || s.question != ""):
		return cli.Wrong("-detect, -point and -ocr go without each other, -together, -rows and a question")
	case s.draw != "" && (s.detect == "" && s.point == "" || len(s.names) > 1):
		return cli.Wrong("-draw is for the boxes of -detect, or the points of -point, in one picture")
	case s.every < 0 || !(s.same >= 0):
		return cli.Wrong("-every and -same are not negative")
	}
	return nil
}

// isFile reports whether an argument is meant to be a file, not a question: it is there, or has an extension.
func isFile(arg string) bool {
	if _, err := os.Stat(arg); err == nil || arg == "-" {
		return true
	}
	return !strings.ContainsAny(arg, " \t\n") && len(filepath.Ext(arg)) > 1
}

// look answers about each file, or about all.
func (s *see) look(ctx context.Context) error {
	c, err := s.m.NewChat(gemma4.ChatOptions{SessionOptions: *s.session, GenerateOptions: s.generation()})
	if err != nil {
		return err
	}
	defer c.Close()
	if s.names[0] == "-" {
		return s.watch(ctx, c)
	}
	var parts []chat.Part
	for _, name := range s.names {
		label := ""
		if len(s.names) > 1 {
			label = name
		}
		if s.searches() > 0 {
			m, err := media.OpenPicture(name, media.Options{})
			if err == nil {
				err = s.search(ctx, m, sight{File: name}, label)
			}
			if err != nil {
				return err
			}
			continue
		}
		part, err := s.read(ctx, name)
		if err != nil {
			return err
		}
		if parts = append(parts, part); s.together {
			continue
		}
		if err := s.answer(ctx, c, sight{File: name}, label, parts); err != nil {
			return err
		}
		parts = nil
	}
	if len(parts) == 0 {
		return nil
	}
	return s.answer(ctx, c, sight{Files: s.names}, "", parts)
}

func (s *see) generation() gemma4.GenerateOptions {
	return gemma4.GenerateOptions{Sampling: s.sampling.Overrides, MaxTokens: *s.most, RepeatGuard: true, Draft: s.model.Draft}
}

// read makes a part of a file or a folder.
func (s *see) read(ctx context.Context, name string) (chat.Part, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return s.files.folder(name, s.fps)
	}
	part, err := s.files.read(ctx, anyKind, name)
	if err == nil && part.Type == audio {
		err = fmt.Errorf("%s: a sound, nothing to see; gemma4 listen hears it", name)
	}
	return part, err
}

// sight is an answer as JSON.
type sight struct {
	File   string   `json:"file,omitempty"`
	Files  []string `json:"files,omitempty"` // together
	Time   *float64 `json:"time,omitempty"`  // of a camera's picture, in seconds from the first
	Tokens int      `json:"tokens"`          // that the pictures take
	Answer *string  `json:"answer,omitempty"`
	Boxes  *[]box   `json:"boxes,omitempty"`
	Points *[]point `json:"points,omitempty"`
}

// answer asks about parts and prints the answer: on a line behind a label, if there is one.
func (s *see) answer(ctx context.Context, c *gemma4.Chat, x sight, label string, parts []chat.Part) error {
	c.Messages = nil
	for _, p := range parts {
		x.Tokens += s.files.tokens(p)
	}
	said := c.Send(ctx, message(parts, cmp.Or(s.question, "Describe the "+what(parts)+".")))
	if label == "" && !s.asJSON {
		_, err := s.Answer(said, false)
		return err
	}
	answer, err := gemma4.Collect(said)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(answer.Content)
	if x.Answer = &text; s.asJSON {
		err = s.said.Encode(x)
	} else {
		s.printLine(label, strings.Join(strings.Fields(text), " "))
	}
	return cmp.Or(err, s.Out.Flush())
}

// printLine prints a line behind a label, if there is one. It moves no cursor.
func (s *see) printLine(label, text string) {
	if label != "" {
		text = label + ": " + text
	}
	if s.Terminal() {
		text = cli.Printable(text)
	}
	fmt.Fprintln(s.Out, text)
}

// what names parts.
func what(parts []chat.Part) string {
	if parts[0].Type == video && len(parts) == 1 {
		return "video"
	}
	if len(parts) > 1 {
		return "pictures"
	}
	return "picture"
}

// watch answers about the pictures of a camera.
func (s *see) watch(ctx context.Context, c *gemma4.Chat) error {
	var last *gemma4.Picture
	var at time.Duration
	for f, err := range media.Latest(media.Stream(untilDone(ctx, s.In), 0, media.Options{})) {
		if ctx.Err() != nil {
			return nil // what was said is said
		}
		if err != nil {
			return err
		}
		if last != nil && f.Time-at < s.every {
			continue
		}
		m, err := f.Image()
		if err != nil {
			s.Complain(err) // the next one may be whole
			continue
		}
		part, err := s.files.part(m)
		if err != nil {
			return err
		}
		p := part.Image.(*gemma4.Picture)
		if last != nil && difference(last, p) <= s.same {
			continue
		}
		last, at = p, f.Time
		seconds := f.Time.Seconds()
		x := sight{File: "-", Time: &seconds}
		if s.searches() > 0 {
			err = s.search(ctx, m, x, clock(f.Time))
		} else {
			err = s.answer(ctx, c, x, clock(f.Time), []chat.Part{part})
		}
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// clock writes the time of a picture as people read it.
func clock(t time.Duration) string {
	s := int(t.Seconds())
	return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
}

// difference returns how much two pictures differ on average, of 255; all of it, if their sizes do.
func difference(a, b *gemma4.Picture) float64 {
	if a.Width != b.Width || a.Height != b.Height {
		return 255
	}
	sum := 0
	for i, x := range a.Pix {
		d := int(x) - int(b.Pix[i])
		sum += max(d, -d)
	}
	return float64(sum) / float64(len(a.Pix))
}

// writeRows writes what the projector makes of all pictures.
func (s *see) writeRows(ctx context.Context, w io.Writer) error {
	for _, name := range s.names {
		part, err := s.read(ctx, name)
		if err != nil {
			return err
		}
		var images []image.Image
		for _, f := range part.Frames {
			images = append(images, f.Image)
		}
		if part.Image != nil {
			images = append(images, part.Image)
		}
		tokens := 0
		for _, m := range images {
			p := m.(*gemma4.Picture)
			if err := project(ctx, w, p.Input()); err != nil {
				return err
			}
			tokens += p.Tokens()
		}
		s.Note(fmt.Sprintf("%s: %d rows", name, tokens))
	}
	return nil
}
