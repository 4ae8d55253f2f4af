package gemma4

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/model"
)

// worthwhile is how many positions must be saved for a text to be kept, taken over or waited for: each text that continues a common
// beginning has a copy of the last page.
const worthwhile = 16

// PrefixCache keeps the beginnings of texts that sessions have read, so that other sessions begin there and read only what is different.
// Give it to sessions as SessionOptions.Prefixes; any number may share it, even of several models, adapters and cache formats, whose texts
// are kept apart. Results have the same bytes as without it.
//
// What is kept: a prompt as it was read, up to the first token that was written or embedding without an ID; the end of its first turn, so
// that an instruction is available as soon as it has been read; and the places where texts part. Sessions that want to read the same
// beginning at the same time wait for the first of them. No session begins within an image. The least recently used texts make room for
// others. [PrefixCache.Open] lets texts outlive the program in a folder.
type PrefixCache struct {
	limit int64

	mu       sync.Mutex
	models   map[*engine]bool
	folders  map[*engine]*folder
	texts    []*cachedText
	readings []*reading
	pages    model.PageSet
	stats    PrefixStats
	latest   time.Time // when a text was used last
	closed   bool
}

// PrefixStats tells what a [PrefixCache] has done and holds.
type PrefixStats struct {
	Hits     int64 // how often a session began with what another had read
	Reused   int64 // positions that need not be read because of it
	Computed int64 // positions that were read
	Texts    int   // held now; they share their beginnings
	Bytes    int64 // that their keys and values take, but for those in mapped files

	Files     int   // texts in folders that can be begun with: see [PrefixCache.Open]
	FileBytes int64 // that they take there
}

// prefixKind tells texts apart that cannot share keys and values.
type prefixKind struct {
	m       *engine
	cache   CacheFormat
	adapted string // as model.Sequence.Adapted
}

// cachedText is a text that sessions may begin with.
type cachedText struct {
	prefixKind
	ids  []identity
	text *model.Snapshot
	used time.Time   // no two texts at the same time
	file *prefixFile // that has the text, too; nil: none, as far as is known
}

// reading is a prompt that a session is about to read.
type reading struct {
	prefixKind
	text  prompt        // as far as its identities are known
	from  int           // where it began
	at    int           // how far it has come
	keep  []int         // positions to be kept when it gets there
	moved chan struct{} // closed when at changes

	evicted []EvictInfo // of which nobody has been told
}

// NewPrefixCache returns an empty cache that holds at most the given number of bytes of keys and values. They come on top of what sessions
// take; what a text shares with others or with a session is there only once.
func NewPrefixCache(bytes int64) *PrefixCache {
	return &PrefixCache{limit: bytes, models: map[*engine]bool{}, folders: map[*engine]*folder{}}
}

// Stats returns what the cache has done and holds.
func (p *PrefixCache) Stats() PrefixStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.stats
	s.Texts, s.Bytes = len(p.texts), p.pages.Bytes()
	for _, f := range p.folders {
		for _, x := range f.files {
			s.Files++
			s.FileBytes += x.Bytes
		}
	}
	return s
}

// Close gives the cache's memory back. Sessions that use it continue without. It is safe to close twice.
func (p *PrefixCache) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for m := range p.models {
		m.prefixes.Delete(p)
	}
	clear(p.models)
	clear(p.folders)
	p.drop(func(*cachedText) bool { return true })
	for _, r := range p.readings {
		r.advance(r.at)
	}
	return nil
}

// join lets the model tell the cache when it is closed.
func (p *PrefixCache) join(m *engine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.models[m] = true
		m.prefixes.Store(p, nil)
	}
}

// leave forgets the texts of a model.
func (p *PrefixCache) leave(m *engine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.models, m)
	delete(p.folders, m)
	p.drop(func(t *cachedText) bool { return t.m == m })
}

