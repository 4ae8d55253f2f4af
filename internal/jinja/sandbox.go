package jinja

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/gogemma/gemma4/internal/cause"
)

// The bounds of a template; those of a run are its limits.
const (
	maxSource  = 1 << 20 // bytes of a template; the largest published ones have 1 << 15, and parsing takes up to 300 times as much memory
	maxNesting = 100     // blocks within blocks, operators within operators
	maxDepth   = 100     // calls within calls, values within values
	maxRange   = 100000  // numbers in one range, as in Jinja's own sandbox

	maxParameters = 100 // of a macro, and named arguments of a call

	stepBytes = 64 // bytes of text handled that count as a step

	valueBytes  = 16  // of an item in a list
	pairBytes   = 96  // of an entry in a dict
	objectBytes = 512 // of anything that keeps variables alive
)

// limits bound a run. Beyond the base they grow with the variables, so that a long conversation is no attack.
type limits struct {
	steps  int64 // expressions and statements, and 64 bytes of text handled
	memory int64 // bytes allocated, freed or not
	text   int64 // bytes of any one text, the output among them
}

// limitsFor returns the bounds of a run. They grow with the bytes of text in the variables and with the pairs of items in the longest
// list, that of the messages, for templates look back from each message.
func limitsFor(variables Object) limits {
	size, longest := int64(weigh(variables)), int64(0)
	for _, e := range variables {
		if l, ok := e.Value.([]any); ok {
			longest = max(longest, int64(len(l)))
		}
	}
	pairs := longest * longest
	return limits{steps: 4<<20 + 4*size + 20*pairs, memory: 64<<20 + 64*size + 32*pairs, text: 16<<20 + 8*size}
}

// weigh returns the bytes of all text and numbers in a variable.
func weigh(v any) int {
	n := 0
	switch v := v.(type) {
	case string:
		n = len(v)
	case json.Number:
		n = len(v)
	case []any:
		for _, item := range v {
			n += weigh(item)
		}
	case Object:
		for _, e := range v {
			n += len(e.Key) + weigh(e.Value)
		}
	}
	return n
}

// run is one rendering: its output and what it may still spend.
type run struct {
	ctx    context.Context
	marks  *marks
	tables *tables // what names mean in the template
	out    *buffer

	max           limits
	steps, memory int64
	depth         int
}

// limit is the error of a bound.
func (r *run) limit(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrLimit}, args...)...)
}

// step counts one step and looks whether the context is done.
func (r *run) step() error { return r.count(1) }

func (r *run) count(n int64) error {
	before := r.steps
	r.steps += n
	if r.steps > r.max.steps {
		return r.limit("more than %d steps", r.max.steps)
	}
	if r.steps>>9 != before>>9 {
		if err := cause.Of(r.ctx); err != nil {
			return fmt.Errorf("stopped: %w", err)
		}
	}
	return nil
}

// work counts the handling of n bytes that allocates nothing.
func (r *run) work(n int) error { return r.count(int64(n)/stepBytes + 1) }

// alloc counts n bytes that are about to be allocated, and the work of filling them.
func (r *run) alloc(n int64) error {
	if r.memory += n; r.memory > r.max.memory {
		return r.limit("more than %d bytes of memory", r.max.memory)
	}
	return r.count(n/stepBytes + 1)
}

// makeText counts a text of n bytes that is about to be made. n is an int64 so that callers can multiply first.
func (r *run) makeText(n int64) error {
	if n > r.max.text {
		return r.limit("a text of %d bytes, more than %d", n, r.max.text)
	}
	return r.alloc(n)
}

// makeList counts a list of n items that is about to be made.
func (r *run) makeList(n int64) error {
	if n > r.max.memory/valueBytes {
		return r.limit("a list of %d items, more than %d bytes of memory", n, r.max.memory)
	}
	return r.alloc(n*valueBytes + valueBytes)
}

// enter counts a call within a call; leave ends it.
func (r *run) enter() error {
	if r.depth++; r.depth > maxDepth {
		return r.limit("calls nested deeper than %d", maxDepth)
	}
	return nil
}

func (r *run) leave() { r.depth-- }

// capture runs f with an output of its own and returns what it wrote.
func (r *run) capture(f func() error) (string, error) {
	outer := r.out
	r.out = &buffer{run: r}
	err := f()
	s := r.out.String()
	r.out = outer
	return s, err
}

// buffer is text being made.
type buffer struct {
	run    *run
	b      strings.Builder
	sorted bool // repr sorts the keys of dicts, as pprint does
}

func (b *buffer) String() string { return b.b.String() }

func (b *buffer) write(s string) error {
	if n := int64(b.b.Len()) + int64(len(s)); n > b.run.max.text {
		return b.run.limit("output of more than %d bytes", b.run.max.text)
	}
	// A builder that grows by doubling allocates up to three times what it holds in the end.
	if err := b.run.alloc(3 * int64(len(s))); err != nil {
		return err
	}
	b.b.WriteString(s)
	return nil
}

// scope holds the variables of a template, a macro, or one round of a loop. Most hold few; many go into a map.
type scope struct {
	few   []variable
	many  map[string]value
	outer *scope
}

type variable struct {
	name  string
	value value
}

const fewVariables = 8

func (s *scope) inner() *scope { return &scope{outer: s} }

// get returns a variable of this scope alone.
func (s *scope) get(name string) (value, bool) {
	for i := range s.few {
		if s.few[i].name == name {
			return s.few[i].value, true
		}
	}
	v, ok := s.many[name]
	return v, ok
}

func (s *scope) set(name string, v value) {
	for i := range s.few {
		if s.few[i].name == name {
			s.few[i].value = v
			return
		}
	}
	if len(s.few) < fewVariables {
		s.few = append(s.few, variable{name, v})
		return
	}
	if s.many == nil {
		s.many = map[string]value{}
	}
	s.many[name] = v
}

// lineError says in which line of a template something went wrong.
type lineError struct {
	line int
	err  error
}

// Error quotes what the template says, which may be long, in part only.
func (e *lineError) Error() string { return fmt.Sprintf("line %d: %.1200s", e.line, e.err) }
func (e *lineError) Unwrap() error { return e.err }

// atLine adds the line to an error that has none yet.
func atLine(line int, err error) error {
	var known *lineError
	if err == nil || errors.As(err, &known) {
		return err
	}
	return &lineError{line, err}
}
