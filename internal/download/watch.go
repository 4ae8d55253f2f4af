package download

import (
	"context"
	"fmt"
	"io"
	"time"
)

// watcher ends its context when nothing comes for a while.
type watcher struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	after  time.Duration
	timer  *time.Timer
	err    error // the cause then
}

func watch(ctx context.Context, after time.Duration) *watcher {
	w := &watcher{after: after, err: fmt.Errorf("nothing has come for %v", after)}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	w.timer = time.AfterFunc(after, func() { w.cancel(w.err) })
	return w
}

// why returns the cause if that is why err has come.
func (w *watcher) why(err error) error {
	if err != nil && err != io.EOF && context.Cause(w.ctx) == w.err {
		return w.err
	}
	return err
}

func (w *watcher) stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// body is a body that is watched while it is read.
type body struct {
	io.ReadCloser
	*watcher
}

func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.after)
	n, err := b.ReadCloser.Read(p)
	b.timer.Stop() // what is done with it may take its time
	return n, b.why(err)
}

func (b *body) Close() error {
	err := b.ReadCloser.Close()
	b.stop()
	return err
}
