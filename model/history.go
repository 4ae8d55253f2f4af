package model

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"

	"github.com/gogemma/gemma4/tensor"
)

// Sliding layers see a window of the last positions, and a text can only be taken back to a position whose window is still held. Pages
// outside the current window are kept as long as the budget for history allows: those that the latest marks need, and the most recent
// others. All sliding layers keep the same ones.

// history is what a sequence keeps of positions that its window has left behind.
type history struct {
	budget    int   // pages, in each sliding layer
	low       int   // the first page that the current window needs
	marks     []int // positions to go back to, ascending: ends of turns
	pageBytes int64 // of a page in all sliding layers
	givenUp   int   // pages that forget has dropped
}

// Mark notes that the text may be taken back to where it ends now. As far as the budget goes, the first mark, which in a chat with a system
// turn is the end of that, and the latest ones are served.
func (s *Sequence) Mark() { s.mark(s.n) }

func (s *Sequence) mark(n int) {
	h := &s.history
	if i, found := slices.BinarySearch(h.marks, n); !found && n > 0 {
		h.marks = slices.Insert(h.marks, i, n)
	}
}

// sliding returns the cache of a sliding layer, nil if the model has none.
func (s *Sequence) sliding() *kv {
	for _, c := range s.owned() {
		if c.sliding {
			return c
		}
	}
	return nil
}

// needed returns the pages lo to hi-1 that the window of a text of n positions lies in.
func (c *Config) needed(n int) (lo, hi int) {
	return max(0, n-c.Window+1) / pageLen, (n + pageLen - 1) / pageLen
}

// forget gives up pages of sliding layers that nobody needs if the text is not taken back to before position n. It is called when a pass
// has become part of the text: one that fails costs nothing.
func (s *Sequence) forget(n int) {
	h, c := &s.history, s.sliding()
	low, _ := s.m.needed(n)
	if c == nil || low == h.low {
		return
	}
	h.low = low
	over := -h.budget
	for _, p := range c.pages[:min(low, len(c.pages))] {
		if p != nil {
			over++
		}
	}
	for i := 0; over > 0; i++ {
		if i == low { // all that is left is marked
			first := 0
			if lo, hi := s.m.needed(h.marks[0]); hi-lo < h.budget { // it leaves something for the others
				first = 1
			}
			h.marks = slices.Delete(h.marks, first, first+1)
			i = 0
		}
		if c.pages[i] != nil && !h.marked(&s.m.Config, i) {
			over--
			h.givenUp++
			for _, c := range s.owned() {
				if c.sliding {
					c.drop(i)
				}
			}
		}
	}
}

// GivenUp returns how many positions' keys and values the sliding layers have given up since the sequence was made, in whole pages, because
// their windows have passed and there was no room in the history. What Truncate forgets is not counted.
func (s *Sequence) GivenUp() (positions int, bytes int64) {
	h := &s.history
	return h.givenUp * pageLen, int64(h.givenUp) * h.pageBytes
}

// marked reports whether a mark needs page i.
func (h *history) marked(c *Config, i int) bool {
	return slices.ContainsFunc(h.marks, func(n int) bool {
		lo, hi := c.needed(n)
		return lo <= i && i < hi
	})
}

// reach returns the last position up to n that the text can be taken back to: the pages of its window are held.
func (c *Config) reach(held func(i int) bool, n int) int {
	for n > 0 {
		lo, hi := c.needed(n)
		for lo < hi && held(hi-1) {
			hi--
		}
		if lo == hi {
			break
		}
		n = (hi - 1) * pageLen
	}
	return n
}

// Reach returns the last position up to n that Truncate can take the text back to.
func (s *Sequence) Reach(n int) int {
	n = max(0, min(n, s.n))
	if c := s.sliding(); c != nil {
		return s.m.reach(func(i int) bool { return c.pages[i] != nil }, n)
	}
	return n
}

