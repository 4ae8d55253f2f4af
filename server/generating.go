package server

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/gogemma/gemma4"
)

// generating are the fields that requests for text have in common, in OpenAI's and llama.cpp's words.
type generating struct {
	Model         string `json:"model"`
	Stream        bool   `json:"stream"`
	StreamOptions struct {
		IncludeUsage bool `json:"include_usage"`
	} `json:"stream_options"`
	MaxTokens           *whole `json:"max_tokens"`
	MaxCompletionTokens *whole `json:"max_completion_tokens"`
	N                   *whole `json:"n"`
	Stop                texts  `json:"stop"`
	CachePrompt         *bool  `json:"cache_prompt"`
	ReturnProgress      bool   `json:"return_progress"`
	TimingsPerToken     bool   `json:"timings_per_token"`
	sampling
	form
}

// mostTop is how many tokens a request may ask the probabilities of at each place.
const mostTop = 20

// request makes one for the queue, which lacks what is to be answered. Its answers have top probabilities at each place; below 0 none.
func (f *generating) request(c *call, top int) (r gemma4.Request, err error) {
	if err := c.known(f.Model); err != nil {
		return r, err
	}
	slots := c.s.q.Stats().Slots
	if r.N = f.N.or(1); r.N < 1 || r.N > slots {
		return r, bad("n", "n is %d, expected 1 to %d", r.N, slots)
	}
	if r.MaxTokens, err = f.mostTokens(); err != nil {
		return r, err
	}
	if top > mostTop {
		return r, bad("top_logprobs", "the probabilities of %d tokens are wanted, expected %d at most", top, mostTop)
	}
	if top >= 0 {
		r.LogProbs = max(1, top) // 1 has the token's own
	}
	if r.Sampling, err = f.overrides(c.s.m.Tokenizer().Size(), c.s.context); err != nil {
		return r, err
	}
	if r.Grammar, err = c.s.metrics.compiled(f.grammar(c.s.m.Vocabulary)); err != nil {
		return r, err
	}
	r.Stop = slices.DeleteFunc(slices.Clone(f.Stop), func(s string) bool { return s == "" })
	r.RepeatGuard = r.MaxTokens == 0 || r.Grammar != nil // who says how much wants that much
	if f.CachePrompt != nil && !*f.CachePrompt {
		r.Prefixes = c.s.none
	}
	return r, nil
}

// mostTokens returns how many tokens an answer may have; 0: as many as the context holds, as where nothing is said, and for −1.
func (f *generating) mostTokens() (int, error) {
	name, n := "max_completion_tokens", f.MaxCompletionTokens
	if n == nil {
		name, n = "max_tokens", f.MaxTokens
	}
	switch most := n.or(-1); {
	case most == -1:
		return 0, nil
	case most < 1:
		return 0, bad(name, "%s is %d, expected 1 or more", name, most)
	default:
		return most, nil
	}
}

// progress is how far the reading of a prompt has come, as llama.cpp tells it.
type progress struct {
	Total     int     `json:"total"`
	Cache     int     `json:"cache"`
	Processed int     `json:"processed"`
	Time      float64 `json:"time_ms"`
}

// follower follows a request on its way through the model.
type follower struct {
	began      time.Time
	first, now time.Time // of the answers' deltas
	latest     atomic.Pointer[progress]
	news       chan struct{} // holds one: there is another latest
}

// follow has a follower told of a request.
func follow(r *gemma4.Request) *follower {
	f := &follower{began: time.Now(), news: make(chan struct{}, 1)}
	r.Trace = &gemma4.Trace{Prefill: func(i gemma4.PrefillInfo) {
		p := progress{Total: i.Len + i.Left, Cache: i.Len - i.Positions, Processed: i.Len,
			Time: float64(time.Since(f.began)) / float64(time.Millisecond)}
		if before := f.latest.Load(); before != nil {
			p.Cache = before.Cache
		}
		f.latest.Store(&p)
		select {
		case f.news <- struct{}{}:
		default: // somebody is on the way, and will find this
		}
	}}
	return f
}

// tell calls send with the latest news until stop is called, which sees to it that none is left untold. So a client that reads slowly keeps
// no model waiting.
func (f *follower) tell(send func(p progress)) (stop func()) {
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			case <-f.news:
				send(*f.latest.Load())
			}
		}
	}()
	once := false
	return func() {
		if !once {
			once = true
			close(end)
			<-ended
			select {
			case <-f.news: // just before the end
				send(*f.latest.Load())
			default:
			}
		}
	}
}

// tick notes that the answers have gone on.
func (f *follower) tick() {
	if f.now = time.Now(); f.first.IsZero() {
		f.first = f.now
	}
}

// timings returns those of an answer that has not ended, of the number of tokens given.
func (f *follower) timings(written int) *timings {
	p := f.latest.Load()
	if p == nil { // nothing had to be read
		p = new(progress)
	}
	return newTimings(p.Cache, p.Total-p.Cache, written, f.first.Sub(f.began), f.now.Sub(f.first))
}
