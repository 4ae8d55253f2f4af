package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gogemma/gemma4"
)

// Options say how a [Server] answers. The zero value is a good choice for a machine's own programs.
type Options struct {
	// Queue says how many requests are answered at once, and what they may take.
	Queue gemma4.QueueOptions
	// Cache is how keys and values are kept.
	Cache gemma4.CacheFormat
	// Draft says what guesses answers ahead, which changes their speed alone; texts that a request predicts are looked up in as well.
	Draft gemma4.Draft
	// Names are what clients may call the model; the first is the one that answers tell. Empty: the name in its file.
	Names []string
	// Strict refuses requests for a model of any other name. Otherwise they are served, unless they ask for one of Names with an adapter
	// that there is not: clients have names of their own.
	Strict bool
	// Adapters are changes to the model that requests can ask for by its name, NAME:ADAPTER with one of Names.
	Adapters []Adapter
	// Keys are API keys, one of which a request has to bring (Authorization: Bearer KEY, or X-Api-Key). Empty: none is needed.
	Keys []string
	// Hosts are the names that clients may reach the server by (header Host, without the port), beside localhost and addresses in digits:
	// a web page that has its own name point to this machine is refused. With Keys, which such a page does not have, all names will do.
	Hosts []string
	// Origins are the web pages, as https://example.org, whose scripts may ask, beside those that come from the server itself; "*" means
	// all.
	Origins []string
	// MaxBody is the most bytes that a request may have; 0: 32 MB, or 64 MB if the model sees or hears.
	MaxBody int64
	// Fetch has pictures, sounds and videos that a request names by an http or https URL fetched, from public addresses; otherwise they
	// come in the request, as data: URLs or base64.
	Fetch bool
	// BodyTime is how long a request's body may take to arrive; 0: a minute.
	BodyTime time.Duration
	// Ping is after how much silence a stream says that it is alive; 0: 10 seconds.
	Ping time.Duration
	// VLLMMetrics has /metrics show what balancers look at under vLLM's names, too.
	VLLMMetrics bool
	// Page, if set, is what a browser finds at /, where programs are told that somebody is there.
	Page http.Handler
	// Logger, if set, is told each request: its endpoint, status, time and numbers of tokens, never what was said.
	Logger *slog.Logger
}

// Server is an http.Handler that answers with a model. It has to be closed, before the model.
type Server struct {
	m           *gemma4.Model
	q           *gemma4.Queue
	none        *gemma4.PrefixCache // an empty one, for requests that want none
	o           Options
	log         *slog.Logger
	info        gemma4.Info
	context     int           // that a request may have, in positions
	calls       []int32       // the token that begins a call
	fingerprint string        // of what decides the bytes of answers
	blind, deaf error         // why the model takes no pictures, and no sounds; nil: it does
	can         []string      // what it does, as /v1/models and ollama's /api/show tell it, in llama.cpp's words
	decoding    chan struct{} // a place for each file that is decoded
	large       chan struct{} // and for each large body that is in memory
	sounds      chan struct{} // and for each sound that is written down
	began       time.Time
	mux         *http.ServeMux
	metrics     *metrics
	draining    atomic.Bool
	loading     atomic.Bool
}

// New returns a server for a model, which it does not close. Errors are those of [gemma4.Model.NewQueue].
func New(m *gemma4.Model, o Options) (*Server, error) {
	if o.MaxBody < 0 || o.BodyTime < 0 || o.Ping < 0 {
		return nil, fmt.Errorf("server: MaxBody %d, BodyTime %v, Ping %v: none can be negative", o.MaxBody, o.BodyTime, o.Ping)
	}
	o.BodyTime, o.Ping = cmp.Or(o.BodyTime, time.Minute), cmp.Or(o.Ping, 10*time.Second)
	s := &Server{m: m, o: o, info: m.Info(), began: time.Now(), mux: http.NewServeMux(), log: o.Logger,
		none: gemma4.NewPrefixCache(0), decoding: make(chan struct{}, mostDecoded), large: make(chan struct{}, mostLarge),
		sounds: make(chan struct{}, mostSounds)}
	s.sense()
	if s.o.MaxBody == 0 {
		if s.o.MaxBody = 32 << 20; s.blind == nil || s.deaf == nil {
			s.o.MaxBody = mediaBody
		}
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if len(s.o.Names) == 0 {
		s.o.Names = []string{cmp.Or(s.info.Name, "gemma4")}
	}
	of, err := m.Fingerprint(context.Background())
	if err != nil {
		return nil, err
	}
	s.fingerprint = systemFingerprint(of, s.info.Level)
	if err := s.adapt(of); err != nil {
		return nil, err
	}
	if s.q, err = m.NewQueue(o.Queue); err != nil {
		return nil, err
	}
	s.context = s.q.Stats().Context
	if id, ok := m.Tokenizer().ID("<|tool_call>"); ok {
		s.calls = []int32{id}
	}
	s.metrics = newMetrics(s)
	s.routes()
	return s, nil
}

// Stats returns what the queue does and has done.
func (s *Server) Stats() gemma4.QueueStats { return s.q.Stats() }

// Shutdown drains the server: it refuses new requests with status 503, as /health does to tell balancers, and waits until the answers that
// are being written have ended. If ctx ends before that, they end, too, with an error in their streams, and ctx's error is returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.draining.Store(true)
	return s.q.Shutdown(ctx)
}

