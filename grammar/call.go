package grammar

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Tool is a function that the model may call.
type Tool struct {
	// Name is by what the model calls it.
	Name string
	// Parameters is the JSON schema of its arguments, an object. Without, there are none.
	Parameters json.RawMessage
	// Strict refuses a schema with keywords that cannot be enforced, which are dropped else: see [Grammar.Loosened].
	Strict bool
}

// A Choice says what the model may do with tools.
type Choice uint8

// The choices.
const (
	Auto     Choice = iota // text, calls, or calls after text
	Required               // calls
	None                   // text
)

// CallOptions say which calls are allowed.
type CallOptions struct {
	// Choice is Auto unless it is set.
	Choice Choice
	// Only names the tools that may be called, if it is not empty; else all may.
	Only []string
	// Single allows one call only.
	Single bool
}

// Calls returns the grammar of answers that may call tools, in the format of Gemma 4:
//
//	<|tool_call>call:NAME{key:value,…}<tool_call|>
//
// with values as in JSON, but bare keys, no white space, and strings between two <|"|>. The markers are tokens, never letters: within a
// string, everything else is text. Properties that a schema does not name are left out where it names some and does not ask for others.
// After its calls an answer ends as all do, or with <|tool_response>.
func Calls(v *Vocabulary, tools []Tool, o CallOptions) (*Grammar, error) {
	k := key{[]byte("calls"), {byte(o.Choice), bit(o.Single)}, binary.AppendUvarint(nil, uint64(len(o.Only)))}
	for _, name := range o.Only {
		k = append(k, []byte(name))
	}
	for _, t := range tools {
		k = append(k, []byte(t.Name), t.Parameters, []byte{bit(t.Strict)})
	}
	g, err := v.cache.get(k, func() (*Grammar, error) { return calls(v, tools, o) })
	if err != nil {
		return nil, fmt.Errorf("grammar: %w", err)
	}
	return g, nil
}

// nameTools says which tools there are, the first few of many.
func nameTools(tools []Tool) string {
	if len(tools) == 0 {
		return "there are none"
	}
	var names []string
	for _, t := range tools[:min(len(tools), 10)] {
		names = append(names, fmt.Sprintf("%.60q", t.Name))
	}
	if len(tools) > len(names) {
		names = append(names, "…")
	}
	return "there are " + strings.Join(names, ", ")
}

func calls(v *Vocabulary, tools []Tool, o CallOptions) (*Grammar, error) {
	w := newSpeller(style{colon: ":", comma: ",", call: true})
	free := bytesBody(w.rest)
	switch {
	case o.Choice > None:
		return nil, fmt.Errorf("unknown choice %d of calls", o.Choice)
	case o.Choice == None:
		return v.grammar(w.builder, free)
	}
	var open, shut, response int32
	for text, id := range map[string]*int32{
		"<|tool_call>": &open, "<tool_call|>": &shut, `<|"|>`: &w.quote, "<|tool_response>": &response,
	} {
		var ok bool
		if *id, ok = v.tokenizer.ID(text); !ok || v.texts[*id] != "" {
			return nil, fmt.Errorf("%s is no special token of the vocabulary", text)
		}
	}
	for _, name := range o.Only {
		if !slices.ContainsFunc(tools, func(t Tool) bool { return t.Name == name }) {
			return nil, fmt.Errorf("no tool is named %.60q; %s", name, nameTools(tools))
		}
	}
	var list []*body
	var loosened []string
	for _, t := range tools {
		if len(o.Only) > 0 && !slices.Contains(o.Only, t.Name) {
			continue
		}
		b, dropped, err := w.tool(t)
		if err != nil {
			return nil, fmt.Errorf("tool %.60q: %w", t.Name, err)
		}
		list, loosened = append(list, b), append(loosened, dropped...)
	}
	if len(list) == 0 && o.Choice == Required {
		return nil, errors.New("a call is required, but there are no tools")
	}
	if len(list) == 0 {
		return v.grammar(w.builder, free)
	}
	call := w.seq(tokenBody(open), choice(list...), tokenBody(shut))
	most := int32(-1)
	if o.Single {
		most = 1
	}
	root := w.seq(repeat(call, 1, most), repeat(tokenBody(response), 0, 1))
	if o.Choice == Auto {
		root = w.seq(free, repeat(root, 0, 1))
	}
	g, err := v.grammar(w.builder, root)
	if err == nil {
		g.loosened = loosened
	}
	return g, err
}

// tool writes a call of a tool, between its markers, and names what of its schema is not enforced.
func (w *speller) tool(t Tool) (*body, []string, error) {
	if t.Name == "" || strings.ContainsAny(t.Name, "{<>"+string(space)) || strings.TrimSpace(t.Name) != t.Name {
		return nil, nil, errors.New("the name cannot be written in a call")
	}
	name := w.text("call:" + t.Name)
	if len(t.Parameters) == 0 || string(t.Parameters) == "null" {
		return w.seq(name, w.text("{}")), nil, nil
	}
	schema, err := parseJSON(t.Parameters)
	if err != nil {
		return nil, nil, err
	}
	c := newCompiler(w, SchemaOptions{Closed: true, Loose: !t.Strict})
	c.open(schema)
	b, err := c.compile([]*value{schema, made(nil, "type", "object")}, 0)
	if errors.Is(err, ErrLimit) && !t.Strict && w.err == nil {
		c.loosened = append(c.loosened, "schema at #")
		for i, x := range w.bodies { // what was not finished is not used
			if x == nil {
				w.bodies[i] = bytesBody(w.none)
			}
		}
		b, err = w.list(w.frame("{}", 0), w.seq(w.key(w.keys()), w.any(1)), 0, -1), nil
	}
	if err != nil {
		return nil, nil, err
	}
	for i, s := range c.loosened {
		c.loosened[i] = t.Name + ": " + s
	}
	return w.seq(name, b), slices.Clone(c.loosened), nil
}
