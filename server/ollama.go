package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
)

// ollamaVersion is that of the server whose clients find here what they need.
const ollamaVersion = "0.17.0"

// ollama is the protocol of ollama's clients.
var ollama = protocol{
	status:  func(f *failure) int { return f.status },
	failure: func(f *failure, _ string) any { return map[string]string{"error": f.message} },
}

// ollamaRoutes has ollama's endpoints. Those that change the models of a server are not for this one, which has the model it has.
func (s *Server) ollamaRoutes() {
	s.handle("GET /{$}", ollama, (*call).front)
	s.handle("GET /api/version", ollama, (*call).ollamaVersion)
	s.handle("GET /api/tags", ollama, (*call).tags)
	s.handle("GET /api/ps", ollama, (*call).running)
	s.handle("POST /api/show", ollama, (*call).show)
	s.handle("POST /api/chat", ollama, (*call).ollamaChat)
	s.handle("POST /api/generate", ollama, (*call).ollamaGenerate)
	s.handle("POST /api/embed", ollama, (*call).ollamaEmbed)
	s.handle("POST /api/embeddings", ollama, (*call).ollamaEmbedding)
	for _, pattern := range []string{"POST /api/pull", "POST /api/push", "POST /api/create", "POST /api/copy", "DELETE /api/delete",
		"POST /api/blobs/{digest}",
		"GET /api/blobs/{digest}"} {
		s.handle(pattern, ollama, func(c *call) error {
			return &failure{status: http.StatusNotImplemented, message: fmt.Sprintf("%s: this server runs %s, and no other model (gemma4 "+
				"serve -m FILE)", c.r.URL.Path, c.s.name())}
		})
	}
}

// ollamaOptions are the options of a request.
type ollamaOptions struct {
	Context *whole `json:"num_ctx"`
	Predict *whole `json:"num_predict"`
	Stop    texts  `json:"stop"`
	sampling
}

// ollamaRequest are the fields that requests for text have in common.
type ollamaRequest struct {
	Model     string          `json:"model"`
	Stream    *bool           `json:"stream"` // true unless it says otherwise
	Format    json.RawMessage `json:"format"`
	Think     json.RawMessage `json:"think"`
	KeepAlive json.RawMessage `json:"keep_alive"`
	Options   json.RawMessage `json:"options"`
}

// request makes one for the queue, which lacks what is to be answered.
func (b *ollamaRequest) request(c *call) (r gemma4.Request, err error) {
	if err := c.known(b.Model); err != nil {
		return r, err
	}
	o, err := c.ollamaOptions(b.Options)
	if err != nil {
		return r, err
	}
	r.MaxTokens = max(0, o.Predict.or(0)) // −1 and −2 are as many as there is room for
	if r.Sampling, err = o.overrides(c.s.m.Tokenizer().Size(), c.s.context); err != nil {
		return r, within("options", err)
	}
	r.Stop = slices.DeleteFunc(slices.Clone(o.Stop), func(s string) bool { return s == "" })
	switch format := string(b.Format); {
	case !present(b.Format), format == `""`:
	case format == `"json"`:
		r.Grammar, err = c.s.metrics.compiled(grammar.JSON(c.s.m.Vocabulary(), grammar.Spaced, true))
	case format[0] == '{':
		r.Grammar, err = c.s.metrics.compiled(schemaGrammar(c.s.m.Vocabulary, "format", b.Format, false))
	default:
		err = bad("format", `format is %.60s, expected "json" or a schema`, format)
	}
	if err != nil {
		return r, err
	}
	if r.Thinking, err = b.thinks(); err != nil {
		return r, err
	}
	r.RepeatGuard = r.MaxTokens == 0 || r.Grammar != nil
	return r, nil
}

// ollamaOptions reads options. More context than there is is an error; with less there is nothing to do, since nothing is ever cut off.
func (c *call) ollamaOptions(text json.RawMessage) (o ollamaOptions, err error) {
	if !present(text) {
		return o, nil
	}
	if err := decodeAt("options", text, &o); err != nil {
		return o, err
	}
	if n := o.Context.or(0); n > c.s.context {
		return o, bad("options.num_ctx", "options.num_ctx is %d, this server has a context of %d (gemma4 serve -ctx)", n, c.s.context)
	}
	return o, nil
}

// within returns a failure about a field of an object that is itself a field.
func within(param string, err error) error {
	var f *failure
	if errors.As(err, &f) && f.param != "" {
		f.param, f.message = param+"."+f.param, param+"."+f.message
	}
	return err
}

// thinks returns whether the model thinks: true, false, or a level, all of which are the same to it but none.
func (b *ollamaRequest) thinks() (bool, error) {
	switch think := string(b.Think); think {
	case "", "null", "false", `"none"`, `"false"`, `""`:
		return false, nil
	case "true", `"true"`, `"low"`, `"medium"`, `"high"`, `"max"`:
		return true, nil
	default:
		return false, bad("think", "think is %.60s, expected true, false, low, medium, high or max", think)
	}
}

