package fleet

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nats.go/micro"
)

// Worker answers requests of a fleet with a handler of this process. All workers of a model need the same Model and Beat.
type Worker struct {
	Conn    *nats.Conn
	Handler http.Handler  // answers as it would behind net/http
	Model   string        // letters, digits and -_:=+
	Slots   int           // how many requests are answered at once; 0: 1. None is fetched that has no slot.
	Waiting int           // how many may be in the queue of a model, if this worker is the one that makes it; 0: 1024
	Tries   int           // how often a request is begun before it counts as the cause of its workers' ends; 0: 3
	Beat    time.Duration // 0: [Beat]. After three without a word requests are delivered again.
	Drain   time.Duration // how long answers go on when the worker is to end; 0: a minute. Then others begin with them anew.
	Log     *slog.Logger  // nil: none
}

// Why answers end before their handlers do.
var (
	errGone    = errors.New("fleet: nobody waits for the answer")
	errDrained = errors.New("fleet: the worker ends")
	errClosed  = errors.New("fleet: the connection to NATS was closed")
)

// Run answers requests until ctx ends; then it takes no more, and returns when those being answered are finished or given back. It also
// ends with its connection.
func (w *Worker) Run(ctx context.Context) error {
	if err := checkModel(w.Model); err != nil {
		return err
	}
	own := *w
	own.Slots, own.Waiting, own.Tries = cmp.Or(w.Slots, 1), cmp.Or(w.Waiting, 1024), cmp.Or(w.Tries, 3)
	own.Beat, own.Drain = cmp.Or(w.Beat, Beat), cmp.Or(w.Drain, time.Minute)
	own.Log = cmp.Or(w.Log, slog.New(slog.DiscardHandler))
	return own.run(ctx)
}

func (w *Worker) run(ctx context.Context) error {
	answers, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	ctx, idle := context.WithCancel(ctx)
	defer idle()
	closed := w.Conn.StatusChanged(nats.CLOSED)
	defer w.Conn.RemoveStatusListener(closed)
	queue, err := w.queue(ctx)
	if err != nil {
		return fmt.Errorf("fleet: no work queue: %w", err)
	}
	var busy sync.WaitGroup
	service, err := micro.AddService(w.Conn, micro.Config{
		Name: "gemma4", Version: "1.0.0", Description: "a worker of a fleet",
		Metadata: map[string]string{"model": w.Model, "slots": strconv.Itoa(w.Slots)},
		Endpoint: &micro.EndpointConfig{Subject: getSubject + w.Model, Handler: micro.HandlerFunc(func(m micro.Request) {
			if len(m.Data()) == 0 {
				m.Respond(nil)
				return
			}
			busy.Go(func() { w.get(answers, m.Data()) })
		})},
	})
	if err != nil {
		return fmt.Errorf("fleet: %w", err)
	}
	for range w.Slots {
		busy.Go(func() { w.work(ctx, answers, queue) })
	}
	w.Log.Info("worker ready", "model", w.Model, "slots", w.Slots)

	select {
	case <-closed:
		err = errClosed
		stop(err)
		idle()
	case <-ctx.Done():
	}
	service.Stop()
	defer time.AfterFunc(w.Drain, func() { stop(errDrained) }).Stop()
	if err == nil {
		w.receive(answers)
	}
	busy.Wait()
	if err == nil {
		err = w.Conn.FlushTimeout(w.Beat) // the last acknowledgements
	}
	return err
}

// receive waits until the handlers of all that NATS has sent have been called. Before it knew that the service has stopped, there may have
// been more.
func (w *Worker) receive(ctx context.Context) {
	w.Conn.FlushTimeout(w.Beat)
	all := make(chan struct{})
	if w.Conn.Barrier(func() { close(all) }) != nil {
		return
	}
	select {
	case <-all:
	case <-ctx.Done():
	}
}

// queue opens the consumer that workers of a model share, and makes the streams where they are missing.
func (w *Worker) queue(ctx context.Context) (jetstream.Consumer, error) {
	js, err := jetstream.New(w.Conn)
	if err != nil {
		return nil, err
	}
	for _, c := range []jetstream.StreamConfig{{
		Name: workStream, Subjects: []string{workSubject + "*"}, Retention: jetstream.WorkQueuePolicy,
		MaxMsgsPerSubject: int64(w.Waiting), Discard: jetstream.DiscardNew, DiscardNewPerSubject: true,
	}, {
		Name: deadStream, Subjects: []string{deadSubject + "*"}, MaxAge: 7 * 24 * time.Hour, MaxMsgs: 10000,
	}} {
		if _, err = js.Stream(ctx, c.Name); errors.Is(err, jetstream.ErrStreamNotFound) {
			_, err = js.CreateStream(ctx, c)
		}
		if err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			return nil, err
		}
	}
	return js.CreateOrUpdateConsumer(ctx, workStream, jetstream.ConsumerConfig{
		Durable: w.Model, FilterSubject: workSubject + w.Model, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: missed * w.Beat, MaxAckPending: -1, MaxWaiting: 1 << 16,
	})
}

// work is one slot: it fetches a request and answers it, until ctx ends. Answers go on until theirs ends.
func (w *Worker) work(ctx, answers context.Context, queue jetstream.Consumer) {
	for ctx.Err() == nil {
		m, err := queue.Next(jetstream.FetchContext(ctx))
		if err == nil {
			w.serve(answers, m)
			continue
		}
		if ctx.Err() != nil || errors.Is(err, nats.ErrTimeout) {
			continue
		}
		w.Log.Warn("cannot fetch requests", "model", w.Model, "error", err) // NATS starts again, or the queue was deleted
		select {
		case <-ctx.Done():
		case <-time.After(w.Beat):
		}
		if q, err := w.queue(ctx); err == nil {
			queue = q
		}
	}
}

