package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/internal/fit"
	"github.com/gogemma/gemma4/server"
	"github.com/gogemma/gemma4/server/page"
)

func serveCommand() cli.Command {
	return cli.Command{
		Name:  "serve",
		Group: "answers",
		Does:  "answer over HTTP: OpenAI's, Anthropic's and ollama's clients, and a page to chat on",
		Args:  "[flags]",
		About: `
Answers over HTTP until it is interrupted; then it refuses new requests and lets the running answers end (-drain). Clients of OpenAI
take its address with /v1 as their base URL, those of Anthropic and ollama without. Any model name will do, unless -strict-model refuses
those that are not its own.

A browser finds a page to chat on at the address. It loads nothing from elsewhere, and keeps conversations in the browser, not here.
/metrics is for Prometheus, /health for balancers, /slots for the curious: what is read and written at this moment.

Only this machine's programs may ask, unless -addr says otherwise; then a key is needed (-key-file, or GEMMA4_KEY), or -open. Web
pages may not, but for its own and those of -origin. A name that is not localhost has to be told by -host, unless there are keys.

A projector (-mmproj, or beside the model) lets messages show pictures and videos and say sounds, and /v1/audio/transcriptions write down
speech. They come in the request; those that are somewhere else are fetched with -fetch alone, from public addresses.

Adapters (-lora) are other voices of the model: with -alias nano -lora poems.gguf, requests for the model nano:poems are answered with that
one, those for nano without, all of them at once and each as if it were alone. /v1/models lists them.

So many answers as there are -slots are written at once, each as if it were alone, the others wait in line. Keys and values of all of
them fit into -memory, which also says how long a text each slot holds, unless -ctx does. A Raspberry Pi has little memory and reads slowly:
-slots 2 -ctx 8192 leaves room for the weights, and -prefix-dir spares it reading a long instruction again after each start.`,
		Examples: `
gemma4 serve
gemma4 serve -m gemma-4-E2B-it-Q4_K_M.gguf -alias gemma4 -ctx 32768
gemma4 serve -m gemma-4-E2B-it-Q4_0.gguf -slots 2 -ctx 8192 -prefix-dir prefixes
gemma4 serve -m model.gguf -addr 0.0.0.0:8080 -key-file keys.txt -tls-cert cert.pem -tls-key key.pem
gemma4 serve -m model.gguf -mmproj mmproj-F16.gguf
gemma4 serve -m model.gguf -alias gemma4 -lora poems.gguf -lora law=adapter-7.gguf:0.8
gemma4 serve -m model.gguf -prefix-dir prefixes -warm agent.json
gemma4 serve -m model.gguf -origin app://obsidian.md -origin chrome-extension://abcdef`,
		Define: defineServe,
	}
}

// service is a server on its way from flags to answers.
type service struct {
	*cli.Program
	model    *cli.ModelFlags
	adapters []adapter
	session  *gemma4.SessionOptions
	options  server.Options
	addr     string
	open     bool
	keyFile  string
	cert     string
	key      string
	logs     string
	prefixes int64 // bytes of beginnings of texts, in memory
	folder   string
	kept     int64  // bytes of them in the folder
	warm     string // file
	drain    time.Duration

	m *gemma4.Model
}

