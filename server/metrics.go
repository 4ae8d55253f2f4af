package server

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/grammar"
)

// metrics are what GET /metrics shows: numbers that are counted where things happen, and those that the engine and the queue count anyway,
// which are asked for when they are wanted. Neither waits for the engine.
type metrics struct {
	handler  http.Handler
	requests *prometheus.CounterVec // endpoint, model, reason
	grammars *prometheus.CounterVec // result

	first, between, queue, prompt, request, mask prometheus.Observer // seconds
	promptTokens, generated                      prometheus.Observer
}

// seconds are bounds of times: a server answers within milliseconds, a small board takes minutes.
var seconds = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600}

// lengths are bounds of numbers of tokens.
var lengths = []float64{1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144}

// newMetrics returns the metrics of a server.
func newMetrics(s *Server) *metrics {
	all := prometheus.NewRegistry()
	r := prometheus.WrapRegistererWith(prometheus.Labels{"model": s.name()}, all)
	histogram := func(name, help string, bounds []float64) prometheus.Observer {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gemma4_" + name, Help: help, Buckets: bounds})
		r.MustRegister(h)
		return h
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gemma4_" + name, Help: help}, labels)
		r.MustRegister(c)
		return c
	}
	m := &metrics{
		handler:  promhttp.HandlerFor(all, promhttp.HandlerOpts{}),
		grammars: counter("grammar_compiles_total", "Grammars of the forms that requests have asked for: ok, or refused.", "result"),
		first:    histogram("time_to_first_token_seconds", "From a request's arrival to its first token.", seconds),
		between: histogram("inter_token_seconds", "From one token of an answer to the next.",
			append([]float64{.0001, .001, .0025}, seconds...)),
		queue:   histogram("queue_seconds", "Waiting in line for a slot.", seconds),
		prompt:  histogram("prompt_seconds", "Reading a prompt, up to the first token.", seconds),
		request: histogram("request_seconds", "From the arrival of a request that the model worked for to its end.", seconds),
		mask: histogram("mask_seconds", "Finding out what a grammar allows, for a token.",
			[]float64{1e-6, 1e-5, 1e-4, 1e-3, .01, .1, 1}),
		promptTokens: histogram("prompt_tokens", "Tokens of a prompt.", lengths),
		generated:    histogram("generation_tokens", "Tokens of an answer.", lengths),
	}
	// A request's model may have an adapter, which the model's name tells in this place alone.
	m.requests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gemma4_requests_total", Help: "Requests that have ended, by " +
		"endpoint and why: stop, length, tool_calls, done (those that generate nothing), cancelled, error, rejected."},
		[]string{"endpoint", "model", "reason"})
	all.MustRegister(m.requests)
	r.MustRegister(&engine{s: s})
	all.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if s.o.VLLMMetrics {
		prometheus.WrapRegistererWith(prometheus.Labels{"model_name": s.name()}, all).MustRegister(vllm{s})
	}
	return m
}

// metrics answers GET /metrics.
func (c *call) metrics() error {
	c.status = http.StatusOK
	c.s.metrics.handler.ServeHTTP(c.w, c.r)
	return nil
}

// count counts a request that has ended.
func (m *metrics) count(c *call, reason string) {
	_, path, _ := strings.Cut(c.endpoint, " ")
	m.requests.WithLabelValues(path, c.name(), reason).Inc()
	if c.prompt+c.generated > 0 { // the model has worked for it
		m.request.Observe(time.Since(c.began).Seconds())
	}
}

// answered counts an answer.
func (m *metrics) answered(r gemma4.Result, first bool) {
	if m.generated.Observe(float64(r.Generated)); first {
		m.queue.Observe(r.QueueTime.Seconds())
		m.prompt.Observe(r.PromptTime.Seconds())
		m.promptTokens.Observe(float64(r.Prompt + r.Reused))
	}
}

// compiled counts a grammar that a request has asked for, if any, and returns it.
func (m *metrics) compiled(g *grammar.Grammar, err error) (*grammar.Grammar, error) {
	switch {
	case err != nil:
		m.grammars.WithLabelValues("refused").Inc()
	case g != nil:
		m.grammars.WithLabelValues("ok").Inc()
	}
	return g, err
}

