package gemma4

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/machine"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/sampler"
	"github.com/gogemma/gemma4/tensor"
	"github.com/gogemma/gemma4/tokenizer"
)

// maxThreads is more than any machine has processors.
const maxThreads = 1 << 12

// ErrClosed is returned by everything that needs a model or session that was closed.
var ErrClosed = errors.New("gemma4: closed")

// ErrUnknown is wrapped by the error for a file with keys or tensors that may change the answer and are not understood, such as a bias or a
// scaling of positions; the error names them. [Loader] has AllowUnknown for those who know better.
var ErrUnknown = model.ErrUnknown

// ErrBusy is returned by calls of a session or chat that is in use by another call, on this goroutine or another. They change nothing.
var ErrBusy = errors.New("gemma4: busy: another call is running; give each goroutine a session of its own")

// Loader says how models are opened. The zero value is what [Open], [OpenBytes] and [OpenReaderAt] use.
type Loader struct {
	// Threads is how many goroutines compute; 0: one per physical core, but no more than GOMAXPROCS and whole cores of a CPU quota.
	Threads int
	// Exact multiplies float32 activations with decoded weights at any level: slower, and without the rounding of activations that faster
	// kernels may do.
	Exact bool
	// AllowUnknown opens files with keys or tensors that are not understood and may change the answer ([ErrUnknown]) as if they were not
	// there, at your own risk.
	AllowUnknown bool

	// Budget is how long texts that are generated may wait from one token to the next while prompts are read; 0: 250 ms. Prompts are then
	// read in parts that fit it: a longer one reads them faster, a shorter one lets tokens come more evenly. [Model.Stats] tells the rest.
	Budget time.Duration

	// Projector turns images and sounds into embeddings (mmproj-….gguf); Drafter guesses what the model would write
	// (…assistant….gguf, mtp-….gguf). One that is given and does not fit the model is an error. If none is given, [Loader.Open] looks
	// for files with these names beside the model's and takes the one that fits, if it is the only one; [Model.Info] tells which, and
	// why others were left. A model's own file may hold the towers of a projector as well, which are used if no Projector is given. A
	// Drafter that is given may be a second, smaller Gemma with the same vocabulary, too.
	Projector, Drafter Companion
	// DraftIDs are the ids, ascending, that a Drafter guesses; fewer make its guesses cheaper. nil: those that text of the model's
	// vocabulary uses most. The model writes the others all the same.
	DraftIDs []int32
	// Pictures is the budget of pictures for which none is given, 0 for [chat.MediumBudget]; frames of a video have no more than
	// [chat.LowBudget].
	Pictures chat.Budget
	// Alone keeps Open from looking for files beside the model's.
	Alone bool

	// Logger, if set, is told what was opened and how it runs, which companions were found, and what goes on underneath while sessions run.
	// It is never told what users or the model write, but for the keywords of schemas that are not enforced.
	Logger *slog.Logger
}

// Open opens a model. paths is a GGUF file, any one part of a split one (the others are found beside it), or all parts. The file is mapped
// into memory, not copied: opening costs its metadata, and pages are read when they are used. What a 32-bit machine cannot map is read as
// [OpenReaderAt] does.
func Open(paths ...string) (*Model, error) { return Loader{}.Open(paths...) }

// OpenBytes opens a model that lies in memory, such as an embedded one: a GGUF file, or all parts of a split one. The bytes
// must not change while the model is open.
func OpenBytes(parts ...[]byte) (*Model, error) { return Loader{}.OpenBytes(parts...) }

// OpenReaderAt opens a model of the given size in bytes through any reader. Its weights are read into memory as far as the machine can
// spare some, the others each time they are needed; of the per-layer embeddings only single rows are read.
func OpenReaderAt(r io.ReaderAt, size int64) (*Model, error) { return Loader{}.OpenReaderAt(r, size) }

// Open is [Open] with the loader's options.
func (l Loader) Open(paths ...string) (*Model, error) {
	switch len(paths) {
	case 0:
		return nil, errors.New("gemma4: no file to open")
	case 1:
		f, err := gguf.Open(paths[0])
		return l.open(paths[0], f, err, paths...)
	}
	f, err := gguf.OpenParts(paths...)
	return l.open(paths[0], f, err, paths...)
}

// OpenBytes is [OpenBytes] with the loader's options.
func (l Loader) OpenBytes(parts ...[]byte) (*Model, error) {
	f, err := gguf.OpenBytes(parts...)
	return l.open("bytes", f, err)
}

