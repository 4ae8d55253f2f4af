package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/hub"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/internal/synth"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/nano"
)

func benchCommand() cli.Command {
	return cli.Command{
		Name:  "bench",
		Group: "measurements",
		Does:  "measure the speed of prefill and decode, of guesses ahead, of pictures and sounds",
		Args:  "[flags]",
		About: `
Measures prefill, which reads a prompt of -p tokens, and decode, which writes -n tokens in steps of -b, both after -d tokens. Each
figure is the median of -r repetitions, with the spread between the fastest and the slowest. Between the repetitions the rooflines
are measured: a plain read loop over memory, and multiply-adds on registers alone. A share of the read loop above 100% means that the
model stays in the processor's cache, or that the machine has drifted: "-" stands for it, and nothing in JSON. With -streams, several
sessions generate at once, in passes that they share, alone and while a prompt is read: the figures are the tokens per second of all
together, and the time between two tokens of one that 99 of 100 keep to (p99). GEMMA4_CPU caps the level of the kernels. Models are
files (-m) or synthetic ones of a true shape (-synth, kept in the user's cache folder); without either it is the embedded one.

Of projectors (mmproj), which are files or synthetic as models are, it measures pictures of -image tokens, videos of -video frames of 70
tokens each, and -sound seconds of sound, as a whole and as speech that comes by the tenth of a second. What products with weights, the
two products of attention and its softmax take of the time, and how near each is to the peak of the instruction that does it, comes from
a run of its own, over loops with a clock in them. Scratch is what one picture or sound held at a time, of what was announced. Seconds of
all processors are those of this process: what other programs take is not in them.

Where memory does not hold the weights, a column tells what was read from disk meanwhile, per token and per second (Linux).

With -fit stands beside prefill and decode in steps of one what "gemma4 fit" foretells of them from the rates of products and attention,
which are measured between the repetitions, too.

With -power stands beside prefill and decode how many tokens a joule gives, and the power that was taken meanwhile, by the counters (RAPL)
of Intel's and AMD's processors, which Linux shows: all that the processors' packages take is in it, other programs and idle cores as
well, and the memory beside them is not. They count by the millisecond: tests should take seconds. Where they cannot be read, as in most
virtual machines, the column holds "-", and standard error says why.

With -lora, decode is measured with an adapter and without, in turn: the ratio is the median of such pairs, and "its bytes" are the
adapter's beside those that a token reads of the model.

With -draft, a text is generated with guesses ahead and without, in turn: the ratio is the median of such pairs. The text must be the same.
With -accept guesses are simulated, each right with that probability, at the cost of the drafter that -draft names. What a step of one to
eight positions takes is measured beside it, and "by cost" is the ratio that follows from that. With -edit the model returns a file in its
prompt with three changes: it is made to, since small ones cannot, but what is guessed and checked is real.

With -spoken, a model listens by the projector named beside it: how long after the end of speech the first word of the answer is there,
and how long two seconds of speech take with a caption, which reads 100 tokens and writes 12.`,
		Examples: `
gemma4 bench -m model.gguf
gemma4 bench -synth e2b:q4_0 -p 512 -n 64
gemma4 bench -synth e2b:q4_0 -d 0,4096 -b 1,4 -md
gemma4 bench -m model.gguf -p 2048 -n 256 -power
gemma4 bench -m model.gguf -p 0 -streams 1,8
gemma4 bench -m model.gguf -p 0 -lora poems.gguf -r 9
gemma4 bench -synth e2b:q4_0 -p 0 -draft e2b-draft:q4_0 -accept 0.5,0.7,0.9
gemma4 bench -m model.gguf -p 0 -draft lookup -edit 2000 -r 3
gemma4 bench -synth e2b-mmproj:q8_0 -image 280,1120 -sound 30 -video 60
gemma4 bench -synth e2b:q4_0 -synth e2b-mmproj:q8_0 -p 0 -n 0 -image 0 -sound 0 -spoken 10`,
		Define: defineBench,
	}
}

// plan is what is measured of each model.
type plan struct {
	prompt, written int
	depths, steps   []int
	streams         []int
	arriving        int
	repetitions     int
	cache           gemma4.CacheFormat
	images          []int // tokens of pictures
	frames          []int // of videos
	sounds          []int // seconds
	spoken          []int // of speech that a model answers
	draftPlan
	loader gemma4.Loader
	huge   bool
	fit    bool // tell what fit foretells, too

	// joules returns what the processors have taken since some moment; nil: nobody asks, or the machine does not tell.
	joules func() (float64, error)

	adapters []adapter
}

