package chat

import (
	"context"
	"errors"
	"fmt"
)

// ErrLimit is wrapped by the errors of templates that ask for more steps, depth, memory or output than they may have.
var ErrLimit = errors.New("limit exceeded")

// ErrRefused is wrapped by the error of a template that calls raise_exception; the error's text holds its message.
var ErrRefused = errors.New("refused by the template")

// Template renders conversations. It is safe for several goroutines.
type Template struct {
	program *program
	knows   knowledge
	own     []variable // that the template has beside those of a conversation
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
	p, err := parse(source)
	if err != nil {
		return nil, err
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
	m, err := in.marked(markup, t.program.used)
	if err != nil {
		return Prompt{}, err
	}
	r := newRun(ctx, m, in)
	if err := guard(func() error { return t.run(r, in) }); err != nil {
		return Prompt{}, fmt.Errorf("chat: template: %w", err)
	}
	return m.prompt(r.out.String()), nil
}

// guard turns a panic into an error. Nothing here is meant to panic; gonja's parser sometimes does.
func guard(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("internal error: %v", p)
		}
	}()
	return f()
}

// run renders the input.
func (t *Template) run(r *run, in *input) error {
	r.tables = t.program.tables
	s := &scope{}
	for _, v := range t.own {
		s.set(v.name, v.value)
	}
	for i, name := range in.variables.keys {
		s.set(name, in.variables.values[i])
	}
	s.set("messages", in.messages)
	s.set("tools", in.tools)
	s.set("add_generation_prompt", in.generate)
	s.set("enable_thinking", in.thinking)
	s.set("bos_token", bos)
	s.set("eos_token", eos)
	_, err := t.program.body.exec(r, s)
	return err
}