// Truncate forgets the positions from n on, or from an earlier one where n cannot be reached: sliding layers keep only some of their past.
// It returns how many positions are left: n, or the next position below it that can be reached.
func (s *Sequence) Truncate(n int) int {
	if n >= s.n {
		return s.n
	}
	s.n = s.Reach(n)
	for _, c := range s.owned() {
		c.truncate(s.n)
	}
	s.pure, s.kept = min(s.pure, s.n), min(s.kept, s.n)
	s.history.truncate(s.n)
	low, _ := s.m.needed(s.n)
	s.history.low = min(s.history.low, low) // what lies between is still there to be forgotten
	return s.n
}

// Accept ends a check of drafted positions: of those that the last decode brought it keeps the ones before n, at least one, and gives up
// the others. The sequence is then as if it had decoded them one by one.
func (s *Sequence) Accept(n int) {
	s.Truncate(n)
	s.forget(n - 1)
}

// Keep notes the text as it is now.
func (s *Sequence) Keep() { s.kept = s.n }

// Kept returns how many positions of the text that Keep noted are still there: it has not been taken back further since.
func (s *Sequence) Kept() int { return s.kept }

// truncate removes the marks after n.
func (h *history) truncate(n int) {
	for len(h.marks) > 0 && h.marks[len(h.marks)-1] > n {
		h.marks = h.marks[:len(h.marks)-1]
	}
}

// Snapshot is a text at one moment: its keys and values, shared with the sequence that it was taken of until that changes. It may be used
// by several goroutines. Release gives its share of the memory back.
type Snapshot struct {
	config  *Config
	format  tensor.Format
	adapted string // as Sequence.Adapted
	n       int
	pure    int       // as in Sequence
	pages   [][]*page // per owning layer
	marks   []int
	file    *mapping // that it was opened from, if any
}

// Snapshot returns what the sequence holds now.
func (s *Sequence) Snapshot() *Snapshot { return s.SnapshotOf(s.n) }

// SnapshotOf returns what the sequence holds of its first n positions.
func (s *Sequence) SnapshotOf(n int) *Snapshot {
	n = max(0, min(n, s.n))
	t := &Snapshot{
		config: &s.m.Config, format: s.format, adapted: s.adapted.key, n: n, pure: min(n, s.pure), pages: make([][]*page, s.m.Owners),
	}
	marks, _ := slices.BinarySearch(s.history.marks, n+1)
	t.marks = slices.Clone(s.history.marks[:marks])
	for i, c := range s.owned() {
		t.pages[i] = slices.Clone(c.pages[:(n+pageLen-1)/pageLen])
		for _, p := range t.pages[i] {
			p.hold()
		}
	}
	return t
}

// Share returns the same text once more, to be released by itself.
func (t *Snapshot) Share() *Snapshot {
	c := *t
	c.pages = make([][]*page, len(t.pages))
	for i, pages := range t.pages {
		c.pages[i] = slices.Clone(pages)
		for _, p := range pages {
			p.hold()
		}
	}
	if c.file != nil {
		c.file.holders.Add(1)
	}
	return &c
}

// Len returns the number of positions.
func (t *Snapshot) Len() int { return t.n }

// Reach returns the last position up to n that a sequence can begin at.
func (t *Snapshot) Reach(n int) int {
	n = max(0, min(n, t.n))
	for i, pages := range t.pages {
		if t.config.Layers[i].Sliding {
			return t.config.reach(func(i int) bool { return pages[i] != nil }, n)
		}
	}
	return n
}

// Release gives the snapshot's share of the memory back. It is safe to call twice, but not while the snapshot is in use.
func (t *Snapshot) Release() {
	for _, pages := range t.pages {
		for _, p := range pages {
			if p != nil {
				p.release()
			}
		}
	}
	t.pages = nil
	if t.file != nil {
		t.file.release()
		t.file = nil
	}
}

// Bytes returns what the snapshot holds, shared or not.
func (t *Snapshot) Bytes() int64 { return pagesBytes(t.pages...) }

