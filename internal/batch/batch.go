// Package batch has the requests of a file answered, many at once, by an http.Handler or by whoever is at a base URL.
//
// The files are those of OpenAI's Batch API, JSON in lines, each with a custom_id. Answers stand in the order in which they were completed.
// A run that has ended in whatever way can be gone on with, since each answer is written as a whole line, at once:
//
//	in, err := batch.Open("in.jsonl", nil)              // an error if a line makes no sense
//	out, err := batch.Resume("out.jsonl", in, false)    // with the answers of an earlier run, if there are any
//	b := batch.Batch{URL: "http://127.0.0.1:8080/v1"}
//	progress, err := b.Run(ctx, in, out)
package batch

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Batch is who answers requests, and how.
type Batch struct {
	// URL is where the API is, as OpenAI's clients have it: http://127.0.0.1:8080/v1. Without a path, /v1 is meant.
	URL string
	// Key is sent along, unless it is empty.
	Key string
	// Transport reaches the URL; nil: the network. Another is a [Handler].
	Transport http.RoundTripper
	// Parallel is how many requests are asked at once; 0: 8.
	Parallel int
	// Retries is how often a request is asked again when the server is busy or the connection is lost.
	Retries int
	// Timeout is how long a server may take for an answer; 0: for ever.
	Timeout time.Duration
	// Progress is called after each answer, and twice a second, by the goroutine that called Run; nil: nobody is told.
	Progress func(Progress)

	sleep func(ctx context.Context, d time.Duration) error // between two tries; nil: sleep
}

// Progress is how far a run has come.
type Progress struct {
	Requests int           // in the input
	Before   int           // answered before the run
	Answered int           // by the run
	Failed   int           // those whose answer is an error, or who got none,
	Failure  string        // and why the last of them did
	Running  int           // that are being asked
	Waiting  int           // of these, those that wait to be asked again,
	Trouble  string        // because of this, the last time
	Elapsed  time.Duration // since the run began

	Prompt, Generated int64 // tokens, as the usage of the run's answers has them
}

// Left returns how long the rest will take if it goes on as it went, 0 if nobody can know. What is being asked counts half.
func (p Progress) Left() time.Duration {
	ended := p.Answered + p.Failed
	if ended == 0 {
		return 0
	}
	done := float64(ended) + float64(p.Running)/2
	return time.Duration(float64(p.Elapsed) * max(0, float64(p.Requests-p.Before)-done) / done)
}

// run is a Batch at work.
type run struct {
	Batch
	base   *url.URL // of all endpoints
	client *http.Client
	stop   context.CancelCauseFunc

	running, waiting atomic.Int64
	trouble          atomic.Value // string
	reached          atomic.Bool  // the server has answered something
	lost             atomic.Int64 // requests given up in a row
}

// Run asks for what in has and out has not, until all is answered, ctx ends, or there is no sense in going on: the output cannot be
// written, the key is wrong, nobody is at the URL, or more requests than are asked at once had to be given up in a row. What has been
// answered is in out, however it ends; nothing of this package runs on. An Input and an Output are for one run.
func (b Batch) Run(ctx context.Context, in *Input, out *Output) (Progress, error) {
	r, err := b.start()
	if err != nil {
		return Progress{}, err
	}
	begin := time.Now()
	p := Progress{Requests: in.Requests, Before: out.Answered}
	in.ids = nil // a lot of memory
	ctx, r.stop = context.WithCancelCause(ctx)
	defer r.stop(nil)
	defer r.client.CloseIdleConnections()

	requests, answers := make(chan Request), make(chan *answer)
	go func() {
		defer close(requests)
		if err := in.each(out.done, func(q Request) bool {
			select {
			case requests <- q:
				return true
			case <-ctx.Done():
				return false
			}
		}); err != nil {
			r.stop(err)
		}
	}()
	var workers sync.WaitGroup
	for range r.Parallel {
		workers.Go(func() {
			for q := range requests {
				if a := r.ask(ctx, q); a != nil {
					answers <- a
				}
			}
		})
	}
	go func() {
		workers.Wait()
		close(answers)
	}()

	tick := time.NewTicker(time.Second / 2)
	defer tick.Stop()
	var broken error // the output
	for more := true; more; {
		select {
		case a, ok := <-answers:
			if more = ok; !ok || broken != nil {
				break
			}
			if broken = out.append(a); broken != nil {
				r.stop(broken)
				break
			}
			p.count(a)
		case <-tick.C:
		}
		p.Running, p.Waiting, p.Elapsed = int(r.running.Load()), int(r.waiting.Load()), time.Since(begin)
		p.Trouble, _ = r.trouble.Load().(string)
		if b.Progress != nil {
			b.Progress(p)
		}
	}
	if broken == nil {
		broken = out.sync()
	}
	if broken == nil && p.Before+p.Answered+p.Failed == p.Requests {
		return p, nil
	}
	return p, cmp.Or(context.Cause(ctx), broken)
}

// Check returns an error unless URL is a base URL.
func (b Batch) Check() error {
	_, err := b.base()
	return err
}

// base returns what the URLs of all endpoints begin with.
func (b Batch) base() (*url.URL, error) {
	base, err := url.Parse(b.URL)
	if err != nil || base.Scheme != "http" && base.Scheme != "https" || base.Host == "" {
		return nil, fmt.Errorf("batch: %q is no base URL, expected one such as http://127.0.0.1:8080/v1", b.URL)
	}
	base.Path = strings.TrimSuffix(base.Path, "/")
	for _, u := range URLs {
		if common, ok := strings.CutSuffix(base.Path, strings.TrimPrefix(u, "/v1")); ok {
			base.Path = common
			return nil, fmt.Errorf("batch: %s is one endpoint, expected what all have in common: %s", b.URL, base.Redacted())
		}
	}
	base.Path = cmp.Or(base.Path, "/v1")
	return base, nil
}

// start returns a run that has not asked anything yet.
func (b Batch) start() (*run, error) {
	base, err := b.base()
	if err != nil {
		return nil, err
	}
	r := &run{Batch: b, base: base}
	r.Parallel = max(1, cmp.Or(b.Parallel, 8))
	if r.sleep == nil {
		r.sleep = sleep
	}
	r.client = &http.Client{Transport: b.Transport, CheckRedirect: func(q *http.Request, _ []*http.Request) error {
		if q.Method != http.MethodPost { // what 301 and 302 make of a request
			return http.ErrUseLastResponse
		}
		return nil
	}}
	if b.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = r.Parallel
		r.client.Transport = t
	}
	return r, nil
}
