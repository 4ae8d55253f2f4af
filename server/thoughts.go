package server

import (
	"encoding/json"
)

// thoughts are the fields of a request that say whether the model thinks before it answers. Unless one of them asks for it, it does not, as
// the model's template has it.
type thoughts struct {
	Effort    *string                    `json:"reasoning_effort"`
	Budget    *whole                     `json:"reasoning_budget"`
	Variables map[string]json.RawMessage `json:"chat_template_kwargs"`
}

// read returns whether the model thinks, for how many tokens at most (0: any number), and the template's other variables. Of several
// fields, what chat_template_kwargs.enable_thinking says counts.
func (f thoughts) read() (on bool, most int, variables map[string]any, err error) {
	if f.Effort != nil {
		on = thinks(*f.Effort)
	}
	if n := f.Budget.or(-1); n > 0 {
		most = n
	} else if n == 0 {
		on = false
	}
	for name, value := range f.Variables {
		if name == "enable_thinking" {
			continue
		}
		if variables == nil {
			variables = map[string]any{}
		}
		variables[name] = value
	}
	if value := f.Variables["enable_thinking"]; present(value) {
		err = decodeAt("chat_template_kwargs.enable_thinking", value, &on)
	}
	return on, most, variables, err
}

// thinks reports whether an effort asks for thoughts: all but none do.
func thinks(effort string) bool { return effort != "" && effort != "none" }
