package server

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/gogemma/gemma4/grammar"
)

// form are the fields of a request that say which form the text of answers has, by the names that OpenAI, llama.cpp and vLLM have for them.
type form struct {
	ResponseFormat    json.RawMessage `json:"response_format"`
	Grammar           string          `json:"grammar"`
	JSONSchema        json.RawMessage `json:"json_schema"`
	StructuredOutputs struct {
		JSON    json.RawMessage `json:"json"`
		Regex   string          `json:"regex"`
		Choice  []string        `json:"choice"`
		Grammar string          `json:"grammar"`
	} `json:"structured_outputs"`
}

// grammar returns the grammar of the form, nil for text of any kind. More than one is an error.
func (f form) grammar(v func() *grammar.Vocabulary) (g *grammar.Grammar, err error) {
	var made []string
	add := func(name string, one *grammar.Grammar, failed error) {
		switch {
		case failed != nil && err == nil:
			err = failed
		case one != nil:
			made, g = append(made, name), one
		}
	}
	if present(f.ResponseFormat) {
		one, err := formatGrammar(v, "response_format", f.ResponseFormat)
		add("response_format", one, err)
	}
	if f.Grammar != "" {
		one, err := gbnf(v, "grammar", f.Grammar)
		add("grammar", one, err)
	}
	if present(f.JSONSchema) {
		one, err := schemaGrammar(v, "json_schema", f.JSONSchema, false)
		add("json_schema", one, err)
	}
	const outputs = "structured_outputs."
	if o := f.StructuredOutputs; present(o.JSON) {
		one, err := schemaGrammar(v, outputs+"json", o.JSON, false)
		add(outputs+"json", one, err)
	}
	if o := f.StructuredOutputs; o.Regex != "" {
		one, err := regex(v, outputs+"regex", o.Regex)
		add(outputs+"regex", one, err)
	}
	if o := f.StructuredOutputs; len(o.Choice) > 0 {
		one, err := gbnf(v, outputs+"choice", choiceOf(o.Choice))
		add(outputs+"choice", one, err)
	}
	if o := f.StructuredOutputs; o.Grammar != "" {
		one, err := gbnf(v, outputs+"grammar", o.Grammar)
		add(outputs+"grammar", one, err)
	}
	if err == nil && len(made) > 1 {
		err = bad(made[1], "%s: an answer has one form", strings.Join(made, " and "))
	}
	return g, err
}

// present reports whether a field of a request says something.
func present(text json.RawMessage) bool { return len(text) > 0 && string(text) != "null" }

// formatGrammar returns the grammar of a format object, nil for text. param is the field that has it. The shapes are those of OpenAI's chat
// completions, {"type": "json_schema", "json_schema": {"name", "strict", "schema"}}, of its responses, where schema and strict stand beside
// the type, and of llama.cpp, {"type": "json_object", "schema"} and {"type": "regex", "regex"}.
func formatGrammar(v func() *grammar.Vocabulary, param string, text json.RawMessage) (*grammar.Grammar, error) {
	var f struct {
		Type       string          `json:"type"`
		Schema     json.RawMessage `json:"schema"`
		Strict     bool            `json:"strict"`
		Regex      string          `json:"regex"`
		Pattern    string          `json:"pattern"`
		Grammar    string          `json:"grammar"`
		JSONSchema *struct {
			Schema json.RawMessage `json:"schema"`
			Strict bool            `json:"strict"`
		} `json:"json_schema"`
	}
	if err := decodeAt(param, text, &f); err != nil {
		return nil, err
	}
	where := param + ".schema"
	if f.JSONSchema != nil {
		f.Schema, f.Strict, where = f.JSONSchema.Schema, f.JSONSchema.Strict, param+".json_schema.schema"
	}
	switch f.Type {
	case "text", "":
		return nil, nil
	case "json_object":
		if present(f.Schema) {
			return schemaGrammar(v, where, f.Schema, f.Strict)
		}
		g, err := grammar.JSON(v(), grammar.Spaced, true)
		return formed(g, param, err)
	case "json_schema":
		if !present(f.Schema) {
			return nil, bad(where, "%s is missing", where)
		}
		return schemaGrammar(v, where, f.Schema, f.Strict)
	case "regex":
		if f.Regex == "" {
			f.Regex = f.Pattern
		}
		return regex(v, param+".regex", f.Regex)
	case "grammar":
		return gbnf(v, param+".grammar", f.Grammar)
	}
	return nil, bad(param+".type", "%s.type is %.60q, expected text, json_object, json_schema, regex or grammar", param, f.Type)
}

// schemaGrammar returns the grammar of a JSON schema. What cannot be enforced of it is an error if it is strict, and otherwise left out, as
// [grammar.Grammar.Loosened] tells.
func schemaGrammar(v func() *grammar.Vocabulary, param string, schema json.RawMessage, strict bool) (*grammar.Grammar, error) {
	g, err := grammar.Schema(v(), schema, grammar.SchemaOptions{Loose: !strict})
	return formed(g, param, err)
}

func regex(v func() *grammar.Vocabulary, param, expression string) (*grammar.Grammar, error) {
	g, err := grammar.Regexp(v(), expression)
	return formed(g, param, err)
}

func gbnf(v func() *grammar.Vocabulary, param, text string) (*grammar.Grammar, error) {
	g, err := grammar.GBNF(v(), text)
	return formed(g, param, err)
}

// formed returns a grammar, or what is wrong with the field that it was made of.
func formed(g *grammar.Grammar, param string, err error) (*grammar.Grammar, error) {
	if err != nil {
		return nil, bad(param, "%s: %s", param, strings.TrimPrefix(err.Error(), "grammar: "))
	}
	return g, nil
}

// choiceOf returns the grammar, in GBNF, of a text that is one of several.
func choiceOf(texts []string) string {
	var b strings.Builder
	for i, text := range texts {
		if i == 0 {
			b.WriteString("root ::= ")
		} else {
			b.WriteString(" | ")
		}
		b.WriteByte('"')
		for _, r := range text {
			switch {
			case r == '"' || r == '\\':
				b.WriteString(`\` + string(r))
			case r < ' ':
				fmt.Fprintf(&b, `\x%02X`, r)
			default:
				b.WriteRune(r)
			}
		}
		b.WriteByte('"')
	}
	return b.String()
}
