package chat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// Tool declares a function that the model may call.
//
// Its JSON is that of the OpenAI chat API, {"type": "function", "function": {name, description, parameters, strict}}, with
// Gemma's response besides the parameters.
type Tool struct {
	// Name is by what the model calls the function.
	Name string
	// Description tells the model what the function is for.
	Description string
	// Parameters is the JSON schema of the arguments, an object; it may be empty.
	Parameters json.RawMessage
	// Response is the JSON schema of what the function returns, an object; it may be empty.
	Response json.RawMessage
	// Strict asks for calls that obey all of Parameters, or an error where that cannot be promised. It is no part of the prompt.
	Strict bool
	// Func, if set, does what the tool is for: it is called with the arguments of a call and returns JSON for the model to read. An error
	// is for the model to read, too. It is no part of the tool's JSON.
	Func func(ctx context.Context, arguments json.RawMessage) (json.RawMessage, error)
}

type toolJSON struct {
	Type     string       `json:"type"`
	Function functionJSON `json:"function"`
}

type functionJSON struct {
	Name        string          `json:"name"`
	Description string          `json:"description,omitempty"`
	Parameters  json.RawMessage `json:"parameters,omitempty"`
	Response    json.RawMessage `json:"response,omitempty"`
	Strict      bool            `json:"strict,omitempty"`
}

// MarshalJSON writes the tool in the shape of the OpenAI chat API.
func (t Tool) MarshalJSON() ([]byte, error) {
	return marshal(toolJSON{Type: "function", Function: functionJSON{
		Name: t.Name, Description: t.Description, Parameters: t.Parameters, Response: t.Response, Strict: t.Strict,
	}})
}

// UnmarshalJSON reads a tool in the shape of the OpenAI chat API; keys that it does not know are ignored.
func (t *Tool) UnmarshalJSON(data []byte) error {
	var j toolJSON
	if err := unmarshal(data, &j); err != nil {
		return fmt.Errorf("chat: tool: %w", err)
	}
	next := Tool{Name: j.Function.Name, Description: j.Function.Description, Strict: j.Function.Strict}
	if string(j.Function.Parameters) != "null" {
		next.Parameters = bytes.Clone(j.Function.Parameters)
	}
	if string(j.Function.Response) != "null" {
		next.Response = bytes.Clone(j.Function.Response)
	}
	if err := next.validate(); err != nil {
		return fmt.Errorf("chat: tool: %w", err)
	}
	*t = next
	return nil
}

func (t Tool) validate() error {
	if t.Name == "" {
		return errors.New("no name")
	}
	if err := validText("name", t.Name); err != nil {
		return err
	}
	if err := validText("description", t.Description); err != nil {
		return fmt.Errorf("%.60q: %w", t.Name, err)
	}
	for _, schema := range []struct {
		field string
		json  json.RawMessage
	}{{"parameters", t.Parameters}, {"response", t.Response}} {
		if len(schema.json) == 0 {
			continue
		}
		if _, err := decodeObject(schema.json); err != nil {
			return fmt.Errorf("%.60q: %s: %w", t.Name, schema.field, err)
		}
	}
	return nil
}