// positions returns how many the longest test needs.
func (p *plan) positions() int {
	n := p.prompt
	for _, step := range p.steps {
		n = max(n, (p.written+step-1)/step*step)
	}
	if len(p.streams) > 0 {
		n = max(n, 20+1+p.written, p.arriving)
	}
	if p.source != "" {
		n = max(n, 20+p.written+mostSteps)
	}
	for _, seconds := range p.spoken {
		n = max(n, 25*seconds+captionRead+captionWritten)
	}
	return slices.Max(p.depths) + n
}

func defineBench(p *cli.Program) func() error {
	plan := plan{prompt: 512, written: 64, depths: []int{0}, steps: []int{1}, arriving: 2000, repetitions: 5,
		images: []int{280}, sounds: []int{30}, loader: gemma4.Loader{Alone: true}}
	var sources []source
	p.Group("model")
	p.Func("m", "`model`: a GGUF file (any part of a split one), or a name as pull takes it; may be repeated", func(path string) error {
		sources = append(sources, source{name: filepath.Base(path), path: path})
		return nil
	})
	p.Values("m", cli.ModelNames())
	const synthetic = "synthetic model or projector `PRESET:FORMAT`, such as e2b:q4_0, 26b:q4_k_m or e2b-mmproj:q8_0; may be repeated"
	p.Func("synth", synthetic, func(spec string) error {
		_, err := synth.ParseShape(spec, 0)
		sources = append(sources, source{name: spec, spec: spec})
		return err
	})
	p.Values("synth", cli.Values{List: specs()})
	p.BoolVar(&plan.huge, "huge", false, "copy the weights into huge pages (Linux)")
	p.LoaderFlags(&plan.loader)
	p.Group("context and memory")
	p.CacheFlag(&plan.cache)
	numbers(p, "d", "`depths`: tokens in the context before the test, separated by commas (default 0)", 0, &plan.depths)
	p.Group("tests")
	p.IntVar(&plan.prompt, "p", plan.prompt, "`tokens` of the prompt, 0: no test of prefill")
	p.IntVar(&plan.written, "n", plan.written, "`tokens` to write, 0: no test of decode")
	numbers(p, "b", "`tokens` written per step of decode, separated by commas (default 1)", 1, &plan.steps)
	numbers(p, "streams", "`sessions` that generate at once, separated by commas: -n tokens each, and again while a prompt arrives", 1,
		&plan.streams)
	p.IntVar(&plan.arriving, "arriving", plan.arriving, "`tokens` of the prompt that arrives, 0: none does")
	p.IntVar(&plan.repetitions, "r", plan.repetitions, "`repetitions`")
	adapterFlag(p, &plan.adapters, "with which decode is measured, and without, in turn")
	p.BoolVar(&plan.fit, "fit", false, "measure beside what gemma4 fit foretells, from rates that are measured between the repetitions")
	inJoules := p.Bool("power", false, "measure the tokens per joule of prefill and decode, too (Linux, where the processor counts it)")
	questions := plan.draftFlags(p)
	p.Group("tests of projectors")
	numbers(p, "image", "`tokens` of a picture, separated by commas: 70, 140, 280, 560, 1120, or 0: none (default 280)", 0, &plan.images)
	numbers(p, "video", "`frames` of a video, separated by commas", 0, &plan.frames)
	numbers(p, "sound", "`seconds` of sound, separated by commas, 0: none (default 30)", 0, &plan.sounds)
	numbers(p, "spoken", "`seconds` of speech that a model answers, and captions: it needs a projector named beside it", 1, &plan.spoken)
	p.Group("output")
	markdown := p.Bool("md", false, "print a Markdown table")
	asJSON := p.Bool("json", false, "print a JSON array of rows")

	return func() error {
		if p.NArg() > 0 {
			return cli.Wrong("unexpected argument %q", p.Arg(0))
		}
		if plan.prompt < 0 || plan.written < 0 || plan.arriving < 0 || plan.repetitions < 1 {
			return cli.Wrong("-p, -n and -arriving cannot be negative, and -r is at least 1")
		}
		if *markdown && *asJSON {
			return cli.Wrong("-md and -json do not go together")
		}
		for _, list := range []*[]int{&plan.images, &plan.frames, &plan.sounds} {
			*list = slices.DeleteFunc(*list, func(n int) bool { return n == 0 })
		}
		for _, tokens := range plan.images {
			if !slices.Contains(model.Budgets[:], tokens) {
				return cli.Wrong("-image %d: expected some of %v", tokens, model.Budgets)
			}
		}
		if len(sources) == 0 {
			sources = []source{{name: "nano"}}
		}
		if err := plan.readQuestions(*questions); err != nil {
			return err
		}
		if *inJoules {
			if e, err := machine.OpenEnergy(); err != nil {
				fmt.Fprintf(p.Err, "gemma4 bench: no tokens per joule: %v\n", err)
			} else {
				plan.joules = e.Joules
			}
		}
		ctx, stop := cli.Interruptible()
		defer stop()
		if err := plan.findDrafter(ctx, p.Err); err != nil {
			return err
		}
		for i := range sources {
			s := &sources[i]
			if s.path != "" {
				m, err := p.Model(s.path, hub.With{})
				if err != nil {
					return err
				}
				s.path = m.Files[0]
			}
			if err := s.find(ctx, p.Err); err != nil {
				return inFile(s.name, err)
			}
			if s.projector && len(plan.spoken) > 0 {
				plan.loader.Projector.Path = s.path
			}
		}
		if len(plan.spoken) > 0 && plan.loader.Projector.Path == "" {
			return cli.Wrong("-spoken needs a projector beside the model: another -m or -synth, such as e2b-mmproj:q8_0")
		}
		var rows []row
		for _, s := range sources {
			measure := s.measure
			if s.projector {
				measure = s.measureSenses
			}
			found, err := measure(ctx, &plan)
			if err != nil {
				return inFile(s.name, err)
			}
			rows = append(rows, found...)
		}
		var asked []column
		if plan.fit {
			asked = append(asked, foretold)
		}
		if *inJoules {
			asked = append(asked, power)
		}
		switch {
		case *asJSON:
			return printJSON(p.Out, rows)
		case *markdown:
			return printTables(p.Out, rows, "| ", " | ", " |", asked...)
		}
		return printTables(p.Out, rows, "", "  ", "", asked...)
	}
}

