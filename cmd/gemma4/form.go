package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/cmd/gemma4/internal/cli"
	"github.com/gogemma/gemma4/grammar"
)

// form is what answers look like: JSON, a grammar's or an expression's text, or calls of tools.
type form struct {
	schema, gbnf, expression string // the first two are files; one of them at most is not empty
	loose                    bool   // the schema
	text                     string // of the file
	tools                    string // a file
	loosened                 []string
}

// formFlags defines the flags of the form of answers.
func (t *talk) formFlags() {
	f := &t.form
	t.Group("form of answers")
	t.FileVar(&f.schema, "schema", "`file` with a JSON schema: answers are JSON that it allows")
	t.BoolVar(&f.loose, "loose", false, "leave out keywords of the -schema that cannot be enforced, and name them")
	t.FileVar(&f.gbnf, "grammar", "`file` with a grammar in GBNF, which answers obey")
	t.Func("regex", "regular `expression` (RE2) that matches the whole of each answer", func(text string) error {
		if text == "" {
			return errors.New("expected an expression")
		}
		f.expression = text
		return nil
	})
	t.FileVar(&f.tools, "tools", "JSON `file` with the tools that the model may call: an array as in the OpenAI API, or a request with one")
	t.Func("tool-choice", "`choice` of tools: auto, required, none, or the name of one that must be called (default auto)", t.choose)
	t.Values("tool-choice", cli.Values{List: []string{"auto", "none", "required"}})
	t.BoolVar(&t.options.FreeCalls, "free-calls", false, "do not hold calls to their form and to the schemas of -tools")
}

// choose takes a choice of tools.
func (t *talk) choose(text string) error {
	var o grammar.CallOptions
	switch text {
	case "":
		return errors.New("expected auto, required, none or a name")
	case "auto":
	case "none":
		o.Choice = grammar.None
	case "required":
		o.Choice = grammar.Required
	default:
		if t.chat != nil && !slices.ContainsFunc(t.options.Tools, func(tool chat.Tool) bool { return tool.Name == text }) {
			return fmt.Errorf("expected auto, required, none or the name of a tool, and none is named %q", text)
		}
		o.Choice, o.Only = grammar.Required, []string{text}
	}
	t.options.Calls = o
	return nil
}

// choice returns the text that choose takes for a choice.
func choice(o grammar.CallOptions) string {
	if len(o.Only) > 0 {
		return o.Only[0]
	}
	return [...]string{grammar.Auto: "auto", grammar.Required: "required", grammar.None: "none"}[o.Choice]
}

// readForm reads the files of the form.
func (t *talk) readForm() (err error) {
	f := &t.form
	var forms []string
	t.Visit(func(x *flag.Flag) {
		switch x.Name {
		case "schema", "grammar", "regex":
			forms = append(forms, "-"+x.Name)
		}
	})
	if len(forms) > 1 {
		return cli.Wrong("%s: an answer has one form", strings.Join(forms, " and "))
	}
	if f.loose && f.schema == "" {
		return cli.Wrong("-loose without -schema: there is nothing to loosen")
	}
	if len(forms) > 0 && f.tools != "" && t.options.FreeCalls {
		return cli.Wrong("-free-calls and %s: where answers have a form, so have calls", forms[0])
	}
	if file := f.schema + f.gbnf; file != "" {
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		f.text = string(text)
	}
	if f.tools != "" {
		t.options.Tools, err = readTools(f.tools)
	}
	return err
}

// compile makes the grammar of the form, nil if there is none.
func (f *form) compile(m *gemma4.Model) (g *grammar.Grammar, err error) {
	from := f.schema + f.gbnf
	switch v := m.Vocabulary; {
	case f.schema != "":
		g, err = grammar.Schema(v(), []byte(f.text), grammar.SchemaOptions{Loose: f.loose})
	case f.gbnf != "":
		g, err = grammar.GBNF(v(), f.text)
	case f.expression != "":
		from = "-regex"
		g, err = grammar.Regexp(v(), f.expression)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s", from, strings.TrimPrefix(err.Error(), "grammar: "))
	}
	return g, nil
}

// formed returns an error if an answer has ended before its form has, so that nobody takes it for one that obeys.
func (t *talk) formed(r gemma4.Result) error {
	if t.grammar == nil || r.Whole {
		return nil
	}
	return fmt.Errorf("the answer is not whole, and does not have the form asked for (ended by: %v)", r.Reason)
}

// readTools reads the tools of a file: an array, or an object that has one as its tools.
func readTools(file string) ([]chat.Tool, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	const expected = "expected a JSON array of tools, as in the OpenAI API, or an object with such tools"
	var list []json.RawMessage
	if bytes.HasPrefix(bytes.TrimSpace(text), []byte("{")) {
		var request struct{ Tools *[]json.RawMessage }
		if err = json.Unmarshal(text, &request); err == nil && request.Tools == nil {
			return nil, fmt.Errorf("%s: %s", file, expected)
		}
		if err == nil {
			list = *request.Tools
		}
	} else {
		err = json.Unmarshal(text, &list)
	}
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		before := text[:max(syntax.Offset, 1)-1]
		line, column := 1+bytes.Count(before, []byte("\n")), len(before)-bytes.LastIndexByte(before, '\n')
		return nil, fmt.Errorf("%s:%d:%d: %w", file, line, column, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s", file, expected)
	}
	tools := make([]chat.Tool, len(list))
	for i, raw := range list {
		if err := json.Unmarshal(raw, &tools[i]); err != nil {
			return nil, fmt.Errorf("%s: tool %d: %s", file, i+1, strings.TrimPrefix(err.Error(), "chat: tool: "))
		}
	}
	return tools, nil
}

// showLoosened names what is not enforced of the schemas, once.
func (t *talk) showLoosened(keywords []string) {
	if len(keywords) == 0 || strings.Join(keywords, "\n") == strings.Join(t.form.loosened, "\n") {
		return
	}
	t.form.loosened = keywords
	for _, k := range keywords {
		t.note("(not enforced: %s)", k)
	}
}