// drop forgets texts.
func (p *PrefixCache) drop(which func(*cachedText) bool) {
	p.texts = slices.DeleteFunc(p.texts, func(t *cachedText) bool {
		if !which(t) {
			return false
		}
		p.pages.Remove(t.text)
		t.text.Release()
		return true
	})
}

// begin is called before a session that holds its whole text reads on. It waits for others that are reading the same, takes the session to
// the longest beginning that is cached, and returns what is left to read. Unless it fails, end must follow.
func (p *PrefixCache) begin(ctx context.Context, s *Session, in []Input) ([]Input, error) {
	have, kind := len(s.ids), prefixKind{s.m.engine, s.options.Cache, s.seq.Adapted()}
	text := s.m.prompt(s.ids, in)
	total, known := len(text.ids), text.known()
	if s.seq.Pure() < have || known <= have || total > s.seq.Limit() {
		return in, nil
	}
	text.ids = text.ids[:known]
	most := min(known, total-1) // the logits of the last position are wanted
	if err := cmp.Or(cause.Of(ctx), s.open()); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	var evicted []EvictInfo
	var tried map[string]bool // files
	for !p.closed {
		best, n, common := p.find(kind, text, most)
		if n-have < worthwhile {
			n = have
		}
		if f := p.folders[s.m.engine]; f != nil {
			file, reach, shared := f.find(kind, text, most, tried)
			if reach-n >= worthwhile {
				if tried == nil {
					tried = map[string]bool{}
				}
				tried[file.Name] = true
				if err := f.load(ctx, s, kind, file.Name, &evicted); err != nil {
					return nil, err
				}
				continue
			}
			common = max(common, shared)
		}
		if r, c := p.ahead(kind, text, n, most); r != nil {
			if !slices.Contains(r.keep, c) {
				r.keep = append(r.keep, c)
			}
			if err := p.wait(ctx, s, r.moved); err != nil {
				return nil, err
			}
			continue
		}
		if n > have {
			if _, err := s.seq.Adopt(best.text, n); err != nil {
				return nil, wrap(err)
			}
			s.commit(append(s.ids[:have], text.ids[have:n]...), nil, nil, nil)
			p.touch(best)
			p.stats.Hits++
			p.stats.Reused += int64(n - have)
			in = s.m.after(in, n-have)
		}
		s.reading = &reading{
			prefixKind: kind, text: text, from: n, at: n, moved: make(chan struct{}), keep: []int{common, known}, evicted: evicted,
		}
		if i := slices.IndexFunc(text.ids, s.m.endsTurn); i >= 0 {
			s.reading.keep = append(s.reading.keep, i+1)
		}
		p.readings = append(p.readings, s.reading)
		break
	}
	return in, nil
}

// wait gives mu back until a reading has moved, or the session need not wait for it any longer.
func (p *PrefixCache) wait(ctx context.Context, s *Session, moved <-chan struct{}) error {
	p.mu.Unlock()
	defer p.mu.Lock()
	select {
	case <-moved:
	case <-ctx.Done():
	case <-s.closing:
	}
	return cmp.Or(cause.Of(ctx), s.open())
}

// find returns the cached text that holds the longest beginning of the given one, how long that is, up to most, and how many positions the
// given text has in common with any cached one, whether their keys and values are held or not.
func (p *PrefixCache) find(kind prefixKind, text prompt, most int) (best *cachedText, n, common int) {
	for _, t := range p.texts {
		if t.prefixKind != kind {
			continue
		}
		r, c := text.match(t.ids, t.text.Reach, most)
		common = max(common, c)
		// Of equally good ones the shortest, so that long ones grow old when only their beginnings are used.
		if r > n || r == n && best != nil && len(t.ids) < len(best.ids) {
			best, n = t, r
		}
	}
	return best, n, common
}

