package chat

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/internal/cause"
	"github.com/gogemma/gemma4/internal/jinja"
	"github.com/gogemma/gemma4/internal/python"
)

// The markers of Gemma 4's format, and the label of its thoughts.
const (
	bos           = "<bos>"
	eos           = "<eos>"
	turnOpen      = "<|turn>"
	turnClose     = "<turn|>"
	channelOpen   = "<|channel>"
	channelClose  = "<channel|>"
	callOpen      = "<|tool_call>"
	callClose     = "<tool_call|>"
	responseOpen  = "<|tool_response>"
	responseClose = "<tool_response|>"
	toolOpen      = "<|tool>"
	toolClose     = "<tool|>"
	quote         = `<|"|>`
	think         = "<|think|>"
	thoughtLabel  = "thought\n"
)

// Builtin returns the format of Gemma 4 as published in July 2026 for the models of 12B and more, for files without a template.
// Without [Conversation].Thinking it opens an answer with an empty thought. Of [Conversation].Variables it knows preserve_thinking,
// which keeps the thoughts of earlier messages that called tools, and empty_thought, which says whether to open that thought.
func Builtin() *Template { return &Template{builtin: &builtin{emptyThought: true}, knows: everything} }

// BuiltinEdge returns the format for E2B and E4B, the models with per-layer embeddings: [Builtin] without the empty thought.
func BuiltinEdge() *Template { return &Template{builtin: &builtin{}, knows: everything} }

// builtin writes Gemma 4's format. Where the published template writes something odd, such as a declaration without its closing brace
// when a schema has no type, so does builtin, for models were trained on that. testdata/gemma.jinja says the same as a template.
type builtin struct {
	emptyThought bool // tells large models not to think
}

// render writes a prompt and tells what in it is text of the conversation.
func (b *builtin) render(ctx context.Context, in *input) (text string, literal []span, err error) {
	w := &writer{}
	w.markup(bos)
	rest := in.exchanges
	if rest[0].system() || len(in.tools) > 0 || in.thinking {
		var system Message
		if rest[0].system() {
			system, rest = rest[0].Message, rest[1:]
		}
		w.system(system, in.tools, in.thinking)
	}
	question := -1 // the user's last
	for i, x := range rest {
		if x.Role == "user" {
			question = i
		}
	}
	preserve, _ := in.variables.Get("preserve_thinking")
	var before, after exchange
	for i, x := range rest {
		if err := cause.Of(ctx); err != nil {
			return "", nil, err
		}
		if after = (exchange{}); i+1 < len(rest) {
			after = rest[i+1]
		}
		if i < question && !(truth(preserve) && len(x.ToolCalls) > 0) {
			x.Reasoning = "" // has served its purpose
		}
		w.exchange(x, before, after)
		before = x
	}
	if in.generate {
		empty, given := in.variables.Get("empty_thought")
		w.open(before, in.thinking, !given && b.emptyThought || truth(empty))
	}
	return string(w.b), w.literal, w.err
}

// system writes the turn of the system: whether to think, the instruction, and the tools.
func (w *writer) system(m Message, tools []Tool, thinking bool) {
	w.markup(turnOpen, "system\n")
	if thinking {
		w.markup(think, "\n")
	}
	w.text(trim(m.Content))
	for _, part := range m.Parts {
		w.text(trim(part.Text))
		w.markup(" ")
	}
	for i, t := range tools {
		w.markup(toolOpen)
		w.declaration(t)
		w.markup(toolClose)
		if w.err != nil {
			w.err = fmt.Errorf("tool %d: %w", i, w.err)
			return
		}
	}
	w.markup(turnClose, "\n")
}

