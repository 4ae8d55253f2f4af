package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// ask sends a body, which has to be answered, and reads what comes back into v.
func ask(t testing.TB, url, body string, v any) {
	t.Helper()
	status, text := post(t, url, body)
	if status != http.StatusOK {
		t.Fatalf("%.200s: status %d: %s", body, status, text)
	}
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
}

// clock is a tool that nano calls.
var clock = chat.Tool{Name: "get_time", Description: "The time in a city.",
	Parameters: []byte(`{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}`)}

// js returns a value as JSON.
func js(t testing.TB, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestTokenizeForClientsOfLlamaCpp(t *testing.T) {
	s, url := serve(t, Options{})
	tok := s.m.Tokenizer()
	text := "Paris <turn|>\n  naïve 東京 \U0001F600"
	for _, test := range []struct {
		fields string
		want   []int32
	}{
		{``, tok.Encode(text, true)},
		{`,"parse_special":false`, tok.Encode(text, false)},
		{`,"add_special":true`, tok.WithBOS(tok.Encode(text, true))},
	} {
		var got struct{ Tokens []int32 }
		ask(t, url+"/tokenize", `{"content":`+js(t, text)+test.fields+`}`, &got)
		if !slices.Equal(got.Tokens, test.want) {
			t.Errorf("%s: %v, want %v", test.fields, got.Tokens, test.want)
		}
		var back struct{ Content, Prompt string }
		ask(t, url+"/detokenize", js(t, map[string]any{"tokens": got.Tokens}), &back)
		if want := tok.Decode(test.want, true); back.Content != want || back.Prompt != want {
			t.Errorf("%s: back %q, want %q", test.fields, back, want)
		}
	}
	var empty struct{ Tokens json.RawMessage }
	if ask(t, url+"/tokenize", `{"content":""}`, &empty); string(empty.Tokens) != "[]" {
		t.Errorf("no text has the tokens %s", empty.Tokens)
	}
}

// TestPiecesJoinedAreTheText: a piece is text, or bytes where it is only a part of a character.
func TestPiecesJoinedAreTheText(t *testing.T) {
	_, url := serve(t, Options{})
	text := "Paris naïve 東京 \U0001F600 \x00\t"
	var got struct {
		Tokens []struct {
			ID    int32
			Piece json.RawMessage
		}
	}
	ask(t, url+"/tokenize", `{"content":`+js(t, text)+`,"with_pieces":true}`, &got)
	var all []byte
	bytes := 0
	for _, p := range got.Tokens {
		var s string
		var list []int
		if json.Unmarshal(p.Piece, &s) == nil {
			all = append(all, s...)
		} else if err := json.Unmarshal(p.Piece, &list); err != nil {
			t.Fatalf("piece %s", p.Piece)
		}
		for _, b := range list {
			bytes++
			all = append(all, byte(b))
		}
	}
	if string(all) != text || bytes == 0 {
		t.Errorf("%q with %d bytes, want %q", all, bytes, text)
	}
}

func TestTokenizeForClientsOfVLLM(t *testing.T) {
	s, url := serve(t, Options{Queue: gemma4.QueueOptions{Context: 512}})
	tok := s.m.Tokenizer()
	messages := []chat.Message{{Role: "system", Content: "Be brief."}, {Role: "user", Content: capital}}
	rendered, err := s.m.Prompt(t.Context(), chat.Conversation{Messages: messages})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		body string
		want []int32
	}{
		{`{"prompt":"Paris"}`, tok.WithBOS(tok.Encode("Paris", true))},
		{`{"prompt":"Paris","add_special_tokens":false}`, tok.Encode("Paris", true)},
		{`{"messages":` + js(t, messages) + `}`, rendered},
	} {
		var got struct {
			Count       int
			MaxModelLen int `json:"max_model_len"`
			Tokens      []int32
			TokenStrs   []string `json:"token_strs"`
		}
		ask(t, url+"/tokenize", strings.TrimSuffix(test.body, "}")+`,"return_token_strs":true}`, &got)
		if got.Count != len(test.want) || got.MaxModelLen != 512 || !slices.Equal(got.Tokens, test.want) ||
			len(got.TokenStrs) != len(test.want) || got.TokenStrs[0] != tok.Text(test.want[0]) {
			t.Errorf("%s: %+v, want %v", test.body, got, test.want)
		}
	}
}

func TestTheTemplateIsAppliedWithTools(t *testing.T) {
	s, url := serve(t, Options{})
	question := chat.Message{Role: "user", Content: "What time is it in Oslo?"}
	conversation := chat.Conversation{Messages: []chat.Message{question}, Tools: []chat.Tool{clock}}
	ids, err := s.m.Prompt(t.Context(), conversation)
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Prompt string }
	ask(t, url+"/apply-template", js(t, conversation), &got)
	if want := s.m.Tokenizer().Decode(ids, true); got.Prompt != want || !strings.Contains(want, "get_time") {
		t.Errorf("%q, want %q", got.Prompt, want)
	}
}

func TestWhatHasNoTokensIsRefusedByField(t *testing.T) {
	s, url := serve(t, Options{})
	refuses(t, url+"/tokenize", []refusal{
		{`{}`, 400, "content", "missing"},
		{`{"content":3}`, 400, "content", "expected a string"},
		{`{"messages":[]}`, 400, "", "no messages"},
		{`{"messages":[{"role":"nobody","content":"x"}]}`, 400, "", "message 0"},
	})
	refuses(t, url+"/detokenize", []refusal{
		{`{}`, 400, "tokens", "missing"},
		{`{"tokens":"x"}`, 400, "tokens", "expected ids"},
		{`{"tokens":[1,-1]}`, 400, "tokens[1]", "is -1"},
		{fmt.Sprintf(`{"tokens":[%d]}`, s.m.Tokenizer().Size()), 400, "tokens[0]", "the vocabulary"},
	})
	refuses(t, url+"/apply-template", []refusal{
		{`{"messages":[{"role":"tool","content":"x"}]}`, 400, "", "without a call"},
		{`[]`, 400, "", "expected an object"},
	})
}
