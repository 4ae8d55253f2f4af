package server

import (
	"errors"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
)

// fuzzed makes requests of bodies: what cannot be one is a failure that is the client's, and says why.
func fuzzed(f *testing.F, path string, make func(c *call) (gemma4.Request, error)) {
	s, _ := serve(f, Options{Queue: gemma4.QueueOptions{Context: 512}})
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequest("POST", path, strings.NewReader(string(body)))
		c := &call{s: s, w: httptest.NewRecorder(), r: r, ctx: r.Context(), protocol: openAI}
		request, err := make(c)
		if err == nil {
			if len(request.Messages)+len(request.Prompt) == 0 || request.N < 1 || request.MaxTokens < 0 {
				t.Errorf("%q: %+v", body, request)
			}
			return
		}
		var wrong *failure
		if !errors.As(err, &wrong) || wrong.status < 400 || wrong.status > 499 || wrong.message == "" {
			t.Errorf("%q: %#v", body, err)
		}
	})
}

func FuzzChat(f *testing.F) {
	for _, body := range []string{
		chatBody(user(capital), cold, `"stream":true,"stream_options":{"include_usage":true}`,
			`"stop":["a"],"n":2,"seed":-1,"max_tokens":1e30`),
		chatBody(user("x")+`,{"role":"assistant","content":null,"tool_calls":[{"id":"1","type":"function","function":{"name":"f",`+
			`"arguments":"{\"a\":1}"}}]},{"role":"tool","tool_call_id":"1","content":[{"type":"text","text":"y"}]}`,
			bothTools, `"tool_choice":"required"`),
		chatBody(`{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url","image_url":{"url":"data:"}}]}`),
		chatBody(user("x"), `"response_format":{"type":"json_schema","json_schema":{"strict":true,"schema":{"type":"object"}}}`),
		chatBody(user("x"), `"grammar":"root ::= \"a\"","logit_bias":[[5,false],[6,1.5]],"logprobs":true,"top_logprobs":3`),
		chatBody(user("x"), `"chat_template_kwargs":{"enable_thinking":true,"a":[1]},"reasoning_effort":"none","reasoning_budget":3`),
		chatBody(user("x"), bothTools, `"tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"auto","tools":[]}}`),
	} {
		f.Add([]byte(body))
	}
	fuzzed(f, "/v1/chat/completions", func(c *call) (gemma4.Request, error) {
		var b chatRequest
		if err := c.read(&b); err != nil {
			return gemma4.Request{}, err
		}
		return b.request(c)
	})
}

func FuzzCompletions(f *testing.F) {
	for _, body := range []string{`{"prompt":"a","echo":true,"logprobs":2,"max_tokens":0}`, `{"prompt":["a","b"],"n":2,"best_of":2}`,
		`{"prompt":[[1,2],[3]],"suffix":null,"structured_outputs":{"choice":["a","\"b"]}}`, `{"prompt":[1,2,3]}`} {
		f.Add([]byte(body))
	}
	fuzzed(f, "/v1/completions", func(c *call) (gemma4.Request, error) {
		var b completionRequest
		if err := c.read(&b); err != nil {
			return gemma4.Request{}, err
		}
		r, prompts, err := b.request(c)
		if err == nil {
			r.Prompt = []gemma4.Input{{Tokens: prompts[0].ids}}
		}
		return r, err
	})
}
