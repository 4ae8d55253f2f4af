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

// What a template may spend beyond its base grows with the conversation, so that a long one is no attack.
const (
	inputSteps  = 4  // for every byte of the conversation …
	pairSteps   = 20 // … and for every pair of messages: templates look back from each
	inputMemory = 64 // bytes, for every byte of the conversation …
	pairMemory  = 32 // … and for every pair of messages
	inputText   = 8  // bytes, for every byte of the conversation
)

// Template renders conversations. It is safe for several goroutines.
type Template struct {
	program *jinja.Template
	knows   knowledge
	own     object // that the template has beside those of a conversation
}

// Prompt is a rendered conversation.
type Prompt struct {
	Text string
	// Literal holds, in ascending order, the byte offsets in Text at which the tokenizer must begin no markup token:
	// where text of the conversation has the first character of some markup, and where it completes markup that begins
	// in the template's text.
	Literal []int
}

// Parse reads a Jinja template in the dialect of published chat templates: trim_blocks and lstrip_blocks are on, break
// and continue are allowed. The variables are messages, tools (a list, or none), add_generation_prompt, enable_thinking,
// bos_token, eos_token and those of [Conversation].Variables; the functions range, namespace, dict, raise_exception and strftime_now.
//
// Errors name the line. What a template may not do (include, import, extends …) is an error here already.
func Parse(source string) (*Template, error) {
	p, err := jinja.Parse(source)
	if err != nil {
		return nil, fmt.Errorf("chat: template: %w", err)
	}
	return &Template{program: p, knows: knowledgeOf(source)}, nil
}

// Render renders the conversation. markup lists the texts of all markup tokens of the vocabulary, for [Prompt].Literal;
// with none of them Literal stays empty. Prompt.Text does not depend on markup.
//
// Answers of tools reach the template in the form that it mentions (messages of role tool, or tool_responses of the message that
// calls), with the names of their functions; answers of one function in the order of its calls.
//
// Errors: a message or tool that is not valid, by its index; what the template does wrong, by its line; the context's.
func (t *Template) Render(ctx context.Context, c Conversation, markup []string) (Prompt, error) {
	if t == nil || t.program == nil {
		return Prompt{}, errors.New("chat: template: empty, expected one from Parse or Builtin")
	}
	in, err := newInput(c, t.knows)
	if err != nil {
		return Prompt{}, err
	}
	texts := slices.DeleteFunc(slices.Clone(markup), func(s string) bool { return !utf8.ValidString(s) })
	out, err := t.program.Run(ctx, t.variables(in), jinja.Options{Trace: strings.Join(texts, ""), Limits: in.limits()})
	if err != nil {
		return Prompt{}, fmt.Errorf("chat: template: %w", err)
	}
	return Prompt{Text: out.Text, Literal: literal(out, texts)}, nil
}

// variables are those of the template, of the conversation's own choice, and of every conversation.
func (t *Template) variables(in *input) object {
	all := slices.Concat(t.own, in.variables)
	all.Put("messages", in.messages)
	all.Put("tools", in.tools)
	all.Put("add_generation_prompt", in.generate)
	all.Put("enable_thinking", in.thinking)
	all.Put("bos_token", jinja.Safe(bos))
	all.Put("eos_token", jinja.Safe(eos))
	return all
}

func (in *input) limits() jinja.Limits {
	size := int64(weigh(in.messages) + weigh(in.tools) + weigh(in.variables))
	pairs := int64(len(in.messages)) * int64(len(in.messages))
	return jinja.Limits{
		Steps:  jinja.Steps + inputSteps*size + pairSteps*pairs,
		Memory: jinja.Memory + inputMemory*size + pairMemory*pairs,
		Text:   jinja.Text + inputText*size,
	}
}

// literal returns the places where the conversation has a rune with which markup begins, and those where markup begins in the
// template's text but takes text of the conversation to be complete.
func literal(out jinja.Output, markup []string) []int {
	if len(out.Literal) == 0 {
		return nil
	}
	var places []int
	find := newFinder(markup)
	first := map[rune]bool{}
	for _, text := range markup {
		r, _ := utf8.DecodeRuneInString(text)
		first[r] = true
	}
	rest := out.Literal // from here on
	for i, r := range out.Text {
		for len(rest) > 0 && rest[0] < i {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			break
		}
		if first[r] && rest[0] < i+max(find.at(out.Text[i:]), 1) {
			places = append(places, i)
		}
	}
	return places
}