// unloads reports whether a request asks that the model is kept in memory no longer.
func (b *ollamaRequest) unloads() bool {
	text := strings.Trim(string(b.KeepAlive), `"`)
	d, err := time.ParseDuration(text)
	return err == nil && d == 0 || text == "0"
}

// ollamaMessage is what an answer says, or a part of it.
type ollamaMessage struct {
	Role     string       `json:"role"`
	Content  string       `json:"content"`
	Thinking string       `json:"thinking,omitempty"`
	Calls    []ollamaCall `json:"tool_calls,omitempty"`
}

type ollamaCall struct {
	ID       string         `json:"id"`
	Function ollamaFunction `json:"function"`
}

type ollamaFunction struct {
	Index     int             `json:"index"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"` // an object
}

// ollamaCallOf returns a call, the i-th of its answer.
func ollamaCallOf(c *chat.Call, i int) ollamaCall {
	return ollamaCall{c.ID, ollamaFunction{i, c.Name, json.RawMessage(arguments(c))}}
}

// ollamaLine is a line of a stream, or a whole answer: that of /api/chat has a message, that of /api/generate a response.
type ollamaLine struct {
	Model    string         `json:"model"`
	Created  time.Time      `json:"created_at"`
	Message  *ollamaMessage `json:"message,omitempty"`
	Response *string        `json:"response,omitempty"`
	Thinking string         `json:"thinking,omitempty"`
	Done     bool           `json:"done"`
	*ollamaEnd
}

// ollamaEnd is how an answer went. Times are in nanoseconds.
type ollamaEnd struct {
	Reason      string        `json:"done_reason"`
	Total       time.Duration `json:"total_duration"`
	Load        time.Duration `json:"load_duration"` // until there was room
	Prompt      int           `json:"prompt_eval_count"`
	PromptTime  time.Duration `json:"prompt_eval_duration"`
	Written     int           `json:"eval_count"`
	WritingTime time.Duration `json:"eval_duration"`
}

// ollamaLine returns a line that says m, in the shape of the call's endpoint.
func (c *call) ollamaLine(m ollamaMessage) ollamaLine {
	line := ollamaLine{Model: c.name(), Created: time.Now().UTC()}
	if strings.HasSuffix(c.endpoint, "/chat") {
		m.Role = "assistant"
		line.Message = &m
	} else {
		line.Response, line.Thinking = &m.Content, m.Thinking
	}
	return line
}

// loaded answers a request that says nothing: it asks that the model is loaded, which it always is, or unloaded, which it never is.
func (c *call) loaded(b *ollamaRequest) error {
	if err := c.known(b.Model); err != nil {
		return err
	}
	line := c.ollamaLine(ollamaMessage{})
	line.Done, line.ollamaEnd = true, &ollamaEnd{Reason: "load"}
	if b.unloads() {
		line.Reason = "unload"
	}
	line.Total = time.Since(c.began)
	return c.json(http.StatusOK, line)
}

// ollamaAnswer answers a request, as a stream or whole.
func (c *call) ollamaAnswer(b *ollamaRequest, r gemma4.Request) error {
	pieces, err := c.answers(r)
	if err != nil {
		return err
	}
	deltas := c.deltas(pieces, "call_")
	if b.Stream == nil || *b.Stream {
		return c.ollamaStream(deltas)
	}
	answers, _, err := collect(deltas)
	if err != nil {
		return err
	}
	a := answers[0]
	said := a.message()
	m := ollamaMessage{Content: said.Content, Thinking: said.Reasoning}
	for i := range said.ToolCalls {
		m.Calls = append(m.Calls, ollamaCallOf(&said.ToolCalls[i], i))
	}
	line := c.ollamaLine(m)
	line.Done, line.ollamaEnd = true, c.ollamaEnd(a)
	return c.json(http.StatusOK, line)
}

// ollamaStream writes an answer as it comes. While nothing does, a line that says nothing tells that the server is at work.
func (c *call) ollamaStream(deltas iter.Seq2[delta, error]) error {
	ping, err := marshal(c.ollamaLine(ollamaMessage{}))
	if err != nil {
		return err
	}
	st := c.lines(ping)
	for d, err := range deltas {
		if err != nil {
			return err
		}
		var m ollamaMessage
		switch {
		case d.ended:
			line := c.ollamaLine(m)
			line.Done, line.ollamaEnd = true, c.ollamaEnd(d.answer)
			if err := st.last("", line); err != nil {
				return err
			}
			continue
		case d.Call != nil:
			m.Calls = []ollamaCall{ollamaCallOf(d.Call, d.call)}
		case d.Text == "":
			continue
		case d.Kind == chat.Thought:
			m.Thinking = d.Text
		default:
			m.Content = d.Text
		}
		if err := st.send("", c.ollamaLine(m)); err != nil {
			return err
		}
	}
	return nil
}

// ollamaEnd returns how an answer went.
func (c *call) ollamaEnd(a *answer) *ollamaEnd {
	n := countOf([]*answer{a})
	r := a.result
	end := &ollamaEnd{a.finish(), time.Since(c.began), r.QueueTime, n.prompt, r.PromptTime, n.written, r.GenerateTime}
	if end.Reason == "tool_calls" {
		end.Reason = "stop"
	}
	return end
}
