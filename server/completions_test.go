package server

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
)

// completionAnswer is what comes of a request for completions.
type completionAnswer struct {
	ID, Object, Model string
	Choices           []completionChoice
	Usage             *usage
}

func completionsOf(t testing.TB, url, body string) (a completionAnswer) {
	t.Helper()
	status, text := post(t, url+"/v1/completions", body)
	err := json.Unmarshal([]byte(text), &a)
	if err != nil || status != 200 || !strings.HasPrefix(a.ID, "cmpl-") || a.Object != "text_completion" {
		t.Fatalf("%v, status %d: %s", err, status, text)
	}
	return a
}

func TestCompletionsContinueAllPrompts(t *testing.T) {
	s, url := serve(t, Options{})
	const body = `{"prompt":%s,"temperature":0,"max_tokens":2,"n":2`
	ids, _ := json.Marshal(s.m.Tokenizer().WithBOS(s.m.Tokenizer().Encode("The capital of France is", true)))
	for prompt, want := range map[string][]string{
		`"The capital of France is"`: {" Paris.", " Paris."},
		string(ids):                  {" Paris.", " Paris."},
		`["The capital of France is","The capital of Italy is"]`:          {" Paris.", " Paris.", " Rome.", " Rome."},
		`[` + string(ids) + `,` + quoted("The capital of Italy is") + `]`: {" Paris.", " Paris.", " Rome.", " Rome."},
	} {
		whole := completionsOf(t, url, fmt.Sprintf(body+"}", prompt))
		_, text := post(t, url+"/v1/completions", fmt.Sprintf(body+`,"stream":true}`, prompt))
		streamed, ended := make([]string, len(want)), 0
		list := events(t, text)
		for _, e := range list[:len(list)-1] {
			var chunk completionAnswer
			if err := json.Unmarshal([]byte(e.data), &chunk); err != nil || len(chunk.Choices) != 1 {
				t.Fatalf("%v: %s", err, e.data)
			}
			ch := chunk.Choices[0]
			streamed[ch.Index] += ch.Text
			if ch.FinishReason != nil {
				ended++
			}
		}
		for i, text := range want {
			if ch := whole.Choices[i]; ch.Text != text || ch.Index != i || *ch.FinishReason != "length" || streamed[i] != text {
				t.Errorf("%s: %+v, streamed %q", prompt, ch, streamed[i])
			}
		}
		if whole.Usage.Completion != 2*len(want) || ended != len(want) || list[len(list)-1].data != "[DONE]" {
			t.Errorf("%s: %+v, %d ends: %s", prompt, whole.Usage, ended, text)
		}
	}
}

func TestCompletionsMeasureWhatTheyEcho(t *testing.T) {
	_, url := serve(t, Options{})
	const ask = `{"prompt":"The capital of France","temperature":0,"echo":true,"logprobs":1,"max_tokens":`
	measured, written := completionsOf(t, url, ask+"0}").Choices[0], completionsOf(t, url, ask+"3}").Choices[0]
	if measured.Text != "The capital of France" || written.Text != paris {
		t.Errorf("%q, %q", measured.Text, written.Text)
	}
	l := written.Logprobs
	n := len(l.Tokens)
	if strings.Join(l.Tokens, "") != paris || len(l.Logprobs) != n || len(l.Top) != n || len(l.Offset) != n {
		t.Fatalf("%+v", l)
	}
	for i, token := range l.Tokens {
		if !strings.HasPrefix(written.Text[l.Offset[i]:], token) {
			t.Errorf("%q is not at %d", token, l.Offset[i])
		}
		if i < len(measured.Logprobs.Tokens) && *measured.Logprobs.Logprobs[i] != *l.Logprobs[i] {
			t.Errorf("token %d has the probabilities %v and %v", i, *measured.Logprobs.Logprobs[i], *l.Logprobs[i])
		}
	}
}

func TestWrongCompletionsAreRefusedByField(t *testing.T) {
	_, url := serve(t, Options{})
	refuses(t, url+"/v1/completions", []refusal{
		{`{}`, 400, "prompt", "missing"},
		{`{"prompt":5}`, 400, "prompt", "expected a string"},
		{`{"prompt":[]}`, 400, "prompt", "empty"},
		{`{"prompt":[1,-4]}`, 400, "prompt[1]", "-4"},
		{`{"prompt":[[1],["x"]]}`, 400, "prompt[1]", "string"},
		{`{"prompt":["a",{}]}`, 400, "prompt[1]", "object"},
		{`{"prompt":"a","suffix":"b"}`, 400, "suffix", "follows"},
		{`{"prompt":"a","best_of":3}`, 400, "best_of", "same as n"},
		{`{"prompt":"a","logprobs":21}`, 400, "logprobs", "0 to 20"},
		{`{"prompt":"a","max_tokens":0}`, 400, "max_tokens", "1 or more"},
	})
}

func TestMorePromptsThanCanEverWaitAreRefused(t *testing.T) {
	_, url := serve(t, Options{Queue: gemma4.QueueOptions{Slots: 1, Waiting: 1}})
	for prompts, want := range map[string]int{`"a","b"`: 200, `"a","b","c"`: 400} {
		if status, text := post(t, url+"/v1/completions", `{"max_tokens":1,"prompt":[`+prompts+`]}`); status != want {
			t.Errorf("%s: %d %s", prompts, status, text)
		}
	}
}