// numbers defines a flag of whole numbers, each at least least.
func numbers(p *cli.Program, name, usage string, least int, list *[]int) {
	p.Func(name, usage, func(text string) error {
		*list = nil
		for word := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(word))
			if err != nil || n < least {
				return fmt.Errorf("expected whole numbers from %d up, separated by commas", least)
			}
			*list = append(*list, n)
		}
		return nil
	})
}

// specs returns the usual synthetic models, the presets in Q4_0, Q8_0 and Q4_K_M, and projectors, in Q8_0, F16 and BF16.
func specs() (list []string) {
	for _, preset := range synth.Presets() {
		list = append(list, preset+":q4_0", preset+":q8_0", preset+":q4_k_m")
	}
	for _, projector := range synth.Projectors() {
		list = append(list, projector+":q8_0", projector+":f16", projector+":bf16")
	}
	return list
}

// source is a model to measure: a file, a synthetic one, or the embedded one.
type source struct {
	name, path, spec string
	projector        bool
}

// find writes a synthetic model if it is not there, and looks what the file is.
func (s *source) find(ctx context.Context, stderr io.Writer) (err error) {
	if s.spec != "" {
		if s.path, err = synthetic(ctx, s.spec, stderr); err != nil {
			return err
		}
	}
	if s.path == "" {
		return nil
	}
	f, err := gguf.Open(s.path)
	if err != nil {
		return err
	}
	kind, _ := f.Metadata.Text("general.architecture") // without one, whoever opens it as a model says so
	s.projector = kind == "clip"
	return f.Close()
}

// open returns the model and the seconds that opening took.
func (s *source) open(l gemma4.Loader) (m *gemma4.Model, seconds float64, err error) {
	began := time.Now()
	if s.path == "" {
		m, err = l.OpenBytes(nano.GGUF())
	} else {
		m, err = l.Open(s.path)
	}
	return m, since(began), err
}

