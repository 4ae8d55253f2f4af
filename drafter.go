package gemma4

import (
	"context"
	"slices"

	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/model"
	"github.com/gogemma/gemma4/tensor"
)

// drafter returns what makes a session's source of a companion that drafts; nil: there is none.
func (e *engine) drafter() func() source {
	for i := range e.companions {
		switch c := &e.companions[i]; {
		case c.drafter != nil:
			return func() source { return newAssistant(c.drafter) }
		case c.small != nil:
			return func() source { return newSmaller(c.small) }
		}
	}
	return nil
}

// assistant is the drafter that the model's maker trained for it. It reads the model's own keys and values.
type assistant struct {
	from  *model.Drafter
	draft *model.Draft
	drawing
}

func newAssistant(d *model.Drafter) *assistant { return &assistant{from: d, draft: d.NewDraft()} }

func (x *assistant) follow(context.Context, *generation) {}

func (x *assistant) guess(ctx context.Context, g *generation, p *pace, n int, dst []int32, probs []float64) ([]int32, []float64) {
	s := g.s
	if len(s.hidden) == 0 || len(s.ids) != s.held+1 { // it goes on from the state behind the last position but one
		return dst, probs
	}
	x.draft.Begin(s.seq, s.hidden, s.held)
	return x.guesses(g, p, n, dst, probs, func(token int32) ([]float32, error) { return x.draft.Next(ctx, token) }, x.from.IDs())
}

func (x *assistant) rewound(int) {}

func (x *assistant) close() { x.draft = nil }

// smaller is another Gemma that guesses for a larger one. It reads the text itself.
type smaller struct {
	m    *model.Model
	seq  *model.Sequence // nil: not made yet, or it cannot be
	pass *model.Pass
	ids  []int32 // that seq holds
	off  bool    // the text has what it cannot read, or it has failed
	drawing

	chunk model.Chunk // room
	input [1]Input
}

func newSmaller(m *model.Model) *smaller { return &smaller{m: m, pass: m.NewPass()} }

// follow reads what is new of the text, up to the last few tokens.
func (x *smaller) follow(ctx context.Context, g *generation) {
	const few = 16
	if x.seq == nil && !x.off {
		var err error
		x.seq, err = x.m.NewSequence(model.SequenceOptions{Context: min(g.s.limit, x.m.Context), Cache: tensor.F16,
			History: historyWindows * x.m.WindowBytes(tensor.F16), EndsTurn: g.s.m.tok.IsEnd})
		x.off = err != nil
	}
	if n := len(g.s.ids); n-len(x.ids) > few {
		x.read(ctx, g, n-few)
	}
}

// read takes the text up to n positions through the model, as a prompt.
func (x *smaller) read(ctx context.Context, g *generation, n int) {
	if x.off || n > x.seq.Limit() || slices.ContainsFunc(g.s.ids[len(x.ids):n], func(id identity) bool { return idOf(id) == embedded }) {
		x.off = true
		return
	}
	x.input[0].Tokens = appendTokens(x.input[0].Tokens[:0], g.s.ids[len(x.ids):n])
	x.chunk = model.Chunk{Sequence: x.seq, Input: x.input[:]}
	err := x.pass.Read(ctx, &x.chunk)
	x.ids = append(x.ids, x.input[0].Tokens[:x.seq.Len()-len(x.ids)]...)
	x.off = err != nil && ctx.Err() == nil
}

func (x *smaller) guess(ctx context.Context, g *generation, p *pace, n int, dst []int32, probs []float64) ([]int32, []float64) {
	last := len(g.s.ids) - 1
	if x.off || last < 0 || last+n >= x.seq.Limit() {
		return dst, probs
	}
	if x.read(ctx, g, last); x.off || x.seq.Len() != last {
		return dst, probs
	}
	dst, probs = x.guesses(g, p, n, dst, probs, func(token int32) ([]float32, error) { return x.pass.Write(ctx, x.seq, token) }, nil)
	x.rewound(last)
	return dst, probs
}

func (x *smaller) rewound(n int) {
	if x.seq == nil || n >= x.seq.Len() {
		return
	}
	x.ids = x.ids[:x.seq.Truncate(n)]
}

func (x *smaller) close() {
	if x.seq != nil {
		x.seq.Close()
	}
	x.seq, x.pass, x.chunk, x.off = nil, nil, model.Chunk{}, true
}

// drawing draws tokens from the logits of a drafter as the generation will draw from the model's: with the same options, seed and noise,
// from among what a grammar allows.
type drawing struct {
	ids    []int32 // room
	logits []float32
}

// guesses drafts token by token. next returns the logits behind a token, of ids, ascending, or of the vocabulary if ids is nil.
func (x *drawing) guesses(g *generation, p *pace, n int, dst []int32, probs []float64, next func(token int32) ([]float32, error),
	ids []int32) ([]int32, []float64) {
	s := g.s
	token, _ := s.ids[len(s.ids)-1].Token()
	var state grammar.State
	if g.constraint != nil {
		state = g.constraint.state
	}
	for k := 0; k < n && g.worth(p, probs); k++ {
		g.drafts.worked = true
		logits, err := next(token)
		if err != nil {
			break
		}
		id, prob, ok := x.pick(g, logits, ids, &state, len(s.ids)+k)
		if !ok || s.m.tok.IsEnd(id) {
			break
		}
		token = id
		dst, probs = append(dst, id), append(probs, prob)
	}
	return dst, probs
}

// pick draws the token at a position and moves the state behind it. It returns how likely the drafter takes the most likely one to be,
// since draws with the same noise agree where both are sure. The logits are lost.
func (x *drawing) pick(g *generation, logits []float32, ids []int32, state *grammar.State, position int) (id int32, prob float64, ok bool) {
	d := g.drafts
	var err error
	if g.constraint != nil {
		mask := state.Mask()
		logits, ids = x.allowed(logits, ids, mask)
	}
	if ids == nil {
		id, err = d.sampler.Sample(logits, position)
	} else {
		id, err = d.sampler.SampleIDs(logits, ids, position)
	}
	if err != nil {
		return 0, 0, false
	}
	if g.constraint != nil {
		*state, ok = state.Accept(id)
		if !ok {
			return 0, 0, false
		}
	}
	k := g.s.m.graph.Kernels()
	sum := k.ExpSum(logits, k.Max(logits))
	return id, 1 / max(1, float64(sum)), true
}

// allowed returns the logits of those ids that a mask allows.
func (x *drawing) allowed(logits []float32, ids []int32, mask *grammar.Mask) ([]float32, []int32) {
	x.logits, x.ids = x.logits[:0], x.ids[:0]
	take := func(i int, id int32) {
		x.logits, x.ids = append(x.logits, logits[i]), append(x.ids, id)
	}
	few := mask.IDs()
	switch {
	case ids == nil && few == nil:
		for id := range int32(len(logits)) {
			if mask.Has(id) {
				take(int(id), id)
			}
		}
	case ids == nil:
		for _, id := range few {
			take(int(id), id)
		}
	default:
		for i, id := range ids {
			if mask.Has(id) {
				take(i, id)
			}
		}
	}
	return x.logits, x.ids
}
