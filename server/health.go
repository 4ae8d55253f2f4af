package server

import (
	"context"
	"errors"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// None of what stands here waits for the engine, or takes a place in the queue: it answers while a prompt is read for half an hour, too.

var errLoading = errors.New("server: loading")

// Loading says whether the server has still something to do before it is as fast as it can be, as reading a conversation that requests
// begin with: /health answers with status 503 for so long, and balancers send requests elsewhere. Those that come are answered.
func (s *Server) Loading(loading bool) { s.loading.Store(loading) }

// Warm has the model read a conversation, and returns how many positions that were: requests that begin alike need not read them again
// (QueueOptions.Prefixes). Meanwhile requests are answered, but /health says that the server is loading.
func (s *Server) Warm(ctx context.Context, c chat.Conversation) (positions int, err error) {
	s.Loading(true)
	defer s.Loading(false)
	o := gemma4.ChatOptions{Tools: c.Tools, Thinking: c.Thinking, Variables: c.Variables, FreeCalls: true}
	o.Cache = s.o.Cache
	o.Trace = &gemma4.Trace{Prefill: func(i gemma4.PrefillInfo) { positions += i.Positions }}
	err = s.q.Do(ctx, o, func(ctx context.Context, begun *gemma4.Chat) error {
		begun.Messages = c.Messages
		return begun.Read(ctx)
	})
	return positions, err
}

// health tells balancers whether to send requests; with fail_on_full=1, also whether one would find the line full.
func (c *call) health() error {
	switch {
	case c.s.draining.Load():
		return errDraining
	case c.s.loading.Load():
		return errLoading
	case asked(c.r, "fail_on_full") && c.s.full():
		return &failure{status: http.StatusServiceUnavailable, code: "queue_full", message: "all slots are taken, and the line is full"}
	}
	return c.json(http.StatusOK, map[string]string{"status": "ok"})
}

// live tells that the program runs.
func (c *call) live() error { return c.json(http.StatusOK, map[string]string{"status": "ok"}) }

// asked reports whether a request has a parameter that is on.
func asked(r *http.Request, name string) bool {
	v := r.URL.Query().Get(name)
	return v != "" && v != "0" && v != "false"
}

// full reports whether a request would be refused now.
func (s *Server) full() bool {
	q := s.q.Stats()
	return q.Waiting >= q.MaxWaiting && (q.Waiting > 0 || q.Running >= q.Slots) // those who wait for memory leave slots free
}

// slots tells what each slot does, but nothing of what anybody writes; with fail_on_no_slot=1 it fails if none is idle.
func (c *call) slots() error {
	type slot struct {
		ID         int     `json:"id"`
		State      string  `json:"state"`
		Processing bool    `json:"is_processing"`
		Context    int     `json:"n_ctx"`
		Prompt     int     `json:"n_prompt_tokens"`
		Read       int     `json:"n_prompt_tokens_processed"`
		Decoded    int     `json:"n_decoded"`
		Age        float64 `json:"age_seconds"`
		Adapter    string  `json:"adapter,omitempty"`
	}
	list, idle := []slot{}, 0
	for _, s := range c.s.q.Slots() {
		one := slot{s.ID, s.State.String(), s.State != gemma4.SlotIdle, s.Context, s.Prompt, s.Read, s.Generated, 0,
			c.s.adapterOf(s.Adapted)}
		if one.Processing {
			one.Age = time.Since(s.Since).Seconds()
		} else {
			idle++
		}
		list = append(list, one)
	}
	if idle == 0 && asked(c.r, "fail_on_no_slot") {
		return &failure{status: http.StatusServiceUnavailable, code: "no_slot", message: "no slot is idle"}
	}
	return c.json(http.StatusOK, list)
}

// props tells how the server is set up, in llama.cpp's words.
func (c *call) props() error {
	s := c.s
	o := s.m.Sampling()
	adapters := []string{}
	for _, a := range s.o.Adapters {
		adapters = append(adapters, a.Name)
	}
	return c.json(http.StatusOK, map[string]any{
		"default_generation_settings": map[string]any{
			"n_ctx":       s.context,
			"speculative": !s.o.Draft.Off,
			"params": map[string]any{
				"temperature": o.Temperature, "top_k": o.TopK, "top_p": o.TopP, "min_p": o.MinP, "typical_p": o.Typical,
				"repeat_penalty": o.RepeatPenalty, "presence_penalty": o.PresencePenalty, "frequency_penalty": o.FrequencyPenalty,
			},
		},
		"total_slots":   s.q.Stats().Slots,
		"n_ctx":         s.context,
		"model":         s.name(),
		"model_alias":   s.name(),
		"model_path":    s.name(), // where the file lies is nobody's business
		"adapters":      adapters,
		"chat_template": s.template(),
		"modalities":    map[string]bool{"vision": s.blind == nil, "audio": s.deaf == nil},
		"build_info":    build() + " " + s.info.Level,
		"is_sleeping":   false,
	})
}

// version tells which program this is.
func (c *call) version() error {
	return c.json(http.StatusOK, map[string]string{"version": build()})
}

// build returns the program's version, as far as it knows.
func build() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return "gemma4 " + info.Main.Version
	}
	return "gemma4"
}