func defineServe(p *cli.Program) func() error {
	v := &service{Program: p, prefixes: -1}
	o := &v.options
	v.model = p.ModelFlags()
	p.ProjectorFlag(v.model)
	p.DraftFlag(v.model)
	adapterFlag(p, &v.adapters, "that requests ask for as model NAME:ADAPTER (those that the model comes with are called own, own2 …)")
	v.session = p.SessionFlags("the model's, or what -memory holds in each slot")
	v.keepFlags()
	p.Group("server")
	p.StringVar(&v.addr, "addr", "127.0.0.1:8080", "`HOST:PORT` to listen on, or unix:PATH; a socket of systemd takes its place")
	list := func(name, usage string, to *[]string) {
		p.Func(name, usage+"; may be repeated", func(text string) error {
			if text == "" {
				return errors.New("it is empty")
			}
			*to = append(*to, text)
			return nil
		})
	}
	list("alias", "`name` of the model; the first is what answers call it (default: the one in its file)", &o.Names)
	p.BoolVar(&o.Strict, "strict-model", false, "refuse requests for a model of another name")
	p.FileVar(&v.keyFile, "key-file", "`file` with API keys, one a line, one of which a request must bring; also in GEMMA4_KEY")
	p.BoolVar(&v.open, "open", false, "let everybody who reaches the address ask, without a key")
	p.FileVar(&v.cert, "tls-cert", "`file` with a certificate, for https")
	p.FileVar(&v.key, "tls-key", "`file` with its key")
	withPage := p.Bool("page", true, "show browsers a page to chat on")
	list("host", "`name` that clients may reach the server by", &o.Hosts)
	list("origin", "`origin` of web pages that may ask, such as https://example.org, or * for all", &o.Origins)
	p.BoolVar(&o.Fetch, "fetch", false, "fetch pictures, sounds and videos that messages name by URL, from public addresses")
	p.Group("limits")
	slots := p.Count("slots", "`answers` written at once (default: 8, or 4 on a small machine)")
	waiting := p.Int("waiting", 64, "`requests` that may wait for a slot; 0: none")
	p.DurationVar(&o.Queue.MaxWait, "max-wait", 0, "`time` that a request may wait for a slot (default: any)")
	p.DurationVar(&o.Queue.MaxTime, "max-time", 0, "`time` that a request may take in all (default: any)")
	p.DurationVar(&v.model.Loader.Budget, "budget", 250*time.Millisecond, "`time` that an answer may pause while prompts are read")
	p.SizeVar(&o.MaxBody, "max-body", "`bytes` of a request (default: 32MB; of a model that sees or hears 64MB)")
	p.DurationVar(&v.drain, "drain", time.Minute, "`time` that running answers have at the end")
	p.Group("watching it")
	p.StringVar(&v.logs, "log", "text", "`form` of the log of requests on standard error, without what is said: text, json or none")
	p.Values("log", cli.Values{List: []string{"text", "json", "none"}})
	p.Func("metrics-names", "`vllm`: /metrics shows what balancers look at under vLLM's names, too", func(text string) error {
		if o.VLLMMetrics = text == "vllm"; !o.VLLMMetrics {
			return errors.New("expected vllm")
		}
		return nil
	})

	return func() error {
		if p.NArg() > 0 {
			return cli.Wrong("unexpected argument %q", p.Arg(0))
		}
		if *withPage {
			o.Page = page.Handler()
		}
		o.Draft = v.model.Draft
		o.Queue.Slots = *slots
		if o.Queue.Waiting = *waiting; *waiting == 0 {
			o.Queue.Waiting = -1
		}
		return v.run()
	}
}

// run opens the model, and answers until it is interrupted.
func (v *service) run() error {
	if (v.cert == "") != (v.key == "") {
		return cli.Wrong("-tls-cert and -tls-key go together")
	}
	if v.prefixes == 0 && (v.folder != "" || v.warm != "") {
		return cli.Wrong("-prefix-dir and -warm are about what -prefix-memory 0 does without")
	}
	if err := v.logger(); err != nil {
		return err
	}
	if err := v.keys(); err != nil {
		return err
	}
	begin, err := v.conversation()
	if err != nil {
		return err
	}
	ctx, stop := cli.Interruptible()
	defer stop()
	l, err := listen(ctx, v.addr, v.open || len(v.options.Keys) > 0) // who asks before the model is there waits for it
	if err != nil {
		return err
	}
	defer l.Close()
	room := machineRoom() // before the weights are read, if they are to be
	if v.m, err = v.model.Open(); err != nil {
		return err
	}
	defer v.m.Close()
	if err := v.memory(room); err != nil {
		return err
	}
	v.adapters = append(v.adapters, ownAdapters(v.model.Adapters)...)
	open, err := openAdapters(v.m, v.adapters)
	if err != nil {
		return err
	}
	for i, a := range v.adapters {
		v.options.Adapters = append(v.options.Adapters, server.Adapter{Name: a.name, Scaled: open[i]})
	}
	s, err := server.New(v.m, v.options)
	if err != nil {
		return err
	}
	defer s.Close()
	v.openFolder(ctx)
	v.banner(l, s.Stats())
	var beside sync.WaitGroup
	beside.Go(func() { v.keep(ctx, s) })
	if begin != nil {
		beside.Go(func() { v.read(ctx, s, begin) })
	}
	err = v.serve(ctx, l, s)
	stop()
	beside.Wait()
	last, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	v.save(last)
	return err
}

// logger makes the log of requests.
func (v *service) logger() error {
	switch v.logs {
	case "text":
		v.options.Logger = slog.New(slog.NewTextHandler(v.Err, nil))
	case "json":
		v.options.Logger = slog.New(slog.NewJSONHandler(v.Err, nil))
	case "none":
	default:
		return cli.Wrong("-log %s: expected text, json or none", v.logs)
	}
	v.model.Loader.Logger = v.options.Logger
	return nil
}

// keys reads the API keys.
func (v *service) keys() error {
	if key := os.Getenv("GEMMA4_KEY"); key != "" {
		v.options.Keys = append(v.options.Keys, key)
	}
	if v.keyFile == "" {
		return nil
	}
	f, err := os.Open(v.keyFile)
	if err != nil {
		return err
	}
	defer f.Close()
	n := len(v.options.Keys)
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key := strings.TrimSpace(lines.Text()); key != "" && !strings.HasPrefix(key, "#") {
			v.options.Keys = append(v.options.Keys, key)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("%s: %w", v.keyFile, err)
	}
	if len(v.options.Keys) == n {
		return fmt.Errorf("%s: holds no key: one is expected in each line", v.keyFile)
	}
	return nil
}

