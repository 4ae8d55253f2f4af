package download

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/internal/machine"
)

// Options say how files are fetched. The zero value is good.
type Options struct {
	// Client is whose Transport is used, and nothing else of it; nil: proxies by the usual variables, a connection for each stream.
	Client *http.Client
	// Streams is how many ranges of a large file are asked for at once; 0: four, and fewer where a server finds that too many.
	Streams int
	// Stall is how long a connection may give nothing before it counts as lost; 0: 30 s.
	Stall time.Duration
	// Retries is how often something is tried again when the tries before have brought nothing; 0: five times, below 0: never.
	Retries int
	// Progress is called with the bytes of all files that are there and that there are, -1 while a size is unknown. Done falls when a file
	// starts anew. It is called by one goroutine, five times a second at most, and a last time before Fetch returns; nil: nobody is told.
	Progress func(done, total int64)

	piece int64 // the least that is asked for at once, if a file is not; 0: 8 MiB
	every int64 // bytes after which what has come is written down; 0: 64 MiB
}

// run is a Fetch at work.
type run struct {
	Options
	transport http.RoundTripper
	tallies   []tally

	mu    sync.Mutex
	until map[string]time.Time // by host: when it may be asked again
}

// Fetch fetches files in their order. What is at a Path with the right size and hash is left as it is; what has no hash is fetched always.
// It refuses before the first byte if what is missing of all files is more than their disks can take: ErrNoSpace. However it ends, what has
// come stays and the next call goes on with it, unless its hash is wrong: then it is discarded, and fetched once more if an earlier call
// has left a part of it. If ctx ends, the error is its cause.
func Fetch(ctx context.Context, files []File, o Options) error {
	r := &run{Options: o, transport: http.DefaultTransport, tallies: make([]tally, len(files)), until: map[string]time.Time{}}
	r.Streams = pick(o.Streams, 4)
	r.Stall = pick(o.Stall, 30*time.Second)
	r.Retries = pick(o.Retries, 5)
	r.piece, r.every = pick(o.piece, 8<<20), pick(o.every, 64<<20)
	if o.Client == nil {
		t := newTransport(r.Streams)
		defer t.CloseIdleConnections()
		r.transport = t
	} else if o.Client.Transport != nil {
		r.transport = o.Client.Transport
	}
	for i := range files {
		f := &files[i]
		if err := f.check(); err != nil {
			return fmt.Errorf("download: %w", err)
		}
		if slices.ContainsFunc(files[:i], func(other File) bool { return other.Path == f.Path }) {
			return fmt.Errorf("download: two files are to become %s", f.Path)
		}
		r.tallies[i].set(0, f.Size)
	}
	if err := room(files); err != nil {
		return fmt.Errorf("download: %w", err)
	}
	defer r.tell()()
	for i := range files {
		if err := r.fetch(ctx, &files[i], &r.tallies[i]); err != nil {
			if ended := cause.Of(ctx); ended != nil {
				err = ended
			}
			return fmt.Errorf("download: %s: %w", filepath.Base(files[i].Path), err)
		}
	}
	return nil
}

// pick returns x, or what is usual if x is 0.
func pick[T ~int | ~int64](x, usual T) T {
	if x == 0 {
		return usual
	}
	return x
}

// newTransport returns a transport for that many streams. Each has a connection of its own, since several in one, as HTTP/2 has them, would
// share what a connection gets.
func newTransport(streams int) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	t.MaxIdleConnsPerHost = streams
	t.MaxResponseHeaderBytes = 256 << 10
	return t
}

// room returns an error if the disks are too small for what is missing of the files.
func room(files []File) error {
	type disk struct {
		free, need int64
		at         string
	}
	disks := map[string]*disk{}
	for i := range files {
		f := &files[i]
		if info, err := os.Stat(f.Path); f.Size < 0 || err == nil && info.Size() == f.Size && len(f.sums()) > 0 {
			continue // if its bytes are wrong, this is asked again
		}
		free, name, ok := machine.Disk(filepath.Dir(f.Path))
		if !ok {
			continue
		}
		if disks[name] == nil {
			disks[name] = &disk{free: free, at: filepath.Dir(f.Path)}
		}
		disks[name].need += f.Size - held(f)
	}
	for _, d := range disks {
		if d.need > d.free {
			return fmt.Errorf("%w: %d MB are missing, and %d MB are free where %s is", ErrNoSpace, d.need/1e6, d.free/1e6, d.at)
		}
	}
	return nil
}

// fetch fetches one file.
func (r *run) fetch(ctx context.Context, f *File, t *tally) error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o777); err != nil {
		return err
	}
	p, err := openPart(f, r.every, t)
	if err != nil {
		return describe(err)
	}
	if f.whole(ctx, t) {
		return p.discard()
	}
	t.set(p.state.have.bytes(), p.state.size)
	if err := room([]File{*f}); err != nil {
		return errors.Join(err, p.close())
	}
	err = r.complete(ctx, p)
	var mismatch *HashError
	switch {
	case err == nil:
		return p.keep()
	case errors.As(err, &mismatch):
		return errors.Join(err, p.discard())
	}
	p.close() // what could not be written will be fetched again
	return describe(err)
}

// restarts is how often a file starts anew in one call.
const restarts = 4

// complete fetches what is missing of a part, and checks all of it.
func (r *run) complete(ctx context.Context, p *part) error {
	d := &fetching{run: r, part: p}
	for n := 0; ; n++ {
		err := d.fill(ctx)
		var again *anew
		var mismatch *HashError
		switch {
		case errors.As(err, &again) && n < restarts:
			d.plain = d.plain || again.plain
		case errors.As(err, &mismatch) && p.old && n < restarts:
		default:
			return err
		}
		if err := p.anew(); err != nil {
			return err
		}
	}
}

// describe says of a disk that is full that it is.
func describe(err error) error {
	if full(err) {
		return fmt.Errorf("%w: it has become full; what has come stays: %w", ErrNoSpace, err)
	}
	return err
}

// tally is how much of a file is there.
type tally struct{ have, size atomic.Int64 }

func (t *tally) set(have, size int64) {
	t.have.Store(have)
	t.size.Store(size)
}

// tell calls Progress from time to time, until what it returns is called.
func (r *run) tell() (stop func()) {
	if r.Progress == nil {
		return func() {}
	}
	over, told := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(told)
		tick := time.NewTicker(time.Second / 5)
		defer tick.Stop()
		last := [2]int64{-1, -1}
		for more := true; more; {
			select {
			case <-tick.C:
			case <-over:
				more = false
			}
			var now [2]int64
			for i := range r.tallies {
				now[0] += r.tallies[i].have.Load()
				if size := r.tallies[i].size.Load(); size < 0 || now[1] < 0 {
					now[1] = -1
				} else {
					now[1] += size
				}
			}
			if now != last || !more {
				r.Progress(now[0], now[1])
			}
			last = now
		}
	}()
	return func() {
		close(over)
		<-told
	}
}
