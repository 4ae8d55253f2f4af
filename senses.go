package gemma4

import (
	"cmp"
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/gguf"
	"github.com/gogemma/gemma4/internal/wait"
	"github.com/gogemma/gemma4/model"
)

// ErrSense is wrapped by the error for a picture, a sound or a video given to a model that has no projector for it.
var ErrSense = errors.New("the model cannot take it in")

// SenseStats tells what a projector has done of one kind.
type SenseStats struct {
	Encoded  int64         // pictures and frames, or pieces of sound, that went through the projector
	Reused   int64         // that did not have to, since their embeddings were still there; where keys and values are, nothing is counted
	Tokens   int64         // positions that came of those encoded
	Duration time.Duration // that the projector took for them
}

// keptEmbeddings bounds the embeddings that are kept, in bytes: some dozens of pictures, that other sessions may show as well.
const keptEmbeddings = 64 << 20

// senses make embeddings of pictures and sounds. One works at a time: the workers are all its own then, and so is the scratch.
type senses struct {
	*model.Projector
	engine  *engine
	usual   chat.Budget // of pictures for which none is given
	print   []byte      // of the projector's file: see fingerprint
	turn    chan struct{}
	guest   *guest // of the scheduler, whoever has the turn
	sight   *model.Sight
	hearing *model.Hearing

	mu     sync.Mutex
	kept   map[uint64]*list.Element // of *embeddings, by ID
	recent list.List                // the latest first
	bytes  int
	seen   SenseStats
	heard  SenseStats
}

// embeddings are what the projector made of one picture or piece of sound.
type embeddings struct {
	id   uint64
	rows []float32
}

// openSenses returns the senses that the model's projector gives it; nil: it has none.
func (m *Model) openSenses(usual chat.Budget) (*senses, error) {
	for _, c := range m.companions {
		if c.projector != nil {
			return newSenses(m.engine, c.projector, cmp.Or(c.file, m.file), cmp.Or(usual, chat.MediumBudget))
		}
	}
	return nil, nil
}

// newSenses returns the senses that a projector gives a model.
func newSenses(e *engine, p *model.Projector, f *gguf.File, usual chat.Budget) (*senses, error) {
	print, err := fingerprint(f)
	if err != nil {
		return nil, err
	}
	g := e.schedule.newGuest()
	s := &senses{
		Projector: p, engine: e, usual: usual, print: print, turn: make(chan struct{}, 1), guest: g, kept: map[uint64]*list.Element{},
	}
	if p.Image != "" {
		s.sight = p.NewSight()
		s.sight.Between = g.between
	}
	if p.Sound != "" {
		s.hearing = p.NewHearing()
		s.hearing.Between = g.between
	}
	return s, nil
}

// fingerprint returns a digest of a projector's file: what its metadata says of towers, its tensors, and the beginning and end of each.
// Another training changes every one.
func fingerprint(f *gguf.File) ([]byte, error) {
	const most = 1024
	h := sha256.New()
	keys := f.Metadata.Keys()
	slices.Sort(keys)
	for _, key := range keys {
		if strings.HasPrefix(key, "clip.") || strings.HasPrefix(key, "gemma4.") {
			v, _ := f.Metadata.Value(key)
			fmt.Fprintf(h, "%q %v\n", key, v)
		}
	}
	var room [most]byte
	for _, t := range f.Tensors {
		fmt.Fprintf(h, "%q %v %v\n", t.Name, t.Dims, t.Type)
		for _, at := range []int64{0, max(0, t.Size-most)} {
			piece := room[:min(most, t.Size)]
			if _, err := t.ReadAt(piece, at); err != nil && !errors.Is(err, io.EOF) {
				return nil, fmt.Errorf("%s: %w", t.Name, err)
			}
			h.Write(piece)
		}
	}
	return h.Sum(nil), nil
}

