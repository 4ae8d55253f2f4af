package cli

import (
	"encoding"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/hub"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/sampler"
)

// ModelFlags say which model is opened, and how it runs.
type ModelFlags struct {
	Path           string   // or another name of a model; empty: the embedded one
	With           hub.With // what comes along if the model has to be fetched
	Loader         gemma4.Loader
	Draft          gemma4.Draft
	prefault, huge bool
	Adapters       []string // paths of those that the model comes with, once it is open
	progress       func(done, total int64)
	program        *Program
}

// FileFlag defines -m alone.
func (p *Program) FileFlag() *ModelFlags {
	f := &ModelFlags{program: p}
	p.FileVar(&f.Path, "m", "`model`: a GGUF file (any part of a split one), or a name as pull takes it, such as e2b; without it the "+
		"embedded model, nano, is used")
	p.Values("m", ModelNames())
	return f
}

// FileVar defines a flag for the path of a file. It is not empty: an empty variable of a script must not pass for no flag, and so
// choose another model or keep nothing.
func (p *Program) FileVar(path *string, name, usage string) {
	p.Func(name, usage, func(text string) error {
		if text == "" {
			return errors.New("expected a file")
		}
		*path = text
		return nil
	})
	p.Values(name, Values{Files: "*"})
}

// ChoiceVar defines a flag that takes one of a few words, the default among them.
func (p *Program) ChoiceVar(value encoding.TextUnmarshaler, name string, byDefault encoding.TextMarshaler, usage string, words ...string) {
	p.TextVar(value, name, byDefault, usage)
	p.Values(name, Values{List: words})
}

// Values says what completion offers for a flag.
func (p *Program) Values(name string, v Values) { p.values[name] = v }

// CacheFlag defines -cache.
func (p *Program) CacheFlag(format *gemma4.CacheFormat) {
	p.ChoiceVar(format, "cache", gemma4.CacheF16, "`format` of keys and values: f32, f16, q8_0 or q4_0", "f32", "f16", "q8_0", "q4_0")
}

// ModelFlags defines -m, -prefault, -huge and those of LoaderFlags.
func (p *Program) ModelFlags() *ModelFlags {
	p.Group("model")
	f := p.FileFlag()
	f.progress = p.loading()
	p.BoolVar(&f.prefault, "prefault", false, "read the whole model from disk first")
	p.BoolVar(&f.huge, "huge", false, "copy the weights into huge pages: a little faster, for as much memory as the file (Linux)")
	p.LoaderFlags(&f.Loader)
	p.checks = append(p.checks, func() error {
		if f.Path == "" && (f.prefault || f.huge) {
			return errors.New("-prefault and -huge are for a model's file, and the embedded one lies in memory: name a file with -m")
		}
		return nil
	})
	return f
}

// ProjectorFlag defines -mmproj.
func (p *Program) ProjectorFlag(f *ModelFlags) {
	p.FileVar(&f.Loader.Projector.Path, "mmproj",
		"GGUF `file` of the projector that makes pictures and sounds of use to the model (default: the one beside the model)")
	p.Values("mmproj", Values{Files: "*.gguf"})
}

// DraftFlag defines -draft.
func (p *Program) DraftFlag(f *ModelFlags) {
	const usage = "GGUF `file` of a drafter, which guesses ahead (default: the one beside the model); lookup: only the text " +
		"itself guesses; none: nothing does; answers are the same"
	p.Func("draft", usage, func(text string) error {
		f.Draft, f.Loader.Drafter.Path = gemma4.Draft{}, ""
		switch text {
		case "":
			return errors.New("expected a file, lookup or none")
		case "none":
			f.Draft.Off = true
		case "lookup":
			f.Draft.Alone = true
		default:
			f.Loader.Drafter.Path = text
		}
		return nil
	})
	p.Values("draft", Values{List: []string{"lookup", "none"}, Files: "*.gguf"})
}

// LoaderFlags defines -exact, -threads and -allow-unknown.
func (p *Program) LoaderFlags(l *gemma4.Loader) {
	p.BoolVar(&l.Exact, "exact", false, "exact arithmetic: float32 activations at every kernel level")
	p.ThreadsFlag(&l.Threads)
	p.BoolVar(&l.AllowUnknown, "allow-unknown", false,
		"open files with keys or tensors that are not understood and may change the answer, at your own risk")
}

// ThreadsFlag defines -threads.
func (p *Program) ThreadsFlag(n *int) {
	p.Func("threads", "`number` of computing threads (default: one per core, fewer under a CPU quota)", func(text string) error {
		return setCount(n, text)
	})
}

// Open opens the model, with the projector that belongs to it. One that is not on this machine is fetched.
func (f *ModelFlags) Open() (*gemma4.Model, error) {
	if f.Path == "" {
		return nano.OpenWith(f.Loader)
	}
	found, err := f.program.Model(f.Path, f.With)
	if err != nil {
		return nil, err
	}
	f.companions(found)
	f.Adapters = found.Adapters
	m, err := f.Loader.Open(found.Files...)
	if err != nil || !f.prefault && !f.huge {
		return m, err
	}
	ctx, stop := Interruptible()
	defer stop()
	if err := m.Prefault(ctx, gemma4.PrefaultOptions{HugePages: f.huge, Progress: f.progress}); err != nil {
		m.Close()
		return nil, err
	}
	return m, nil
}