// memory divides the machine's memory: unless the flags say otherwise, keys and values of the answers take up to half of what is free
// beside the model, and the beginnings of texts a quarter of that. Where the system does not tell what is free, they take what they may
// come to, and the beginnings 1 GB. If it is too much all the same, it says so.
func (v *service) memory(room fit.Room) error {
	q, free := &v.options.Queue, room.Available
	if q.Slots == 0 {
		q.Slots = 8
		if runtime.NumCPU() <= 4 && free > 0 && free < 8<<30 {
			q.Slots = 4
		}
	}
	q.Memory, q.Context, v.options.Cache = v.session.Memory, v.session.Context, v.session.Cache
	full, err := v.m.Memory(cmp.Or(q.Context, v.m.Info().Context), v.session.Cache)
	if err != nil {
		return err
	}
	demands := modelDemands(full, v.m.Info())
	if q.Memory == 0 {
		if q.Memory = int64(q.Slots) * full.Cache; free > 0 {
			q.Memory = min(max(free-sum(demands), free/8)/2, q.Memory) // no more than they can take
		}
	}
	if v.prefixes < 0 {
		if v.prefixes = q.Memory / 4; free == 0 {
			v.prefixes = min(v.prefixes, 1<<30)
		}
	}
	if v.prefixes > 0 {
		q.Prefixes = gemma4.NewPrefixCache(v.prefixes)
	}
	texts := []demand{{"keys and values", q.Memory}, {"beginnings of texts", v.prefixes}}
	if text := tooMuch(room, append(demands, texts...)); text != "" {
		help := tooLarge
		if left := room.Now() - sum(demands); left > room.Now()/16 {
			help = fmt.Sprintf("the machine will swap when they are full; -memory %dMB -prefix-memory %dMB fit", left/5*4>>20,
				left/5>>20)
		}
		v.Note(text + ": " + help)
	}
	return nil
}

// banner tells what there is, what it takes, and where it is found.
func (v *service) banner(l net.Listener, q gemma4.QueueStats) {
	info, scheme := v.m.Info(), "http"
	if v.cert != "" {
		scheme = "https"
	}
	fmt.Fprintf(v.Err, "%s: %s parameters in %s; %s kernels, %d threads\n", modelName(info), count(info.Parameters), cli.Bytes(info.Bytes),
		info.Level, info.Threads)
	fmt.Fprintf(v.Err, "%d slots of %d positions; keys and values take %s at most, beginnings of texts %s\n", q.Slots, q.Context,
		cli.Bytes(q.Memory), cli.Bytes(v.prefixes))
	for _, c := range info.Companions {
		fmt.Fprintln(v.Err, companion(c, v.model.Draft))
	}
	if v.model.Path == "" {
		fmt.Fprintf(v.Err, nanoKnows+"\n", "serve")
	}
	for _, a := range v.options.Adapters {
		fmt.Fprintf(v.Err, "adapter %s: rank %d, %s\n", a.Name, a.Scaled.Rank, cli.Bytes(a.Scaled.Bytes))
	}
	for _, a := range addresses(l, scheme) {
		fmt.Fprintf(v.Err, "listening at %s\n", a)
	}
}

// serve answers until ctx ends, and then lets the running answers end.
func (v *service) serve(ctx context.Context, l net.Listener, s *server.Server) error {
	h := &http.Server{
		Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug),
	}
	if v.options.Logger != nil {
		h.ErrorLog = slog.NewLogLogger(v.options.Logger.Handler(), slog.LevelDebug) // what strangers do to connections
	}
	var silent sync.Map // connections that have not asked anything yet, as browsers open them in advance: the end does not wait for them
	h.ConnState = func(c net.Conn, now http.ConnState) {
		if now == http.StateNew {
			silent.Store(c, nil)
		} else {
			silent.Delete(c)
		}
	}
	h.RegisterOnShutdown(func() {
		silent.Range(func(c, _ any) bool {
			c.(net.Conn).Close()
			return true
		})
	})
	ended := make(chan error, 1)
	go func() {
		if v.cert != "" {
			ended <- h.ServeTLS(l, v.cert, v.key)
		} else {
			ended <- h.Serve(l)
		}
	}()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	if n := s.Stats().Running; n > 0 {
		fmt.Fprintf(v.Err, "shutting down: %d answers have %v to end\n", n, v.drain)
	}
	ctx, cancel := context.WithTimeout(context.Background(), v.drain)
	defer cancel()
	if err := s.Shutdown(ctx); err != nil {
		fmt.Fprintln(v.Err, "some answers were cut off")
	}
	ctx, cancel = context.WithTimeout(context.Background(), 5*time.Second) // what is written has to be sent
	defer cancel()
	if err := h.Shutdown(ctx); err != nil {
		return h.Close()
	}
	return nil
}