// Close ends all answers. It is safe to call twice.
func (s *Server) Close() error {
	s.draining.Store(true)
	return errors.Join(s.q.Close(), s.none.Close())
}

// name is what answers call the model.
func (s *Server) name() string { return s.o.Names[0] }

// routes has all endpoints. Those of OpenAI's protocol are found without /v1, too.
func (s *Server) routes() {
	for _, v := range []string{"/v1", ""} {
		s.handle("POST "+v+"/chat/completions", openAI, (*call).chat)
		s.handle("POST "+v+"/completions", openAI, (*call).completions)
		s.handle("POST "+v+"/embeddings", openAI, (*call).embeddings)
		s.handle("POST "+v+"/decide", openAI, (*call).decide)
		s.handle("POST "+v+"/responses", openAI, (*call).responses)
		s.handle("POST "+v+"/responses/input_tokens", openAI, (*call).responseTokens)
		s.handle("POST "+v+"/audio/transcriptions", openAI, (*call).transcriptions)
		s.handle("POST "+v+"/audio/translations", openAI, (*call).translations)
		s.handle("GET "+v+"/models", openAI, (*call).models)
		s.handle("GET "+v+"/models/{id...}", openAI, (*call).model)
		s.handle("GET "+v+"/health", openAI, (*call).health)
	}
	s.handle("GET /livez", openAI, (*call).live)
	s.handle("GET /slots", openAI, (*call).slots)
	s.handle("GET /props", openAI, (*call).props)
	s.handle("GET /version", openAI, (*call).version)
	s.ollamaRoutes()
	s.handle("POST /tokenize", openAI, (*call).tokenize)
	s.handle("POST /detokenize", openAI, (*call).detokenize)
	s.handle("POST /apply-template", openAI, (*call).applyTemplate)
	s.handle("POST /v1/messages", anthropic, (*call).messages)
	s.handle("POST /v1/messages/count_tokens", anthropic, (*call).messageTokens)
	s.handle("GET /metrics", openAI, (*call).metrics)
	s.handle("OPTIONS /", openAI, (*call).preflight)
	s.handle("/", openAI, (*call).nothing)
}

// nothing answers where no endpoint is, or one that is asked in another way, in the shape of the protocol that the path is of.
func (c *call) nothing() error {
	path := c.r.URL.Path
	switch {
	case strings.HasPrefix(path, "/v1/messages"):
		c.protocol = anthropic
	case strings.HasPrefix(path, "/api/"):
		c.protocol = ollama
	}
	var allowed []string
	for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodDelete} {
		asked := c.r.Clone(c.r.Context())
		asked.Method = method
		if _, pattern := c.s.mux.Handler(asked); strings.HasPrefix(pattern, method) {
			allowed = append(allowed, method)
		}
	}
	if len(allowed) == 0 {
		return &failure{status: http.StatusNotFound, message: fmt.Sprintf("there is no %s here", path)}
	}
	c.w.Header().Set("Allow", strings.Join(append(allowed, http.MethodOptions), ", "))
	return &failure{status: http.StatusMethodNotAllowed, code: "method_not_allowed",
		message: fmt.Sprintf("%s is not for %s, but for %s", path, c.r.Method, strings.Join(allowed, " and "))}
}

// handle has an endpoint answer what matches a pattern. What it returns as error is written in the shape of a protocol.
func (s *Server) handle(pattern string, p protocol, answer func(c *call) error) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		c := &call{s: s, w: w, r: r, endpoint: pattern, protocol: p, began: time.Now(), id: newID("req_")}
		c.run(answer)
	})
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

var errDraining = errors.New("server: draining")