// SessionFlags defines -cache, -ctx, whose usage says what context it gives by default, and -memory. Long prompts show their progress.
func (p *Program) SessionFlags(context string) *gemma4.SessionOptions {
	p.Group("context and memory")
	o := &gemma4.SessionOptions{Progress: p.Progress("prefill")}
	p.CacheFlag(&o.Cache)
	p.Func("ctx", "`positions` in the context (default: "+context+")", func(text string) error {
		return setCount(&o.Context, text)
	})
	const memory = "`bytes` that keys and values may take, such as 500MB or 2GB: sets the context, or rejects a -ctx that does not fit"
	p.SizeVar(&o.Memory, "memory", memory)
	return o
}

// SizeVar defines a flag for a number of bytes.
func (p *Program) SizeVar(bytes *int64, name, usage string) {
	p.Func(name, usage, func(text string) (err error) {
		*bytes, err = Size(text)
		return err
	})
}

// Size reads a number of bytes, as Bytes writes it and as people do: 2GB, 2g and 2GiB.
func Size(text string) (int64, error) {
	number := strings.TrimRight(text, "kKmMgGtTiIbB ")
	unit, ok := map[string]float64{
		"": 1, "b": 1, "k": 1e3, "kb": 1e3, "m": 1e6, "mb": 1e6, "g": 1e9, "gb": 1e9, "t": 1e12, "tb": 1e12,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40,
	}[strings.ToLower(strings.TrimSpace(text[len(number):]))]
	x, err := strconv.ParseFloat(number, 64)
	if err != nil || !ok || !(x*unit >= 1 && x*unit < 1e18) {
		return 0, errors.New("expected a number of bytes, such as 500MB or 2GB")
	}
	return int64(x * unit), nil
}

// SamplingFlags change what a model's file recommends.
type SamplingFlags struct{ sampler.Overrides }

// SamplingFlags defines -temp, -top-k, -top-p, -min-p, -typical, the penalties and -seed.
func (p *Program) SamplingFlags() *SamplingFlags {
	p.Group("sampling")
	f := &SamplingFlags{}
	p.sampling = f
	number := func(name, usage string, field **float64) {
		p.Func(name, usage, func(text string) error {
			x, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return errors.New("expected a number")
			}
			*field = &x
			return nil
		})
	}
	number("temp", "`temperature`: 0 always takes the most likely token (default: the model's, else 1)", &f.Temperature)
	number("top-p",
		"sample from the likeliest tokens that add up to this `share` of the probability; 1: off (default: the model's, else 0.95)",
		&f.TopP)
	number("min-p", "minimum `probability`, relative to the most likely token; 0: off", &f.MinP)
	number("typical", "sample from the most typical tokens that add up to this `share` of the probability; 1: off", &f.Typical)
	number("repeat-penalty", "`factor` against recent tokens; 1: off", &f.RepeatPenalty)
	number("frequency-penalty", "`number` subtracted from a logit for each recent occurrence; 0: off", &f.FrequencyPenalty)
	number("presence-penalty", "`number` subtracted from the logits of recent tokens; 0: off", &f.PresencePenalty)
	p.Func("top-k", "`number` of most likely tokens to sample from; 0: all (default: the model's, else 64)", func(text string) error {
		k := new(int)
		f.TopK = k
		return setCount(k, text)
	})
	p.Func("seed", "`number` that makes sampling repeatable (default: a new one each time)", func(text string) error {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return errors.New("expected a whole number from 0 to 18446744073709551615")
		}
		f.Seed = &seed
		return nil
	})
	p.checks = append(p.checks, func() error {
		return sampler.Options{}.With(f.Overrides).Validate(1)
	})
	return f
}

// OpenFile opens the model's file for a look at it.
func (f *ModelFlags) OpenFile() (*gguf.File, error) {
	if f.Path == "" {
		return gguf.OpenBytes(nano.GGUF())
	}
	found, err := f.program.FindModel(f.Path)
	if err != nil {
		return nil, err
	}
	return OpenFiles(found)
}

// OpenFiles opens the file of a model for a look at it, all parts of a split one.
func OpenFiles(m *hub.Model) (*gguf.File, error) {
	if len(m.Files) == 1 { // and if it is a part, its error says what the others are called
		return gguf.Open(m.Files[0])
	}
	return gguf.OpenParts(m.Files...)
}

// ParseIDs reads token ids that are separated by commas or spaces, or are a JSON array.
func ParseIDs(text string, vocabulary int) ([]int32, error) {
	var ids []int32
	inner := strings.TrimSpace(text)
	if strings.HasPrefix(inner, "[") && strings.HasSuffix(inner, "]") {
		inner = inner[1 : len(inner)-1]
	}
	separator := func(r rune) bool { return r == ',' || unicode.IsSpace(r) }
	for word := range strings.FieldsFuncSeq(inner, separator) {
		id, err := strconv.ParseInt(word, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("token %d is %q, expected an id", len(ids), word)
		}
		if id < 0 || id >= int64(vocabulary) {
			return nil, fmt.Errorf("token %d is %d, which is outside the vocabulary of %d", len(ids), id, vocabulary)
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}
