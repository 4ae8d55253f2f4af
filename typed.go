package gemma4

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"reflect"
	"strings"

	"github.com/gogemma/gemma4/chat"
	"github.com/gogemma/gemma4/grammar"
	"github.com/gogemma/gemma4/internal/jsontype"
)

// SchemaOf returns the JSON schema of a type: encoding/json reads whatever it allows into a T.
//
// Properties stand in the order of the fields, in which a model writes them: a field for its reasoning comes first. The schema allows what
// json.Marshal writes, but slices and maps are never null, and nor is what they hold: a pointer is null, or with omitempty or omitzero left
// out, as other fields with these are. Integers and floats stay within their types, also as keys of maps and in strings (json:",string").
// Types that hold themselves are in $defs.
//
// A type can say more: a method Enum() []T names the only values of a type T, and JSONSchema() []byte the schema of what its UnmarshalJSON
// reads, without references. A type with UnmarshalText is any string, and one that it refuses is an error later. Tags of fields, too: enum
// (values, separated by commas), format, pattern, minLength, maxLength, minimum, maximum and multipleOf, which in a slice are about its
// elements, minItems and maxItems, with the values that JSON Schema gives them, and jsonschema for a description.
// Formats that package grammar does not know allow any string; patterns are read when the schema is used.
//
//	type Person struct {
//		Name string    `json:"name" jsonschema:"as it is in the passport"`
//		Age  int       `json:"age" minimum:"0" maximum:"150"`
//		Pets []string  `json:"pets" enum:"cat,dog"`
//		Born time.Time `json:"born,omitzero"`
//	}
//
// Channels, functions, complex numbers, interfaces with methods, and types with an UnmarshalJSON that nothing is known of are errors that
// name the field.
func SchemaOf[T any]() (json.RawMessage, error) {
	schema, err := jsontype.Schema(reflect.TypeFor[T]())
	if err != nil {
		return nil, fmt.Errorf("gemma4: schema of %w", err)
	}
	return schema, nil
}

// Generate says something in a chat and returns the answer as a T: what the model writes, after its thought if it thinks, is held to the
// schema that [SchemaOf] gives, and becomes part of the conversation as JSON. If the chat has tools, the model may call them before, as in
// [Chat.Run].
//
// The schema is no part of the prompt. Models do better when they know what is wanted, so a prompt should say it in words, or with the
// schema itself. For this answer the schema takes the place of the Grammar in c.Options.
//
// Parts are what the prompt is about, and stand where the models were made for: pictures and videos before it, sounds behind it, in place
// of it if it is empty. So a table in a picture becomes rows:
//
//	type Table struct {
//		Columns []string
//		Rows    [][]string
//	}
//	page := chat.Part{Type: "image", Image: img, Budget: chat.MaxBudget}
//	table, err := gemma4.Generate[Table](ctx, c, "Read the table: the names of its columns, and its rows.", page)
//
// If the answer is cut off or anything else fails, the error is a [*PartialError] as soon as the model has written something, and the value
// is what of it is certain. The conversation keeps as much of the answer as there was.
func Generate[T any](ctx context.Context, c *Chat, prompt string, parts ...chat.Part) (T, error) {
	text, err := c.fill(ctx, asked(prompt, parts), SchemaOf[T], func(string) bool { return true })
	return read[T](c, text, err)
}

// GenerateSeq is [Generate] that yields the value while it fills. Strings and lists grow; numbers, and what is one of a few values or read
// by a method of its type, are there once they are whole; what was there stays, but for a key of a map that comes twice. The last value
// is whole, or comes with the error. Each is a value of its own. Leaving the loop ends the answer.
func GenerateSeq[T any](ctx context.Context, c *Chat, prompt string, parts ...chat.Part) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var last T
		told, left := false, false
		tell := func(v T) bool {
			if told && reflect.DeepEqual(v, last) {
				return true
			}
			last, told = v, true
			left = !yield(v, nil)
			return !left
		}
		partial := jsontype.NewPartial(reflect.TypeFor[T]())
		text, err := c.fill(ctx, asked(prompt, parts), SchemaOf[T], func(text string) bool {
			var v T
			data := partial.Of(text)
			return data == nil || json.Unmarshal(data, &v) != nil || tell(v)
		})
		if left {
			return
		}
		if v, err := read[T](c, text, err); err != nil {
			yield(v, err)
		} else {
			tell(v)
		}
	}
}

// A PartialError is about an answer of [Generate] that is not whole, or that its type refuses.
type PartialError struct {
	Text string // of the answer so far
	Err  error  // what went wrong
}

func (e *PartialError) Error() string { return fmt.Sprintf("%v (after %.60q)", e.Err, e.Text) }

// Unwrap returns what went wrong.
func (e *PartialError) Unwrap() error { return e.Err }

// fill is Run with an answer that obeys a schema. It tells the answer's text so far whenever there is more, and returns all of it.
func (c *Chat) fill(ctx context.Context, ask chat.Message, schema func() (json.RawMessage, error), tell func(string) bool) (string, error) {
	s, err := schema()
	if err != nil {
		return "", err
	}
	g, err := grammar.Schema(c.m.Vocabulary(), s, grammar.SchemaOptions{})
	if err != nil {
		return "", fmt.Errorf("gemma4: %w", err)
	}
	var text strings.Builder
	err = c.s.claimed(func() error {
		before := c.Options.Grammar
		c.Options.Grammar = g
		defer func() { c.Options.Grammar = before }()
		return c.run(ctx, ask, func(t Token) bool {
			if t.Kind != chat.Text || t.Text == "" {
				return true
			}
			text.WriteString(t.Text)
			return tell(text.String())
		})
	})
	return text.String(), err
}

// read reads an answer that has ended, or that an error has.
func read[T any](c *Chat, text string, err error) (v T, _ error) {
	if err == nil {
		if err = c.decode(text, &v); err == nil {
			return v, nil
		}
	}
	if text == "" {
		return v, err
	}
	var part T // of a type that refuses the rest, what it has taken
	_ = json.Unmarshal(jsontype.NewPartial(reflect.TypeFor[T]()).Of(text), &part)
	return part, &PartialError{text, err}
}

// decode decodes the text of an answer that has ended.
func (c *Chat) decode(text string, v any) error {
	if calls := c.Messages[len(c.Messages)-1].ToolCalls; len(calls) > 0 {
		return fmt.Errorf("gemma4: the model calls %.60q, which has no function", calls[0].Name)
	}
	err := decodeStrictly([]byte(text), v)
	if r := c.Result().Reason; err != nil && r != ReasonEnd {
		return fmt.Errorf("gemma4: the answer was cut off (%v): %w", r, err)
	}
	if err != nil {
		return fmt.Errorf("gemma4: the answer: %w", err)
	}
	return nil
}
