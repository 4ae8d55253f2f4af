package server

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
)

// toolbox are the fields of a request that say what the model may call, in the shapes of OpenAI's chat completions and responses.
type toolbox struct {
	Tools    []json.RawMessage `json:"tools"`
	Choice   json.RawMessage   `json:"tool_choice"`
	Parallel *bool             `json:"parallel_tool_calls"`
}

// read returns the tools and what of them may be called. Tools of other types than function, which are for services elsewhere, are left
// out, as the log is told.
func (f toolbox) read(log *slog.Logger) (tools []chat.Tool, calls grammar.CallOptions, err error) {
	for i, text := range f.Tools {
		t, ok, err := readTool(fmt.Sprintf("tools[%d]", i), text, log)
		if err != nil {
			return nil, calls, err
		}
		if ok {
			tools = append(tools, t)
		}
	}
	if calls, err = f.choice(tools); err != nil {
		return nil, calls, err
	}
	calls.Single = f.Parallel != nil && !*f.Parallel && len(tools) > 0
	return tools, calls, checkTools("tools", tools)
}

// readTool reads a tool: {"type": "function", "function": {"name", …}}, or with name and the rest beside the type. One of another type is
// not ok.
func readTool(path string, text json.RawMessage, log *slog.Logger) (t chat.Tool, ok bool, err error) {
	type described struct {
		Name        string          `json:"name"`
		Description string          `json:"description"`
		Parameters  json.RawMessage `json:"parameters"`
		Strict      bool            `json:"strict"`
	}
	var j struct {
		Type     string     `json:"type"`
		Function *described `json:"function"`
		described
	}
	if err := decodeAt(path, text, &j); err != nil {
		return t, false, err
	}
	if j.Type != "function" && j.Type != "" {
		log.Info("tool left out", "path", path, "type", j.Type)
		return t, false, nil
	}
	f := j.described
	if j.Function != nil {
		f, path = *j.Function, path+".function"
	}
	if f.Name == "" {
		return t, false, bad(path+".name", "%s.name is missing", path)
	}
	t = chat.Tool{Name: f.Name, Description: f.Description, Strict: f.Strict}
	if present(f.Parameters) {
		t.Parameters = f.Parameters
	}
	return t, true, nil
}

// checkTools reports the first tool that cannot be part of a prompt. param is the field that has them.
func checkTools(param string, tools []chat.Tool) error {
	for i, t := range tools {
		path := fmt.Sprintf("%s[%d]", param, i)
		c := chat.Conversation{Messages: []chat.Message{{Role: "user"}}, Tools: []chat.Tool{t}}
		if err := c.Validate(); err != nil {
			return bad(path, "%s: %s", path, strings.TrimPrefix(err.Error(), "chat: tool 0: "))
		}
	}
	return nil
}

// choice reads tool_choice: none, auto, required, a function by name, or a list of allowed ones, each in the shapes of both protocols.
func (f toolbox) choice(tools []chat.Tool) (o grammar.CallOptions, err error) {
	const param = "tool_choice"
	type named struct {
		Type     string `json:"type"`
		Name     string `json:"name"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	type allowed struct {
		Mode  string  `json:"mode"`
		Tools []named `json:"tools"`
	}
	if !present(f.Choice) {
		return o, nil
	}
	if f.Choice[0] == '"' {
		var word string
		if err := decodeAt(param, f.Choice, &word); err != nil {
			return o, err
		}
		return chosen(param, word, nil, tools)
	}
	var j struct {
		named
		allowed
		Allowed *allowed `json:"allowed_tools"`
	}
	if err := decodeAt(param, f.Choice, &j); err != nil {
		return o, err
	}
	name := func(n named) string {
		if n.Function.Name != "" {
			return n.Function.Name
		}
		return n.Name
	}
	switch j.Type {
	case "function":
		return chosen(param, "required", []string{name(j.named)}, tools)
	case "allowed_tools":
		list := j.allowed
		if j.Allowed != nil {
			list = *j.Allowed
		}
		var names []string
		for _, t := range list.Tools {
			names = append(names, name(t))
		}
		if len(names) == 0 {
			return o, bad(param, "%s allows no tools: that is \"none\"", param)
		}
		return chosen(param, list.Mode, names, tools)
	case "auto", "none", "required":
		return chosen(param, j.Type, nil, tools)
	}
	return o, bad(param, "%s of type %.60q, expected none, auto, required, function or allowed_tools", param, j.Type)
}

// chosen returns what may be called, by one of the words none, auto and required, of the tools with the names given, or of all. param is
// the field that says so.
func chosen(param, word string, names []string, tools []chat.Tool) (o grammar.CallOptions, err error) {
	switch word {
	case "none":
		if len(tools) > 0 {
			o.Choice = grammar.None
		}
		return o, nil
	case "auto":
	case "required":
		if len(tools) == 0 {
			return o, bad(param, "%s requires a call, and there are no tools", param)
		}
		o.Choice = grammar.Required
	default:
		return o, bad(param, "%s is %.60q, expected none, auto or required", param, word)
	}
	for _, n := range names {
		if !slices.ContainsFunc(tools, func(t chat.Tool) bool { return t.Name == n }) {
			return o, bad(param, "%s names the tool %.60q, which is not among the tools", param, n)
		}
	}
	o.Only = names
	return o, nil
}
