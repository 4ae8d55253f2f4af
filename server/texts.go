package server

import (
	"encoding/json"
	"reflect"
)

// texts are strings as clients write them: an array, or one by itself.
type texts []string

// UnmarshalJSON reads them. Nothing changes for null.
func (t *texts) UnmarshalJSON(text []byte) error {
	switch text[0] {
	case 'n':
		return nil
	case '"':
		*t = make(texts, 1)
		return json.Unmarshal(text, &(*t)[0])
	case '[':
		return json.Unmarshal(text, (*[]string)(t))
	}
	return &json.UnmarshalTypeError{Value: jsonKind(text), Type: reflect.TypeFor[[]string]()}
}
