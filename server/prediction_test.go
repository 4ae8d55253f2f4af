package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
)

// olga is a question whose answer is long enough to be looked up.
const olga = "Make JSON: Olga is 44 years old and lives in Rome."

func TestPredictionsMakeAnswersNoOthers(t *testing.T) {
	_, url := serve(t, Options{Names: []string{"nano"}, Draft: gemma4.Draft{Always: true, Most: 4, Match: 2, Alone: true}})
	type answered struct {
		Choices []struct{ Message struct{ Content string } }
		Usage   struct {
			Details struct {
				Accepted *int `json:"accepted_prediction_tokens"`
				Rejected *int `json:"rejected_prediction_tokens"`
			} `json:"completion_tokens_details"`
		}
		Timings struct {
			Drafted  int `json:"draft_n"`
			Accepted int `json:"draft_n_accepted"`
		}
	}
	ask := func(more ...string) (a answered) {
		_, text := post(t, url+"/v1/chat/completions", chatBody(user(olga), append(more, cold)...))
		if err := json.Unmarshal([]byte(text), &a); err != nil || len(a.Choices) != 1 {
			t.Fatalf("%v: %s", err, text)
		}
		return a
	}
	plain := ask()
	want := plain.Choices[0].Message.Content
	if d := plain.Usage.Details; want == "" || d.Accepted != nil || d.Rejected != nil {
		t.Fatalf("%+v", plain)
	}
	for _, test := range []struct {
		content string
		helps   bool
	}{
		{quoted(want), true}, {`[{"type":"text","text":"What comes is"},{"type":"text","text":` + quoted(want) + `}]`, true},
		{quoted(strings.Replace(want, "44", "45", 1)), true}, {`"nothing of the kind"`, false}, {`""`, false}, {`[]`, false},
	} {
		got := ask(`"prediction":{"type":"content","content":` + test.content + `}`)
		d := got.Usage.Details
		if got.Choices[0].Message.Content != want || d.Accepted == nil || d.Rejected == nil {
			t.Fatalf("%s: %+v", test.content, got)
		}
		if more := *d.Accepted > plain.Timings.Accepted; more != test.helps || got.Timings.Accepted != *d.Accepted ||
			got.Timings.Drafted != *d.Accepted+*d.Rejected {
			t.Errorf("%s: %d accepted, %d rejected, timings %+v; without %+v", test.content, *d.Accepted, *d.Rejected, got.Timings,
				plain.Timings)
		}
	}
	stream := `"stream":true,"prediction":{"type":"content","content":` + quoted(want) + `}`
	_, text := post(t, url+"/v1/chat/completions", chatBody(user(olga), cold, stream))
	if all := streamedChats(t, text); all[0].text() != want || !strings.Contains(text, `"accepted_prediction_tokens":`) {
		t.Errorf("%+v in %s", all, text)
	}
	_, text = get(t, url+"/metrics")
	_, values := samples(t, text)
	of := func(name string) float64 { return values["gemma4_draft_"+name+`_total{model="nano",source="lookup"}`] }
	if passes, accepted, drafted := of("passes"), of("accepted_tokens"), of("tokens"); passes <= 0 || accepted <= 0 || drafted < accepted {
		t.Errorf("%v passes, %v of %v accepted:\n%s", passes, accepted, drafted, text)
	}
}

func TestPredictionsThatAreNoneAreRefused(t *testing.T) {
	_, url := serve(t, Options{Queue: gemma4.QueueOptions{Context: 512}})
	for prediction, param := range map[string]string{
		`5`:                                 "prediction",
		`{"content":"x"}`:                   "prediction.type",
		`{"type":"guess","content":"x"}`:    "prediction.type",
		`{"type":"content"}`:                "prediction.content",
		`{"type":"content","content":5}`:    "prediction.content",
		`{"type":"content","content":null}`: "prediction.content",
		`{"type":"content","content":[{"type":"image_url","image_url":{}}]}`:       "prediction.content[0].type",
		`{"type":"content","content":[{"type":"text","text":5}]}`:                  "prediction.content",
		`{"type":"content","content":` + quoted(strings.Repeat("a b ", 300)) + `}`: "prediction.content",
	} {
		status, text := post(t, url+"/v1/chat/completions", chatBody(user("x"), `"prediction":`+prediction))
		if status != 400 || !strings.Contains(text, `"param":"`+param) {
			t.Errorf("%.80s: status %d: %s", prediction, status, text)
		}
	}
}
