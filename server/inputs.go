package server

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// input is a text of a request, as it is or as ids.
type input struct {
	field string // where it stands, as input[3]
	text  string
	ids   []int32 // nil: text
}

// mostInputs is how many texts a request may have, as OpenAI has it: what comes of them is held until all are done.
const mostInputs = 2048

// inputs reads a field that holds a text, its ids, or an array of either. None of them may be empty.
func (s *Server) inputs(field string, raw json.RawMessage) ([]input, error) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || string(raw) == "null" {
		return nil, bad(field, "%s is missing: a string, an array of strings, ids or an array of arrays of ids", field)
	}
	one, err := s.input(field, raw)
	if err == nil {
		return []input{one}, nil
	}
	var list []json.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil || len(list) == 0 {
		return nil, err
	}
	if c := list[0][0]; c != '"' && c != '[' { // these were to be ids
		return nil, err
	}
	if len(list) > mostInputs {
		return nil, bad(field, "%s has %d texts, expected %d at most", field, len(list), mostInputs)
	}
	all := make([]input, len(list))
	for i, raw := range list {
		if all[i], err = s.input(fmt.Sprintf("%s[%d]", field, i), raw); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// input reads a text or its ids.
func (s *Server) input(field string, raw json.RawMessage) (in input, err error) {
	in.field = field
	switch {
	case raw[0] == '"':
		err = json.Unmarshal(raw, &in.text)
	case raw[0] == '[':
		in.ids, err = s.ids(field, raw)
	default:
		err = bad(field, "%s: expected a string or an array", field)
	}
	if err == nil && in.text == "" && len(in.ids) == 0 {
		err = bad(field, "%s is empty", field)
	}
	return in, err
}

// ids reads an array of tokens.
func (s *Server) ids(field string, raw json.RawMessage) ([]int32, error) {
	var ids []int32
	if json.Unmarshal(raw, &ids) != nil {
		return nil, bad(field, "%s: expected ids, which are whole numbers below %d", field, s.m.Tokenizer().Size())
	}
	for i, id := range ids {
		if id < 0 || int(id) >= s.m.Tokenizer().Size() {
			return nil, bad(fmt.Sprintf("%s[%d]", field, i), "%s[%d] is %d, the vocabulary has ids below %d", field, i, id,
				s.m.Tokenizer().Size())
		}
	}
	return ids, nil
}

// tokens returns an input as ids that begin as every text does.
func (s *Server) tokens(in input) []int32 {
	if in.ids == nil {
		in.ids = s.m.Tokenizer().Encode(in.text, false)
	}
	return s.m.Tokenizer().WithBOS(in.ids)
}

// fits reports an error if a text does not fit the context with more positions behind it.
func (s *Server) fits(field string, ids []int32, more int) error {
	need := len(ids) + more
	if need <= s.context {
		return nil
	}
	f := bad(field, "This model's maximum context length is %d tokens. However, your %s resulted in %d tokens.", s.context, field, need)
	f.code, f.need, f.limit = "context_length_exceeded", need, s.context
	return f
}
