package batch

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Request is a line of the input.
type Request struct {
	ID   string
	URL  string          // one of [URLs]
	Body json.RawMessage // an object
}

// URLs are what a request can be for. Each is answered with one object of JSON.
var URLs = []string{"/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages", "/v1/decide"}

// parse reads a line.
func parse(line []byte) (r Request, err error) {
	var x struct {
		CustomID string          `json:"custom_id"`
		Method   string          `json:"method"`
		URL      string          `json:"url"`
		Body     json.RawMessage `json:"body"`
	}
	if err := unmarshal(line, &x); err != nil {
		return r, err
	}
	switch {
	case x.CustomID == "":
		return r, errors.New("there is no custom_id")
	case x.Method != "POST":
		return r, fmt.Errorf("the method is %q, expected POST", x.Method)
	case !slices.Contains(URLs, x.URL):
		return r, fmt.Errorf("the url is %q, expected one of %s", x.URL, strings.Join(URLs, ", "))
	case !bytes.HasPrefix(x.Body, []byte("{")):
		return r, errors.New("there is no body that is an object")
	}
	if bytes.Contains(x.Body, []byte(`stream"`)) { // seldom, and reading it all once more takes its time
		var body struct {
			Stream any `json:"stream"`
		}
		if err := json.Unmarshal(x.Body, &body); err != nil {
			return r, fmt.Errorf("body: %w", err)
		}
		if body.Stream != nil && body.Stream != false {
			return r, fmt.Errorf(`the body asks for "stream": %v, and a file has no streams: leave it out`, body.Stream)
		}
	}
	return Request{x.CustomID, x.URL, x.Body}, nil
}

// unmarshal is json.Unmarshal of a line, with errors for people.
func unmarshal(line []byte, x any) error {
	err := json.Unmarshal(line, x)
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		if err.Error() == "unexpected end of JSON input" {
			return errors.New("it ends before its object of JSON does, which has to stand in one line")
		}
		return fmt.Errorf("it is no JSON: column %d: %w", syntax.Offset, err)
	}
	if kind, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if kind.Field == "" {
			return fmt.Errorf("it is a JSON %s, expected an object", kind.Value)
		}
		return fmt.Errorf("%s is a JSON %s", kind.Field, kind.Value)
	}
	return err
}