// traced returns a trace that tells the metrics, too.
func (m *metrics) traced(t *gemma4.Trace) *gemma4.Trace {
	all := gemma4.Trace{}
	if t != nil {
		all = *t
	}
	all.Mask = func(i gemma4.MaskInfo) { m.mask.Observe(i.Duration.Seconds()) }
	return &all
}

// stopwatch times the tokens of a request's answers.
type stopwatch struct {
	m     *metrics
	began time.Time
	last  []time.Time // of each answer
}

// token notes that an answer has got one.
func (w *stopwatch) token(choice int) {
	now := time.Now()
	if len(w.last) == 0 {
		w.m.first.Observe(now.Sub(w.began).Seconds())
	}
	for len(w.last) <= choice {
		w.last = append(w.last, time.Time{})
	}
	if before := w.last[choice]; !before.IsZero() {
		w.m.between.Observe(now.Sub(before).Seconds())
	}
	w.last[choice] = now
}

// load is what balancers look at.
type load struct {
	running, waiting int
	usage            float64 // of the memory for keys and values, or of the slots where that has no limit, from 0 to 1
}

func loadOf(q gemma4.QueueStats) load {
	l := load{running: q.Running, waiting: q.Waiting, usage: float64(q.Running) / float64(q.Slots)}
	if q.Memory > 0 {
		l.usage = float64(q.Reserved) / float64(q.Memory)
	}
	return l
}

// engine collects what the queue and the model count.
type engine struct {
	s *Server

	mu    sync.Mutex
	bytes float64 // of weights that passes have read,
	until gemma4.Stats
}

// counted is a metric of another's counting.
type counted struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
}

func gauge(name, help string) counted {
	return counted{prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue}
}

func total(name, help string) counted {
	return counted{prometheus.NewDesc(name, help, nil, nil), prometheus.CounterValue}
}

// drafts counts for each source of guesses.
func drafts(name, help string) counted {
	return counted{prometheus.NewDesc(name, help, []string{"source"}, nil), prometheus.CounterValue}
}

func (k counted) of(v float64, labels ...string) prometheus.Metric {
	return prometheus.MustNewConstMetric(k.desc, k.kind, v, labels...)
}

var (
	running    = gauge("gemma4_requests_running", "Answers that are being written.")
	waiting    = gauge("gemma4_requests_waiting", "Requests that wait for a slot.")
	slots      = gauge("gemma4_slots", "Answers that can be written at once.")
	cacheBytes = gauge("gemma4_kv_bytes", "Bytes of keys and values of the answers that are being written.")
	cacheUsage = gauge("gemma4_kv_usage_ratio", "Share of the memory for keys and values that is reserved; without a limit, of the slots.")
	lastStep   = gauge("gemma4_step_seconds_last", "What the last pass through the model took.")
	thisStep   = gauge("gemma4_step_seconds_running", "How long the running pass has been running; 0: none does.")

	promptTotal    = total("gemma4_prompt_tokens_total", "Tokens of the prompts of answers that have ended.")
	cachedTotal    = total("gemma4_prompt_tokens_cached_total", "Those of them that need not be read again.")
	generatedTotal = total("gemma4_generation_tokens_total", "Tokens of answers that have ended.")
	forcedTotal    = total("gemma4_forced_tokens_total", "Tokens that grammars left no alternative to.")
	bytesTotal     = total("gemma4_model_bytes_read_total", "Bytes of weights that passes have read, by their number and mean size.")

	draftPasses    = drafts("gemma4_draft_passes_total", "Passes that checked guessed tokens, by what had guessed them.")
	draftTokens    = drafts("gemma4_draft_tokens_total", "Tokens that were guessed and checked.")
	draftsAccepted = drafts("gemma4_draft_accepted_tokens_total", "Those of them that the model chose as well.")
	draftSeconds   = drafts("gemma4_draft_seconds_total", "Time that guessing took.")

	batchRows = prometheus.NewDesc("gemma4_batch_rows", "Tokens decoded in one pass.", nil, nil)
)

