package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gogemma/gemma4"
)

// streams are sessions of one model that generate at once.
type streams struct {
	*bench
	sessions []*gemma4.Session
	options  gemma4.GenerateOptions
}

// measureStreams fills the row with the medians of the repetitions.
func (b *bench) measureStreams(r *row) error {
	s := &streams{bench: b, options: b.endless()}
	defer func() {
		for _, x := range s.sessions {
			x.Close()
		}
	}()
	for range r.Tokens + 1 { // the last one reads the prompt that arrives
		x, err := b.m.NewSession(gemma4.SessionOptions{Cache: b.plan.cache, Context: b.s.Context()})
		if err != nil {
			return err
		}
		s.sessions = append(s.sessions, x)
	}
	var speed, prompt, p99 []float64
	for i := range b.plan.repetitions + 1 {
		tokens, read, gaps, err := s.once(r)
		if err != nil {
			return err
		}
		if i == 0 {
			continue // pages and buffers come in
		}
		slices.Sort(gaps)
		speed, prompt, p99 = append(speed, tokens), append(prompt, read), append(p99, gaps[len(gaps)*99/100])
	}
	r.TokensPerSecond, r.Spread = median(speed), (slices.Max(speed)-slices.Min(speed))/median(speed)
	r.ArrivingPerSecond, r.BetweenP99Seconds = median(prompt), median(p99)
	r.PeakRSSBytes = peakRSS()
	return nil
}

// once lets all streams begin, and then generate as many tokens as the plan says, or until the prompt that arrives is read. It returns the
// tokens per second of all streams together, those of the prompt, and the seconds between tokens.
func (s *streams) once(r *row) (tokens, prompt float64, gaps []float64, err error) {
	n := len(s.sessions) - 1
	for _, x := range s.sessions {
		if err := s.fill(x, r.Depth); err != nil {
			return 0, 0, nil, err
		}
	}
	ctx, stop := context.WithCancel(s.ctx) // when one of them fails
	defer stop()
	var all, begun sync.WaitGroup
	var read atomic.Bool
	goOn := make(chan struct{})
	found, ended, errs := make([][]float64, n), make([]time.Time, n), make([]error, n+1)
	for i, x := range s.sessions[:n] {
		begun.Add(1)
		all.Go(func() {
			first := sync.OnceFunc(begun.Done)
			defer first()
			for _, err := range x.Generate(ctx, []gemma4.Input{{Tokens: s.ids[i : i+20]}}, s.options) {
				if errs[i] = err; err != nil {
					stop()
					return
				}
				if ended[i].IsZero() {
					first()
					<-goOn
				} else {
					found[i] = append(found[i], since(ended[i]))
				}
				ended[i] = time.Now()
				if read.Load() && len(found[i]) > 0 || r.Arriving == 0 && len(found[i]) == s.plan.written {
					return
				}
			}
		})
	}
	begun.Wait()
	began := time.Now()
	close(goOn)
	if r.Arriving > 0 {
		errs[n] = s.read(s.sessions[n], r.Arriving)
		prompt = float64(r.Arriving) / since(began)
		read.Store(true)
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return 0, 0, nil, err
	}
	if gaps = slices.Concat(found...); len(gaps) == 0 {
		return 0, 0, nil, fmt.Errorf("%w: no room for a token", &gemma4.ContextError{Need: r.Depth + 22, Limit: s.s.Context()})
	}
	return float64(len(gaps)) / slices.MaxFunc(ended, time.Time.Compare).Sub(began).Seconds(), prompt, gaps, nil
}
