package chat

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gogemma/gemma4/internal/jinja"
)

var (
	// ErrLimit is wrapped by the errors of templates that ask for more steps, depth, memory or output than they may have.
	ErrLimit = jinja.ErrLimit
	// ErrRefused is wrapped by the error of a template that calls raise_exception, with its message in the error's text, and by
	// that of a template that wants other templates or files.
	ErrRefused = jinja.ErrRefused
)

// Template is a chat format: it renders conversations. It is safe for several goroutines.
type Template struct {
	program *jinja.Template
	builtin *builtin // in place of a program
	knows   knowledge
}

// Prompt is a rendered conversation.
type Prompt struct {
	// Text is what the model reads, markup and all.
	Text string
	// Literal holds, in ascending order, the byte offsets in Text at which the tokenizer must make no marker: where text of the
	// conversation has the first character of some marker, and where it completes one that begins in the template's text.
	Literal []int
	// Answer is the byte offset in Text from which on it is the beginning of the model's answer, which the tokenizer takes by itself;
	// len(Text) without [Conversation].Continue.
	Answer int
}

// Parse reads a Jinja template in the dialect of published chat templates: trim_blocks and lstrip_blocks are on, break and continue are
// allowed. Its variables are messages, tools (a list, or none), add_generation_prompt, enable_thinking, bos_token, eos_token and those of
// [Conversation].Variables; its functions range, namespace, dict, joiner, cycler, raise_exception and strftime_now.
//
// Errors name the line. What a template may never do (include, import, extends …) is an error already here.
func Parse(source string) (*Template, error) {
	p, err := jinja.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("chat: template: %w", err)
	}
	return &Template{program: p, knows: knowledgeOf(source)}, nil
}

// Render renders a conversation. markup lists the markers of the vocabulary, for [Prompt].Literal; without any Literal stays empty.
// Prompt.Text does not depend on markup.
//
// Responses of tools reach the template in the form that it mentions (messages of role tool, or tool_responses of the message that
// calls), with the names of their functions; those of one function in the order of its calls.
//
// The error names the index of a message or tool that is not valid, or the line of the template that went wrong, or is that of ctx.
func (t *Template) Render(ctx context.Context, c Conversation, markup []string) (Prompt, error) {
	if t == nil || t.program == nil && t.builtin == nil {
		return Prompt{}, errors.New("chat: template: empty, expected one from Parse or Builtin")
	}
	in, err := newInput(c, t.knows)
	if err != nil {
		return Prompt{}, err
	}
	markup = slices.DeleteFunc(slices.Clone(markup), func(s string) bool { return s == "" || !utf8.ValidString(s) })
	var text string
	var literal []span
	if t.builtin != nil {
		text, literal, err = t.builtin.render(ctx, in)
	} else {
		text, literal, err = t.run(ctx, in, markup)
	}
	if err != nil {
		return Prompt{}, fmt.Errorf("chat: template: %w", err)
	}
	w := &writer{b: []byte(text), literal: literal}
	answer := w.answer(in.answer)
	text = string(w.b)
	return Prompt{Text: text, Literal: places(text, w.literal, markup), Answer: answer}, nil
}

// run runs a program. literal are those characters of the conversation that occur in markup.
func (t *Template) run(ctx context.Context, in *input, markup []string) (string, []span, error) {
	text, places, err := t.program.Run(ctx, in.values(), strings.Join(markup, ""))
	literal := make([]span, len(places))
	for i, at := range places {
		literal[i] = span{at, at + 1}
	}
	return text, literal, err
}
