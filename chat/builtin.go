package chat

import (
	_ "embed"
	"sync"
)

// The texts of Gemma 4's format.
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
	modelTurn     = turnOpen + "model\n"
)

//go:embed gemma.jinja
var gemma string

// Builtin returns the format of Gemma 4 as published in July 2026 for the models of 12B and more, for files without a template.
// Without [Conversation].Thinking it opens an answer with an empty thought.
func Builtin() *Template { return builtin(true) }

// BuiltinEdge returns the format for E2B and E4B, the models with per-layer embeddings: [Builtin] without the empty thought.
func BuiltinEdge() *Template { return builtin(false) }

var parseGemma = sync.OnceValues(func() (*Template, error) { return Parse(gemma) })

func builtin(emptyThought bool) *Template {
	t, err := parseGemma()
	if err != nil {
		panic(err) // a test holds that this cannot be
	}
	b := &Template{program: t.program, knows: t.knows}
	b.own.Put("empty_thought", emptyThought)
	return b
}
