package main

import (
	"bufio"
	"context"
	"io"
	"slices"
	"strings"

	"sync"

	"github.com/gogemma/gemma4/media/sound"
)

// intake keeps sound that comes, so that whoever sends it need not wait while the model works.
type intake struct {
	arrived chan struct{} // has an element when there is something new
	close   func()

	mu      sync.Mutex
	room    sync.Cond
	samples []float32
	err     error // what comes behind them
}

// held is how many samples are kept before the sender has to wait: a model that is so late will not catch up.
const held = 60 * sound.Rate

// newIntake returns one of a reader's sound, which is opened when the first of it is there.
func newIntake(open func() (*sound.Reader, error)) *intake {
	in := emptyIntake()
	go func() {
		r, err := open()
		if err != nil {
			in.put(nil, err)
			return
		}
		chunk := make([]float32, sound.Rate/10)
		for {
			n, err := r.Read(chunk)
			in.put(chunk[:n], err)
			if err != nil {
				return
			}
		}
	}()
	return in
}

func emptyIntake() *intake {
	in := &intake{arrived: make(chan struct{}, 1), close: func() {}}
	in.room.L = &in.mu
	return in
}

// endless is more than anybody sends, in bytes and in nanoseconds.
const endless = 1 << 62

// heads are how files of sound begin that could be taken for samples.
var heads = []string{"RIFF", "RF64", "RIFX", "fLaC", "OggS", "ID3", "\x1aE\xdf\xa3"}

// standardInput reads samples of 16 bits, for as long as they come, or a file of any kind that is known.
func standardInput(r io.Reader) (*sound.Reader, error) {
	o := sound.Options{Name: "standard input", MaxDuration: endless, MaxBytes: endless}
	in := bufio.NewReader(r)
	head, _ := in.Peek(4) // whatever it is, reading on tells
	if slices.ContainsFunc(heads, func(h string) bool { return strings.HasPrefix(string(head), h) }) {
		return sound.NewReader(in, o)
	}
	return sound.NewPCM(in, sound.S16LE, sound.Rate, 1, o)
}

// put adds samples, and what comes behind them.
func (in *intake) put(samples []float32, err error) {
	in.mu.Lock()
	for len(in.samples) > held {
		in.room.Wait()
	}
	in.samples = append(in.samples, samples...)
	in.err = err
	in.mu.Unlock()
	in.tell()
}

func (in *intake) tell() {
	select {
	case in.arrived <- struct{}{}:
	default:
	}
}

// rest returns the samples that are there, and once they are gone what comes behind them.
func (in *intake) rest() (samples []float32, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	samples, in.samples = in.samples, nil
	in.room.Broadcast()
	if len(samples) > 0 {
		if in.err != nil {
			in.tell()
		}
		return samples, nil
	}
	return nil, in.err
}

// take waits for samples, and returns all that are there.
func (in *intake) take(ctx context.Context) ([]float32, error) {
	for {
		if samples, err := in.rest(); len(samples) > 0 || err != nil {
			return samples, err
		}
		select {
		case <-in.arrived:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// all returns everything up to the end.
func (in *intake) all(ctx context.Context) (samples []float32, err error) {
	for {
		more, err := in.take(ctx)
		samples = append(samples, more...)
		if err == io.EOF {
			return samples, nil
		} else if err != nil {
			return nil, err
		}
	}
}