// OpenReaderAt is [OpenReaderAt] with the loader's options.
func (l Loader) OpenReaderAt(r io.ReaderAt, size int64) (*Model, error) {
	f, err := gguf.OpenReaderAt(gguf.Part{Name: "reader", ReaderAt: r, Size: size})
	return l.open("reader", f, err)
}

// open makes a model of an open file, which it closes on an error. paths are those of its parts that are known.
func (l Loader) open(name string, f *gguf.File, err error, paths ...string) (*Model, error) {
	if err != nil {
		return nil, fmt.Errorf("gemma4: %w", err)
	}
	kernels, err := l.kernels()
	if err == nil && (l.Threads < 0 || l.Threads > maxThreads) {
		err = fmt.Errorf("gemma4: %d threads, expected 0 to %d", l.Threads, maxThreads)
	}
	if err == nil {
		err = wrap(l.Pictures.Validate())
	}
	if err == nil && l.Budget < 0 {
		err = fmt.Errorf("gemma4: a budget of %v, expected 0 or more", l.Budget)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	why := "as Loader.Threads says"
	if l.Threads == 0 {
		l.Threads, why = machine.Threads()
	}
	m, err := build(f, model.Options{Kernels: kernels, Workers: l.Threads, AllowUnknown: l.AllowUnknown})
	if err != nil {
		f.Close()
		if !strings.Contains(err.Error(), name+": ") { // gguf names the file, the others do not know it
			err = fmt.Errorf("%s: %w", name, err)
		}
		return nil, fmt.Errorf("gemma4: %w", err)
	}
	m.log, m.exact, m.draftIDs = cmp.Or(l.Logger, silent), l.Exact, l.DraftIDs
	m.schedule.plan.budget = cmp.Or(l.Budget, defaultBudget)
	m.logOpened(name, why)
	if m.companions, err = l.companions(m, name, paths); err != nil {
		m.Close()
		return nil, fmt.Errorf("gemma4: %w", err)
	}
	m.newDrafter = m.drafter()
	if m.senses, err = m.openSenses(l.Pictures); err != nil {
		m.Close()
		return nil, fmt.Errorf("gemma4: %w", err)
	}
	return m, nil
}

// build makes a model of an open file.
func build(f *gguf.File, o model.Options) (*Model, error) {
	// First of all, because it tells what else a file may be: a drafter, or a projector, which has no vocabulary.
	if _, err := model.ReadConfig(f.Metadata); err != nil {
		switch empty := len(f.Tensors) == 0 && errors.Is(err, gguf.ErrMissing); {
		case empty && f.Metadata.Len() == 0:
			err = errors.New("the file has neither metadata nor weights: did a download reserve room and not fill it? download it again")
		case empty:
			err = fmt.Errorf("the file has no weights, only a vocabulary? %w", err)
		}
		return nil, err
	}
	// The vocabulary takes longest: the graph is built meanwhile. Of both errors the vocabulary's is told.
	var graph *model.Model
	var sampling sampler.Options
	built := make(chan error)
	go func() {
		var err error
		if sampling, err = advice(f.Metadata); err == nil {
			graph, err = model.New(f, o)
		}
		built <- err
	}()
	tok, err := tokenizer.New(f.Metadata)
	if err = cmp.Or(err, <-built); err != nil {
		if graph != nil {
			graph.Close()
		}
		return nil, err
	}
	if tok.Size() > graph.Vocabulary {
		graph.Close()
		return nil, fmt.Errorf("the tokenizer has %d tokens, token_embd.weight only %d rows", tok.Size(), graph.Vocabulary)
	}
	sampling.Suppress = slices.Grow(sampling.Suppress, graph.Vocabulary-tok.Size())
	for id := tok.Size(); id < graph.Vocabulary; id++ { // rows that pad the embedding matrix
		sampling.Suppress = append(sampling.Suppress, int32(id))
	}
	sampling.Suppress = append(sampling.Suppress, tok.Suppressed()...)
	m := &Model{engine: newEngine(f, graph), tok: tok, sampling: sampling, markup: tok.Markup(), places: map[int32]bool{}}
	for i, text := range senseMarkup {
		if id, ok := tok.ID(text); ok && tok.IsSpecial(text) {
			m.sampling.Suppress = append(m.sampling.Suppress, id)
			m.places[id] = i < 3
		}
	}
	m.vocabulary = sync.OnceValue(func() *grammar.Vocabulary { return grammar.NewVocabulary(tok) })
	m.lacking = slices.DeleteFunc(chat.Markup(), tok.IsSpecial)
	m.template, m.templateErr = template(f.Metadata, graph.PerLayer > 0)
	runtime.AddCleanup(m, func(e *engine) { e.close() }, m.engine) // when it is dropped without Close
	return m, nil
}

// template returns the file's chat template, or the built-in format of models of its kind if there is none. A model whose template is
// broken can still read and write text.
func template(m *gguf.Metadata, edge bool) (*chat.Template, error) {
	const key = "tokenizer.chat_template"
	source, err := m.Text(key)
	switch {
	case err != nil && !errors.Is(err, gguf.ErrMissing):
		return nil, fmt.Errorf("gemma4: %w", err)
	case strings.TrimSpace(source) != "":
		t, err := chat.Parse(source)
		if err != nil {
			return nil, fmt.Errorf("gemma4: %s: %w", key, err)
		}
		return t, nil
	case edge:
		return chat.BuiltinEdge(), nil
	}
	return chat.Builtin(), nil
}

// advice reads the sampling options that the maker of a file recommends ("general.sampling.…"), with Gemma's own where it is silent.
func advice(m *gguf.Metadata) (sampler.Options, error) {
	o := sampler.Default()
	for key, field := range map[string]*float64{"temp": &o.Temperature, "top_p": &o.TopP, "min_p": &o.MinP} {
		v, err := m.Float("general.sampling." + key)
		if errors.Is(err, gguf.ErrMissing) {
			continue
		}
		if err != nil {
			return o, err
		}
		*field = v
		if x, _ := m.Value("general.sampling." + key); x == float32(v) {
			*field, _ = strconv.ParseFloat(fmt.Sprint(x), 64) // 0.95 as it was meant, not the float32 beside it
		}
	}
	k, err := m.Int("general.sampling.top_k")
	switch {
	case err == nil && k >= -1 && k <= 1<<30:
		o.TopK = int(max(k, 0)) // both are off
	case err == nil:
		return o, fmt.Errorf("general.sampling.top_k is %d, expected -1 to %d", k, 1<<30)
	case !errors.Is(err, gguf.ErrMissing):
		return o, err
	}
	if err := o.Validate(1); err != nil {
		return o, fmt.Errorf("general.sampling: %w", err)
	}
	return o, nil
}

// Model is an open Gemma 4 model. It may be used from several goroutines; each needs a [Session] or [Chat] of its own. Sessions at work at
// the same time share their passes, which read the weights once for all: eight texts are generated several times as fast as one, and each
// has the bytes that it would have alone.
type Model struct {
	*engine
	tok         *tokenizer.Tokenizer
	template    *chat.Template
	templateErr error // why there is none
	sampling    sampler.Options
	vocabulary  func() *grammar.Vocabulary
	markup      []string       // of the vocabulary
	lacking     []string       // markup of Gemma 4 that the vocabulary does not have
	places      map[int32]bool // placeholders of embeddings
	loosened    told           // keywords of schemas, as the log was told
}

// engine is what a model has to give back: threads, a mapped file, texts in prefix caches. It does not know the Model, and prefix caches
// know only the engine, so that the collector sees when nobody has the Model any more.
type engine struct {
	file     *gguf.File
	graph    *model.Model
	log      *slog.Logger // never nil
	schedule *scheduler
	exact    bool     // Loader.Exact
	prefixes sync.Map // set of *PrefixCache that hold texts of this model

	companions []companion
	senses     *senses // nil: there is no projector
	masks      maskCounts
	drafts     drafts
	draftIDs   []int32       // Loader.DraftIDs
	newDrafter func() source // nil: there is no drafter

	ending context.Context // of what Close does not wait for
	end    context.CancelFunc

	mu     sync.Mutex // held for moments
	closed bool       // no more calls begin
	calls  int        // that touch the weights
	idle   sync.Cond  // none does
	once   sync.Once  // all is given back
}

func newEngine(f *gguf.File, graph *model.Model) *engine {
	e := &engine{file: f, graph: graph, log: silent, schedule: newScheduler(graph)}
	e.idle.L = &e.mu
	e.ending, e.end = context.WithCancel(context.Background())
	return e
}

// PrefaultOptions say what [Model.Prefault] does.
type PrefaultOptions struct {
	// HugePages moves the weights to memory of their own with pages of 2 MB, which is read up to a tenth faster. It is not shared with
	// other processes, and the system cannot give it up when memory is short; too little of it is an error. Linux only, and only for models
	// opened from a file.
	HugePages bool
	// Progress, if set, is called with the bytes read so far and in all, on the goroutine that called Prefault.
	Progress func(done, total int64)
}

// Prefault reads the weights from disk now instead of when they are first used. The per-layer embeddings stay on disk: few rows of them are
// ever used. Models that were not opened from a file are in memory already. What has been read when ctx ends stays.
func (m *Model) Prefault(ctx context.Context, o PrefaultOptions) error {
	if err := m.enter(); err != nil {
		return err
	}
	defer m.leave()
	err := m.file.Prefault(ctx, gguf.PrefaultOptions{
		Skip:      func(t *gguf.Tensor) bool { return t.Name == model.PerLayerTable },
		HugePages: o.HugePages, Threads: m.graph.Workers(), Progress: o.Progress,
	})
	return wrap(err)
}

// Close waits for running calls, then gives the model's memory and file back. As soon as it begins, calls of the model and its sessions
// return [ErrClosed]; a generation gets it with its next token. It is safe to close twice. Closing the model in a callback of one of its
// calls (Progress, yield) is a bug: both would wait for each other for ever. The body of a loop over a generation is not such a callback.
//
// A model that is dropped with all its sessions also gives everything back, when the collector gets to it.
func (m *Model) Close() error { return m.engine.close() }

func (e *engine) close() (err error) {
	e.end()
	e.mu.Lock()
	e.closed = true
	for e.calls > 0 {
		e.idle.Wait()
	}
	e.mu.Unlock()
	e.once.Do(func() {
		e.prefixes.Range(func(p, _ any) bool {
			p.(*PrefixCache).leave(e)
			return true
		})
		if e.senses != nil {
			e.senses.Close()
		}
		e.graph.Close()
		err = e.file.Close()
		for _, c := range e.companions {
			err = errors.Join(err, c.close())
		}
		e.log.Info("model closed")
	})
	return err
}

// enter begins a call that touches the weights; unless it fails, leave ends it. Neither waits.
func (e *engine) enter() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.calls++
	return nil
}