// serve answers a request of the queue and tells the queue what became of it.
func (w *Worker) serve(ctx context.Context, m jetstream.Msg) {
	var r request
	meta, err := m.Metadata()
	if err == nil {
		err = json.Unmarshal(m.Data(), &r)
	}
	if err != nil {
		w.Log.Error("not a request", "model", w.Model, "error", err)
		w.bury(m)
		return
	}
	ctx, stop, err := w.heed(ctx, r)
	if err != nil {
		return
	}
	defer stop(nil)
	tries := meta.NumDelivered
	begins, err := w.ask(r, event{Kind: begin, Try: tries})
	switch {
	case err != nil && tries > uint64(w.Tries): // a gateway that is back will miss it
		m.Ack()
	case err != nil: // the client has left, or the gateway has to connect again
		m.NakWithDelay(w.Beat)
	case begins > w.Tries: // of deliveries there may be more: to workers that nobody replied to, or that had just left
		w.Log.Error("request given up", "model", w.Model, "id", r.ID, "tries", w.Tries)
		w.ask(r, event{Kind: end, Try: tries, Seq: 1, Fault: fmt.Sprintf("%d workers have begun with the request and not ended", w.Tries)})
		w.bury(m)
	default:
		switch err := w.answer(ctx, stop, r, tries, func() { m.InProgress() }); err {
		case nil, errGone:
			m.Ack()
		case errClosed:
		default:
			m.Nak()
		}
	}
}

// bury puts a request among the dead, and takes it from the queue once it lies there.
func (w *Worker) bury(m jetstream.Msg) {
	if js, err := jetstream.New(w.Conn); err == nil {
		if _, err = js.Publish(context.Background(), deadSubject+w.Model, m.Data()); err == nil {
			m.Term()
		}
	}
}

// get answers a request that needs no slot.
func (w *Worker) get(ctx context.Context, data []byte) {
	var r request
	if err := json.Unmarshal(data, &r); err != nil {
		w.Log.Error("not a request", "model", w.Model, "error", err)
		return
	}
	if ctx, stop, err := w.heed(ctx, r); err == nil {
		defer stop(nil)
		w.answer(ctx, stop, r, 1, func() {})
	}
}

// heed returns a context that ends when the client of a request has gone. Gateways say so to whoever has begun: by then NATS must know
// who listens.
func (w *Worker) heed(ctx context.Context, r request) (context.Context, context.CancelCauseFunc, error) {
	ctx, stop := context.WithCancelCause(ctx)
	cancel, err := w.Conn.Subscribe(cancelSubject+r.ID, func(*nats.Msg) { stop(errGone) })
	if err != nil {
		stop(nil)
		return nil, nil, err
	}
	context.AfterFunc(ctx, func() { cancel.Unsubscribe() })
	return ctx, stop, nil
}

// ask sends an event and returns an error if nobody replies: the answer is of no use. The number is the reply to a begin.
func (w *Worker) ask(r request, e event) (begins int, err error) {
	m, err := w.Conn.Request(r.Reply, encoded(e), w.Beat)
	if err != nil {
		return 0, err
	}
	if begins, err = strconv.Atoi(string(m.Data)); err != nil {
		begins = int(e.Try) // a gateway before v0.7 does not count
	}
	return begins, nil
}

// answer runs the handler. It returns an error if the answer did not get to the gateway as a whole; errGone means that it need not.
func (w *Worker) answer(ctx context.Context, stop context.CancelCauseFunc, r request, try uint64, alive func()) error {
	beats := make(chan struct{})
	go func() {
		defer close(beats)
		w.beats(ctx, stop, r, try, alive)
	}()
	out := &writer{ctx: ctx, conn: w.Conn, reply: r.Reply, try: try, header: http.Header{}}
	fault := w.handle(ctx, r, out)
	why := context.Cause(ctx)
	stop(nil)
	<-beats
	if why != nil {
		return why
	}
	last := out.next(end)
	last.Fault = fault
	if streams(out.head) { // what a gateway has sent on cannot come again, and it may be long in sending it
		return w.Conn.Publish(r.Reply, encoded(last))
	}
	_, err := w.ask(r, last)
	return err
}

// beats says that a request is being answered, to the queue and to the gateway, until ctx ends or the gateway does not reply any more.
func (w *Worker) beats(ctx context.Context, stop context.CancelCauseFunc, r request, try uint64, alive func()) {
	tick := time.NewTicker(w.Beat)
	defer tick.Stop()
	for unheard := 0; unheard < missed; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		alive()
		wait, cancel := context.WithTimeout(ctx, w.Beat)
		_, err := w.Conn.RequestWithContext(wait, r.Reply, encoded(event{Kind: beat, Try: try}))
		cancel()
		if unheard++; err == nil {
			unheard = 0
		}
	}
	stop(errGone)
}

// handle gives a request to the handler, and returns what broke it off.
func (w *Worker) handle(ctx context.Context, r request, out *writer) (fault string) {
	defer func() {
		if p := recover(); p != nil {
			fault = "the worker broke off"
			if p != http.ErrAbortHandler {
				w.Log.Error("panic", "path", r.Path, "value", p, "stack", string(debug.Stack()))
			}
		}
	}()
	in, err := http.NewRequestWithContext(ctx, r.Method, "http://localhost"+r.Path, bytes.NewReader(r.Body))
	if err != nil {
		return err.Error()
	}
	in.RequestURI = r.Path
	if r.Header != nil {
		in.Header = r.Header
	}
	w.Handler.ServeHTTP(out, in)
	return ""
}