func pagesBytes(layers ...[]*page) (sum int64) {
	for _, pages := range layers {
		for _, p := range pages {
			if p != nil {
				sum += int64(len(p.k) + len(p.v))
			}
		}
	}
	return sum
}

// FileAt returns the path of the file that pages of the snapshot lie in and that is mapped around an address; empty: there is none.
func (t *Snapshot) FileAt(addr uintptr) string {
	for f := range t.files() {
		if f.contains(addr) {
			return f.path
		}
	}
	return ""
}

// LiesIn reports whether pages of the snapshot lie in such a file, of which is is told the path.
func (t *Snapshot) LiesIn(is func(path string) bool) bool {
	for f := range t.files() {
		if is(f.path) {
			return true
		}
	}
	return false
}

// files yields the files that pages lie in, some of them again and again.
func (t *Snapshot) files() iter.Seq[*mapping] {
	return func(yield func(*mapping) bool) {
		for _, pages := range t.pages {
			var last *mapping
			for _, p := range pages {
				if p == nil || p.file == last {
					continue
				}
				if last = p.file; last != nil && !yield(last) {
					return
				}
			}
		}
	}
}

// Adopt replaces the sequence's text by the first n positions of a snapshot, or as many fewer as can be reached, and returns their number.
// The snapshot must be of the same model, have the sequence's cache format, and have been read with its adapters ([ErrOtherAdapters]).
func (s *Sequence) Adopt(t *Snapshot, n int) (int, error) {
	if t.config != &s.m.Config {
		return 0, errors.New("model: a snapshot of another model")
	}
	if t.format != s.format {
		return 0, fmt.Errorf("model: the cache is in %v, the session's in %v", t.format, s.format)
	}
	if t.adapted != s.adapted.key {
		return 0, ErrOtherAdapters
	}
	if n = t.Reach(n); n > s.limit {
		return 0, &ContextError{n, s.limit}
	}
	s.Truncate(0)
	for i, c := range s.owned() {
		c.pages = append(c.pages[:0], t.pages[i][:(n+pageLen-1)/pageLen]...)
		for _, p := range c.pages {
			if p != nil {
				p.hold()
				c.held++
			}
		}
	}
	s.n, s.pure = n, min(n, t.pure)
	s.history.marks = append(s.history.marks[:0], t.marks...)
	s.history.truncate(n)
	return n, nil
}

// PageSet counts the pages that snapshots hold in memory, shared ones once. What lies in a mapped file is no memory, but on machines whose
// addresses are few.
type PageSet struct {
	holders map[*page]int
	bytes   int64
}

// memory returns what a page takes beside the file that it may lie in.
func (p *page) memory() int64 {
	if p.file != nil && p.file.mapped && math.MaxInt > math.MaxInt32 {
		return 0
	}
	return int64(len(p.k) + len(p.v))
}

// Memory returns what the snapshot takes of memory, shared or not: as PageSet counts.
func (t *Snapshot) Memory() (sum int64) {
	for _, pages := range t.pages {
		for _, p := range pages {
			if p != nil {
				sum += p.memory()
			}
		}
	}
	return sum
}

// Bytes returns what the pages take.
func (s *PageSet) Bytes() int64 { return s.bytes }

// Add counts the pages of a snapshot.
func (s *PageSet) Add(t *Snapshot) {
	if s.holders == nil {
		s.holders = map[*page]int{}
	}
	s.count(t, 1)
}

// Remove undoes Add; the snapshot must not have been released yet.
func (s *PageSet) Remove(t *Snapshot) { s.count(t, -1) }

func (s *PageSet) count(t *Snapshot, by int) {
	for _, pages := range t.pages {
		for _, p := range pages {
			if p == nil {
				continue
			}
			before := s.holders[p]
			s.holders[p] = before + by
			switch {
			case before == 0:
				s.bytes += p.memory()
			case before+by == 0:
				s.bytes -= p.memory()
				delete(s.holders, p)
			}
		}
	}
}
