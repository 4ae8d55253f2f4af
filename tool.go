package gemma4

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/internal/jsontype"
)

// Tool makes a tool of a function, for ChatOptions.Tools and [Chat.Run]. The arguments are In, a struct or a map, by the rules of
// [SchemaOf]: those that may be left out are fields with omitempty. What the function returns is told to the model as JSON, and so is the
// text of an error, as {"error": "…"}, for it to try again. To end a Run, the function cancels its ctx.
//
// An In that no schema can be given for is an error, which names the field.
func Tool[In, Out any](name, description string, f func(context.Context, In) (Out, error)) (chat.Tool, error) {
	schema, err := jsontype.Schema(reflect.TypeFor[In]())
	if err == nil && !bytes.HasPrefix(schema, []byte(`{"type":"object"`)) {
		err = fmt.Errorf("arguments in %v, expected a struct or a map", reflect.TypeFor[In]())
	}
	if err != nil {
		return chat.Tool{}, fmt.Errorf("gemma4: tool %.60q: %w", name, err)
	}
	return chat.Tool{
		Name: name, Description: description, Parameters: schema, Strict: true,
		Func: func(ctx context.Context, arguments json.RawMessage) (json.RawMessage, error) {
			var in In
			if err := decodeStrictly(arguments, &in); err != nil {
				return nil, fmt.Errorf("arguments: %w", err)
			}
			out, err := f(ctx, in)
			if err != nil {
				return nil, err
			}
			return json.Marshal(out)
		},
	}, nil
}

// decodeStrictly decodes one value of JSON that has no more than v.
func decodeStrictly(data []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one value of JSON")
	}
	return nil
}