// ahead returns the reading that will soonest cover more of a text than its first n positions, and how much.
func (p *PrefixCache) ahead(kind prefixKind, text prompt, n, most int) (best *reading, common int) {
	for _, r := range p.readings {
		if r.prefixKind != kind || r.at < n {
			continue
		}
		c := text.border(min(model.CommonLen(r.text.ids, text.ids), most))
		if c-n >= worthwhile && c > r.at && c > common && kind.m.fits(c, kind.cache, p.limit) {
			best, common = r, c
		}
	}
	return best, common
}

// fits reports whether keys and values of n positions can be kept within a limit.
func (m *engine) fits(n int, c CacheFormat, limit int64) bool {
	f, err := c.format()
	return err == nil && m.graph.CacheBytes(n, f, 1) <= limit
}

// touch notes that a text is used now.
func (p *PrefixCache) touch(t *cachedText) {
	if now := time.Now().Round(0); now.After(p.latest) {
		p.latest = now
	} else { // two moments are one, or the clock was put back
		p.latest = p.latest.Add(1)
	}
	t.used = p.latest
	if t.file == nil {
		return
	}
	if f := p.folders[t.m]; f != nil && f.files[t.file.Name] != nil {
		f.files[t.file.Name].used = t.used
	}
}

// advance notes how far a reading has come and wakes those who wait for it.
func (r *reading) advance(at int) {
	r.at = at
	close(r.moved)
	r.moved = make(chan struct{})
}

// step is called when the session has read a part: it keeps what is to be kept of it.
func (p *PrefixCache) step(s *Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r, n := s.reading, s.seq.Pure()
	for _, at := range r.keep {
		if at > r.at && at <= n {
			r.evicted = p.add(r.evicted, r, s.seq, at)
		}
	}
	r.advance(n)
}

// end keeps what the session has read, and lets those who wait for more continue.
func (p *PrefixCache) end(s *Session) {
	r := s.reading
	if r == nil {
		return
	}
	s.reading = nil
	defer r.tell(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.stats.Computed += int64(s.seq.Len() - r.from)
	r.evicted = p.add(r.evicted, r, s.seq, s.seq.Pure())
	p.readings = slices.DeleteFunc(p.readings, func(x *reading) bool { return x == r })
	r.advance(len(r.text.ids))
}

// tell tells what was given up, when the cache serves others again.
func (r *reading) tell(s *Session) {
	list := r.evicted
	r.evicted = nil
	for _, e := range list {
		s.m.log.Debug("cached prefix evicted", "positions", e.Positions, "bytes", e.Bytes)
		s.options.Trace.evicted(e)
	}
}

// add keeps the first n positions of a text that was read, if that is worthwhile. It appends to evicted what had to go.
func (p *PrefixCache) add(evicted []EvictInfo, r *reading, g *model.Sequence, n int) []EvictInfo {
	if _, cached, _ := p.find(r.prefixKind, r.text, n); p.closed || n-cached < worthwhile || g.Reach(n) < n {
		return evicted
	}
	t := &cachedText{prefixKind: r.prefixKind, ids: r.text.ids[:n], text: g.SnapshotOf(n)}
	if t.text.Memory() > p.limit || t.text.LiesIn(p.folders[t.m].lacks) {
		t.text.Release()
		return evicted
	}
	p.insert(t, &evicted)
	return evicted
}

// insert takes a text into the cache and appends to evicted what had to go.
func (p *PrefixCache) insert(t *cachedText, evicted *[]EvictInfo) {
	p.touch(t)
	p.texts = append(p.texts, t)
	p.pages.Add(t.text)
	for p.pages.Bytes() > p.limit {
		var oldest *cachedText
		for _, t := range p.texts {
			if (oldest == nil || t.used.Before(oldest.used)) && t.text.Memory() > 0 {
				oldest = t
			}
		}
		*evicted = append(*evicted, EvictInfo{Cached: true, Positions: len(oldest.ids), Bytes: oldest.text.Bytes()})
		p.drop(func(t *cachedText) bool { return t == oldest })
	}
}