// digest begins the hash of what a projector makes embeddings of.
func (s *senses) digest(kind string, numbers ...int) hash.Hash {
	h := sha256.New()
	fmt.Fprintf(h, "%x %s %v\n", s.print, kind, numbers)
	return h
}

// identityOf returns the sum of a hash as the ID of an input; 0 would be none.
func identityOf(h hash.Hash) uint64 { return max(1, binary.LittleEndian.Uint64(h.Sum(nil))) }

// encode returns the embeddings with an ID: those that are kept, or what make makes, which is counted in stats. Others wait meanwhile, so
// that what two want at the same time is made once.
func (s *senses) encode(ctx context.Context, id uint64, stats *SenseStats, make func() ([]float32, error)) (rows []float32, err error) {
	err = s.alone(ctx, func() error {
		if rows = s.find(id, stats); rows != nil {
			return nil
		}
		began := time.Now()
		if rows, err = make(); err != nil {
			return err
		}
		s.took(stats, rows, began)
		s.made(id, rows, stats)
		return nil
	})
	return rows, err
}

// took counts work on embeddings.
func (s *senses) took(stats *SenseStats, rows []float32, began time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats.Tokens += int64(len(rows) / s.Width)
	stats.Duration += time.Since(began)
}

// made counts one thing that was encoded, and keeps its embeddings.
func (s *senses) made(id uint64, rows []float32, stats *SenseStats) {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats.Encoded++
	s.keep(id, rows)
}

// alone calls f when nobody else is at work, unless the model is closed: inputs can be made outside of its sessions.
func (s *senses) alone(ctx context.Context, f func() error) error {
	if err := wait.Turn(ctx, s.turn); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	if err := s.engine.enter(); err != nil {
		return err
	}
	defer s.engine.leave()
	defer s.guest.leave()
	return f()
}

func (s *senses) find(id uint64, stats *SenseStats) []float32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.kept[id]
	if e == nil {
		return nil
	}
	stats.Reused++
	s.recent.MoveToFront(e)
	return e.Value.(*embeddings).rows
}

// keep keeps embeddings, and forgets those that were not used for longest.
func (s *senses) keep(id uint64, rows []float32) {
	if s.kept[id] != nil {
		return
	}
	s.kept[id] = s.recent.PushFront(&embeddings{id, rows})
	for s.bytes += 4 * len(rows); s.bytes > keptEmbeddings && s.recent.Len() > 1; {
		oldest := s.recent.Remove(s.recent.Back()).(*embeddings)
		s.bytes -= 4 * len(oldest.rows)
		delete(s.kept, oldest.id)
	}
}

// stats returns what the senses have done.
func (s *senses) stats() (pictures, sounds SenseStats) {
	if s == nil {
		return SenseStats{}, SenseStats{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen, s.heard
}

// eyes returns the senses of a model that takes pictures.
func (e *engine) eyes() (*senses, error) {
	if s := e.senses; s != nil && s.Image != "" {
		return s, nil
	}
	return nil, e.lacks("pictures")
}

// ears returns the senses of a model that takes sounds.
func (e *engine) ears() (*senses, error) {
	if s := e.senses; s != nil && s.Sound != "" {
		return s, nil
	}
	return nil, e.lacks("sounds")
}

// lacks says why a model does not take pictures or sounds.
func (e *engine) lacks(kind string) error {
	if s := e.senses; s != nil {
		return fmt.Errorf("%w: its projector takes %v, no %s", ErrSense, s.Projector.Senses.String(), kind)
	}
	for _, c := range e.companions {
		if c.Kind == projectorKind.name && c.Left != nil {
			return fmt.Errorf("%w: %s would be a projector of %s, but was left: %w", ErrSense, c.File, kind, c.Left)
		}
	}
	return fmt.Errorf("%w: it was opened without a projector of %s, a file such as mmproj-….gguf (Loader.Projector, or beside the model)",
		ErrSense, kind)
}