// Describe implements prometheus.Collector.
func (e *engine) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(e, ch) }

// Collect implements prometheus.Collector.
func (e *engine) Collect(ch chan<- prometheus.Metric) {
	q, m := e.s.q.Stats(), e.s.m.Stats()
	l, last := loadOf(q), m.Decode
	if m.Prefill.LastEnded.After(last.LastEnded) {
		last = m.Prefill
	}
	pass := 0.0
	if !m.RunningSince.IsZero() {
		pass = time.Since(m.RunningSince).Seconds()
	}
	for _, v := range []prometheus.Metric{
		running.of(float64(l.running)), waiting.of(float64(l.waiting)), slots.of(float64(q.Slots)),
		cacheBytes.of(float64(q.Used)), cacheUsage.of(l.usage), lastStep.of(last.LastDuration.Seconds()), thisStep.of(pass),
		promptTotal.of(float64(q.Prompt + q.Reused)), cachedTotal.of(float64(q.Reused)), generatedTotal.of(float64(q.Generated)),
		forcedTotal.of(float64(m.ForcedTokens)), bytesTotal.of(e.read(m)),
		prometheus.MustNewConstSummary(batchRows, uint64(m.Decode.Passes), float64(m.Decode.Positions), nil),
	} {
		ch <- v
	}
	for _, d := range m.Drafts {
		ch <- draftPasses.of(float64(d.Passes), d.Source)
		ch <- draftTokens.of(float64(d.Drafted), d.Source)
		ch <- draftsAccepted.of(float64(d.Accepted), d.Source)
		ch <- draftSeconds.of(d.Duration.Seconds(), d.Source)
	}
}

// read returns how many bytes of weights passes have read: how many there were since it was last asked, by what one of mean size reads.
func (e *engine) read(now gemma4.Stats) float64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, p := range [][2]gemma4.PassStats{{e.until.Decode, now.Decode}, {e.until.Prefill, now.Prefill}} {
		passes, positions := p[1].Passes-p[0].Passes, p[1].Positions-p[0].Positions
		if passes <= 0 || positions <= 0 {
			continue
		}
		if each, err := e.s.m.WriteBytes(int(max(1, positions/passes)), 0, gemma4.CacheF16); err == nil {
			e.bytes += float64(passes) * float64(each)
		}
	}
	e.until = now
	return e.bytes
}

// vllm collects what balancers and dashboards know by vLLM's names.
type vllm struct{ s *Server }

var (
	vllmRunning = gauge("vllm:num_requests_running", "gemma4_requests_running under vLLM's name.")
	vllmWaiting = gauge("vllm:num_requests_waiting", "gemma4_requests_waiting under vLLM's name.")
	vllmUsage   = gauge("vllm:kv_cache_usage_perc", "gemma4_kv_usage_ratio under vLLM's name.")

	vllmDrafts   = total("vllm:spec_decode_num_drafts_total", "gemma4_draft_passes_total of all sources under vLLM's name.")
	vllmDrafted  = total("vllm:spec_decode_num_draft_tokens_total", "gemma4_draft_tokens_total likewise.")
	vllmAccepted = total("vllm:spec_decode_num_accepted_tokens_total", "gemma4_draft_accepted_tokens_total likewise.")
)

// Describe implements prometheus.Collector.
func (v vllm) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(v, ch) }

// Collect implements prometheus.Collector.
func (v vllm) Collect(ch chan<- prometheus.Metric) {
	l := loadOf(v.s.q.Stats())
	var all gemma4.DraftStats
	for _, d := range v.s.m.Stats().Drafts {
		all.Passes, all.Drafted, all.Accepted = all.Passes+d.Passes, all.Drafted+d.Drafted, all.Accepted+d.Accepted
	}
	for _, m := range []prometheus.Metric{
		vllmRunning.of(float64(l.running)), vllmWaiting.of(float64(l.waiting)), vllmUsage.of(l.usage),
		vllmDrafts.of(float64(all.Passes)), vllmDrafted.of(float64(all.Drafted)), vllmAccepted.of(float64(all.Accepted)),
	} {
		ch <- m
	}
}
