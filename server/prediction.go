package server

import (
	"encoding/json"
	"fmt"
)

// prediction is what a client takes most of the answer to be, as OpenAI has it: a file that is to come back with changes.
type prediction struct {
	Type    string          `json:"type"`
	Content json.RawMessage `json:"content"`
}

// texts returns what is predicted; nil: nothing is. More than the context holds is an error.
func (p *prediction) texts(s *Server) (list []string, err error) {
	const param = "prediction.content"
	switch {
	case p == nil:
		return nil, nil
	case p.Type != "content":
		return nil, bad("prediction.type", "prediction.type is %.60q, expected content", p.Type)
	case !present(p.Content):
		return nil, bad(param, "%s is missing", param)
	case p.Content[0] == '"':
		list = make([]string, 1)
		if err := decodeAt(param, p.Content, &list[0]); err != nil {
			return nil, err
		}
	default:
		var parts []struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}
		if err := decodeAt(param, p.Content, &parts); err != nil {
			return nil, err
		}
		for i, part := range parts {
			if part.Type != "text" {
				path := fmt.Sprintf("%s[%d].type", param, i)
				return nil, bad(path, "%s is %.60q, expected text", path, part.Type)
			}
			list = append(list, part.Text)
		}
	}
	left := s.context
	for _, text := range list {
		left -= len(s.m.Tokenizer().Encode(text, false))
	}
	if left < 0 {
		return nil, bad(param, "%s has %d tokens, and an answer %d at most", param, s.context-left, s.context)
	}
	return list, nil
}