func (e *engine) leave() {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.calls--; e.calls == 0 {
		e.idle.Broadcast()
	}
}

// Tokenizer returns the model's tokenizer. It stays usable when the model is closed.
func (m *Model) Tokenizer() *tokenizer.Tokenizer { return m.tok }

// Vocabulary returns what grammars for the model are made of: see package [grammar] and GenerateOptions.Grammar. The first call makes it,
// which takes a tenth of a second and 20 MB, and all others return the same: one grammar serves all sessions of the model. It stays usable
// when the model is closed.
func (m *Model) Vocabulary() *grammar.Vocabulary { return m.vocabulary() }

// Sampling returns the options that the model is sampled with where GenerateOptions.Sampling is silent: what the file recommends, otherwise
// Gemma's own 1.0, 64 and 0.95, and the ids that must never be picked. It is a copy.
func (m *Model) Sampling() sampler.Options { return m.sampling.With(sampler.Overrides{}) }

// Config returns a copy of the model's shape.
func (m *Model) Config() model.Config {
	c := m.graph.Config
	c.Layers = slices.Clone(c.Layers)
	return c
}

// Info is what a model's file says of itself.
type Info struct {
	Name       string         // general.name, may be empty
	Parameters int64          // weights of all tensors
	Bytes      int64          // of the file, or of all parts
	Formats    []FormatShare  // by bytes, largest first
	Level      string         // of the kernels it runs on
	Threads    int            // that compute
	Context    int            // positions that the model was made for
	Metadata   *gguf.Metadata // everything else; a copy that stays readable when the model is closed

	Companions []CompanionInfo // that were given, or found beside the file, including those that were left
}

// FormatShare is what the tensors of one weight format add up to.
type FormatShare struct {
	Format     tensor.Format // as the file has it
	Tensors    int           // in the format
	Parameters int64         // weights in them
	Bytes      int64         // that they take
}

// Info returns the model's facts.
func (m *Model) Info() Info {
	name, _ := m.file.Metadata.Text("general.name")
	info := Info{
		Name:     name,
		Bytes:    m.file.Size(),
		Formats:  shares(m.file.Tensors),
		Level:    m.graph.Kernels().Name,
		Threads:  m.graph.Workers(),
		Context:  m.graph.Context,
		Metadata: m.file.Metadata.Clone(),
	}
	for _, c := range m.companions {
		info.Companions = append(info.Companions, c.CompanionInfo)
	}
	for _, f := range info.Formats {
		info.Parameters += f.Parameters
	}
	return info
}