// exchange writes a message with the responses to its calls. Messages of the model that follow each other share one turn.
func (w *writer) exchange(x, before, after exchange) {
	switch {
	case !x.model():
		w.markup(turnOpen, x.Role, "\n")
	case !before.model():
		w.markup(turnOpen, "model\n")
	}
	if x.Reasoning != "" {
		w.markup(channelOpen, thoughtLabel)
		w.text(x.Reasoning)
		w.markup("\n", channelClose)
	}
	for _, c := range x.ToolCalls {
		w.markup(callOpen, "call:")
		w.text(c.Name)
		w.json(decoded(c.arguments()), false)
		w.markup(callClose)
	}
	for _, r := range x.ToolResponses {
		w.response(r.Name, decoded(r.Response))
	}
	for _, m := range x.responses {
		w.toolMessage(m)
	}
	said := w.content(x.Message)
	switch {
	case len(x.ToolCalls) > 0 && !x.answered():
		w.markup(responseOpen) // what is to come next
	case x.model() && after.model():
	case said || !x.answered() || after.Role != "":
		w.markup(turnClose, "\n")
	}
}

// open begins the model's next turn, unless the last message has called tools: then the model goes on in that turn.
func (w *writer) open(last exchange, thinking, emptyThought bool) {
	switch {
	case len(last.ToolCalls) == 0:
		w.markup(turnOpen, "model\n")
		if emptyThought && !thinking {
			w.markup(channelOpen, thoughtLabel, channelClose)
		}
	case last.answered() && thinking:
		w.markup(channelOpen, thoughtLabel)
	}
}

// content writes what a message says and reports whether that is anything.
func (w *writer) content(m Message) bool {
	from := len(w.b)
	parts := m.Parts
	if len(parts) == 0 {
		parts = []Part{{Type: "text", Text: m.Content}}
	}
	for _, part := range parts {
		switch {
		case part.Type != "text":
			w.media(part)
		case m.model():
			w.text(trim(withoutThoughts(part.Text)))
		default:
			w.text(trim(part.Text))
		}
	}
	return len(w.b) > from
}

// withoutThoughts leaves out thoughts that stand in the text of a message.
func withoutThoughts(s string) string {
	var kept strings.Builder
	for s := range strings.SplitSeq(s, channelClose) {
		said, _, _ := strings.Cut(s, channelOpen)
		kept.WriteString(said)
	}
	return kept.String()
}

// media marks the place of a picture, a sound or a video.
func (w *writer) media(part Part) { w.markup("<|", part.Type, "|>") }

func (w *writer) toolMessage(m Message) {
	w.response(m.Name, m.Text())
	for _, part := range m.Parts {
		if part.Type != "text" {
			w.media(part)
		}
	}
}

// response writes what a tool has said, an object or any other value.
func (w *writer) response(name string, v any) {
	w.markup(responseOpen, "response:")
	w.text(name)
	if o, ok := v.(object); ok {
		w.object(o, false)
	} else {
		w.markup("{value:")
		w.json(v, false)
		w.markup("}")
	}
	w.markup(responseClose)
}

// json writes a value of JSON. The keys of its objects are quoted in declarations, and bare in calls and responses.
func (w *writer) json(v any, quoted bool) {
	switch v := v.(type) {
	case nil:
		w.markup("null")
	case bool:
		w.markup(pick(v, "true", "false"))
	case json.Number:
		w.text(string(v))
	case string:
		w.quoted(v)
	case []any:
		w.list(v, func(item any) { w.json(item, quoted) })
	case object:
		w.object(v, quoted)
	}
}

func (w *writer) object(o object, quoted bool) {
	w.entries(o, func(key string, v any) {
		if quoted {
			w.quoted(key)
		} else {
			w.text(key)
		}
		w.markup(":")
		w.json(v, quoted)
	})
}

// entries writes the entries of an object, sorted by their keys in lower case.
func (w *writer) entries(o object, entry func(key string, v any)) {
	o = slices.Clone(o)
	slices.SortStableFunc(o, func(a, b jinja.Entry) int { return strings.Compare(python.Lower(a.Key), python.Lower(b.Key)) })
	w.markup("{")
	for i, e := range o {
		w.comma(i)
		entry(e.Key, e.Value)
	}
	w.markup("}")
}

func (w *writer) list(items []any, item func(v any)) {
	w.markup("[")
	for i, v := range items {
		w.comma(i)
		item(v)
	}
	w.markup("]")
}

func (w *writer) comma(i int) {
	if i > 0 {
		w.markup(",")
	}
}

func (w *writer) quoted(s string) {
	w.markup(quote)
	w.text(s)
	w.markup(quote)
}

func trim(s string) string { return strings.TrimFunc(s, python.IsSpace) }