// synthetic returns the path of a synthetic model in the user's cache folder.
func synthetic(ctx context.Context, spec string, stderr io.Writer) (string, error) {
	folder, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder = filepath.Join(folder, "gemma4")
	path := filepath.Join(folder, strings.ReplaceAll(spec, ":", "-")+".gguf")
	shape, err := synth.ParseShape(spec, 0)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	fmt.Fprintf(stderr, "gemma4 bench: writing %s, %s, once\n", path, cli.Bytes(shape.Size()))
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", err
	}
	return path, synth.WriteFile(ctx, path, shape)
}

// measure opens the model and runs the plan.
func (s *source) measure(ctx context.Context, p *plan) ([]row, error) {
	m, load, err := s.open(p.loader)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	if p.huge {
		if err := m.Prefault(ctx, gemma4.PrefaultOptions{HugePages: true}); err != nil {
			return nil, err
		}
	}
	session, err := m.NewSession(gemma4.SessionOptions{Cache: p.cache})
	if err != nil {
		return nil, err
	}
	defer session.Close()
	if need := p.positions(); need > session.Context() {
		return nil, &gemma4.ContextError{Need: need, Limit: session.Context()}
	}
	b := &bench{ctx: ctx, plan: p, m: m, s: session, source: s, ids: anyIDs(m, max(1<<14, p.written+slices.Max(p.steps)))}
	if b.first, err = b.firstToken(); err != nil {
		return nil, err
	}
	info := m.Info()
	var rows []row
	run := func(r row, measure func(*row) error) error {
		r.Model, r.Level, r.Threads = s.name, info.Level, info.Threads
		r.LoadSeconds, r.FirstTokenSeconds = load, b.first
		err := measure(&r)
		rows = append(rows, r)
		return err
	}
	for _, depth := range p.depths {
		if err := b.fill(b.s, depth); err != nil {
			return nil, err
		}
		if p.prompt > 0 {
			if err := run(row{Test: "prefill", Tokens: p.prompt, Depth: depth}, b.repeat); err != nil {
				return nil, err
			}
		}
		if p.written == 0 {
			continue
		}
		for _, step := range p.steps {
			if err := run(row{Test: "decode", Tokens: step, Depth: depth}, b.repeat); err != nil {
				return nil, err
			}
		}
		for _, a := range p.adapters {
			if err := run(row{Test: "adapter", Depth: depth}, b.measureAdapter(a)); err != nil {
				return nil, err
			}
		}
		for _, r := range p.draftRows(s) {
			r.Depth = depth
			if err := run(r, b.measureDrafts); err != nil {
				return nil, err
			}
		}
		for _, n := range p.streams {
			for _, arriving := range slices.Compact([]int{0, p.arriving}) {
				if err := run(row{Test: "streams", Tokens: n, Arriving: arriving, Depth: depth}, b.measureStreams); err != nil {
					return nil, err
				}
			}
		}
	}
	for _, seconds := range p.spoken {
		if err := run(row{Test: "first word", Spoken: seconds}, b.spoken); err != nil {
			return nil, err
		}
		if err := run(row{Test: "caption", Spoken: seconds}, b.captions); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

// anyIDs returns ids that no tokenizer made: weights do not care, and random ones have no use for words.
func anyIDs(m *gemma4.Model, n int) []int32 {
	ids := make([]int32, n)
	for i := range ids {
		ids[i] = int32(i*7919+13) % int32(m.Tokenizer().Size())
	}
	return ids
}

// bench measures one model.
type bench struct {
	ctx    context.Context
	plan   *plan
	m      *gemma4.Model
	s      *gemma4.Session
	ids    []int32
	source *source
	first  float64 // seconds to the first token of a prompt of 20
}

// since returns seconds, never 0: where the clock goes by steps, as Windows' does, less than one is taken for a millisecond.
func since(began time.Time) float64 { return cmp.Or(time.Since(began), time.Millisecond).Seconds() }

// firstToken reads 20 tokens, as the first thing that the model does.
func (b *bench) firstToken() (float64, error) {
	began := time.Now()
	err := b.s.Read(b.ctx, gemma4.Input{Tokens: b.ids[:20]})
	return since(began), err
}

// fill makes a session hold so many tokens.
func (b *bench) fill(s *gemma4.Session, depth int) error {
	if _, err := s.Rewind(0); err != nil {
		return err
	}
	return b.read(s, depth)
}

// read lets a session read so many tokens.
func (b *bench) read(s *gemma4.Session, tokens int) error {
	for tokens > 0 {
		n := min(tokens, len(b.ids))
		if err := s.Read(b.ctx, gemma4.Input{Tokens: b.ids[:n]}); err != nil {
			return err
		}
		tokens -= n
	}
	return nil
}

// taken is what a test took.
type taken struct {
	seconds, joules float64
	tokens          int
	ops             int64 // multiply-adds
	disk            int64 // bytes read from it
}

// once runs a test. The session holds r.Depth tokens before and after.
func (b *bench) once(r *row) (t taken, err error) {
	left, err := b.s.Rewind(r.Depth)
	if err != nil {
		return t, err
	}
	if left != r.Depth { // too far back for the sliding layers
		if err := b.fill(b.s, r.Depth); err != nil {
			return t, err
		}
	}
	joules := b.plan.joules
	if joules == nil {
		joules = func() (float64, error) { return 0, nil }
	}
	before, err := joules()
	if err != nil {
		return t, err
	}
	ops, disk := b.s.Ops(), machine.DiskRead()
	began := time.Now()
	if r.Test == "prefill" {
		t.tokens = r.Tokens
		err = b.read(b.s, t.tokens)
	} else {
		for t.tokens < b.plan.written && err == nil {
			_, err = b.s.Write(b.ctx, b.ids[t.tokens:t.tokens+r.Tokens]...)
			t.tokens += r.Tokens
		}
	}
	t.seconds, t.ops, t.disk = since(began), b.s.Ops()-ops, machine.DiskRead()-disk
	if err != nil {
		return t, err
	}
	t.joules, err = joules()
	t.joules -= before
	return t, err
}

// repeat fills the row with the medians of the repetitions, each beside a roofline of its own.
func (b *bench) repeat(r *row) error {
	if _, err := b.once(r); err != nil { // pages and buffers come in
		return err
	}
	f, err := b.foreteller(r)
	if err != nil {
		return err
	}
	defer f.close()
	var speed, readShare, multiplyShare, bandwidth, peak, joules, watts, disk []float64
	for range b.plan.repetitions {
		if err := f.round(b.ctx); err != nil {
			return err
		}
		roof, err := b.m.Roofline()
		if err != nil {
			return err
		}
		t, err := b.once(r)
		if err != nil {
			return err
		}
		r.FlopsPerToken = 2 * float64(t.ops) / float64(t.tokens)
		if r.Test == "decode" {
			bytes, err := b.m.WriteBytes(r.Tokens, r.Depth+b.plan.written/2, b.plan.cache)
			if err != nil {
				return err
			}
			r.BytesPerToken = float64(bytes) / float64(r.Tokens)
		}
		v := float64(t.tokens) / t.seconds
		speed = append(speed, v)
		bandwidth, peak = append(bandwidth, roof.ReadBytes), append(peak, 2*roof.MultiplyAdds)
		readShare = append(readShare, v*r.BytesPerToken/roof.ReadBytes)
		multiplyShare = append(multiplyShare, v*r.FlopsPerToken/(2*roof.MultiplyAdds))
		disk = append(disk, float64(t.disk)/float64(t.tokens))
		joules, watts = append(joules, t.joules/float64(t.tokens)), append(watts, t.joules/t.seconds)
	}
	r.TokensPerSecond, r.DiskBytes = median(speed), median(disk)
	r.Spread = (slices.Max(speed) - slices.Min(speed)) / r.TokensPerSecond
	r.ReadGBps, r.RooflineGBps, r.ReadShare = r.TokensPerSecond*r.BytesPerToken/1e9, median(bandwidth)/1e9, possible(median(readShare))
	r.TFLOPS, r.PeakTFLOPS, r.MultiplyShare = r.TokensPerSecond*r.FlopsPerToken/1e12, median(peak)/1e12, median(multiplyShare)
	if j := median(joules); j > 0 {
		r.TokensPerJoule, r.Watts = 1/j, median(watts)
	}
	r.PeakRSSBytes = peakRSS()
	r.Foretold = f.speed(r, b.plan)
	return nil
}

func median(x []float64) float64 {
	x = slices.Sorted(slices.Values(x))
	return (x[len(x)/2] + x[(len(x)-1)/2]) / 2
}

var errNoRows = errors.New("nothing to measure: -p and -n are both 0, and so may be what projectors are asked for")
