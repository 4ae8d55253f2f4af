package server

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"testing"

	"github.com/gogemma/gemma4"
)

// embedded is the answer of /v1/embeddings.
type embedded struct {
	Object string
	Model  string
	Data   []struct {
		Object    string
		Index     int
		Embedding any
	}
	Usage struct {
		Prompt int `json:"prompt_tokens"`
		Total  int `json:"total_tokens"`
	}
}

// embed asks for embeddings, which have to come.
func embed(t testing.TB, url, body string) (e embedded) {
	t.Helper()
	status, text := post(t, url+"/v1/embeddings", body)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, text)
	}
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatal(err)
	}
	return e
}

// vector returns an embedding in either format.
func vector(t testing.TB, v any) (list []float32) {
	t.Helper()
	text, ok := v.(string)
	if !ok {
		for _, x := range v.([]any) {
			list = append(list, float32(x.(float64)))
		}
		return list
	}
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	for ; len(b) > 0; b = b[4:] {
		list = append(list, math.Float32frombits(binary.LittleEndian.Uint32(b)))
	}
	return list
}

func length(v []float32) (sum float64) {
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	return math.Sqrt(sum)
}

func TestEmbeddingsAreTheMeanStatesAtLengthOne(t *testing.T) {
	s, url := serve(t, Options{})
	texts := []string{"The capital of France is Paris.", "one", "<turn|>\n"}
	var ids [][]int32
	total := 0
	for _, text := range texts {
		ids = append(ids, s.m.Tokenizer().Encode(text, false))
		total += 1 + len(ids[len(ids)-1])
	}
	session, err := s.m.NewSession(gemma4.SessionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	quoted := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	for _, input := range []string{quoted(texts), quoted(ids)} {
		for _, format := range []string{"", `,"encoding_format":"float"`, `,"encoding_format":"base64"`} {
			e := embed(t, url, `{"model":"any","input":`+input+format+`}`)
			if e.Object != "list" || e.Model != s.name() || len(e.Data) != len(texts) || e.Usage.Prompt != total || e.Usage.Total != total {
				t.Errorf("%s: %+v", format, e)
			}
			for i, d := range e.Data {
				mean, err := session.Embed(t.Context(), s.m.Tokenizer().WithBOS(ids[i]))
				if err != nil {
					t.Fatal(err)
				}
				got, norm := vector(t, d.Embedding), length(mean)
				if d.Index != i || d.Object != "embedding" || len(got) != len(mean) || math.Abs(length(got)-1) > 1e-5 {
					t.Fatalf("%s: embedding %d has index %d, %d values, length %v", format, i, d.Index, len(got), length(got))
				}
				for k, x := range mean {
					if want := float32(float64(x) / norm); got[k] != want {
						t.Fatalf("%s: embedding %d, value %d is %v, want %v", format, i, k, got[k], want)
					}
				}
			}
		}
	}
}

func TestEmbeddingsOfOneTextAndOfItsIDs(t *testing.T) {
	s, url := serve(t, Options{})
	ids, err := json.Marshal(s.m.Tokenizer().Encode("Paris", false))
	if err != nil {
		t.Fatal(err)
	}
	a, b := embed(t, url, `{"input":"Paris"}`), embed(t, url, `{"input":`+string(ids)+`}`)
	if len(a.Data) != 1 || fmt.Sprint(a) != fmt.Sprint(b) {
		t.Errorf("%v\n%v", a, b)
	}
}

func TestShortenedEmbeddingsHaveLengthOne(t *testing.T) {
	s, url := serve(t, Options{})
	whole := vector(t, embed(t, url, `{"input":"Paris"}`).Data[0].Embedding)
	for _, n := range []int{1, 64, s.m.Config().Width} {
		got := vector(t, embed(t, url, fmt.Sprintf(`{"input":"Paris","dimensions":%d}`, n)).Data[0].Embedding)
		if len(got) != n || math.Abs(length(got)-1) > 1e-5 {
			t.Fatalf("%d values of %d, length %v", len(got), n, length(got))
		}
		for i, f := 0, length(whole[:n]); i < n; i++ {
			if math.Abs(float64(got[i])-float64(whole[i])/f) > 1e-6 {
				t.Fatalf("value %d of %d is %v, want %v", i, n, got[i], float64(whole[i])/f)
			}
		}
	}
}

// refusal is a body that is refused, and how.
type refusal struct {
	body   string
	status int
	param  string
	words  string // in the message
}

// refuses sends bodies that are refused in OpenAI's shape.
func refuses(t *testing.T, url string, list []refusal) {
	t.Helper()
	for _, r := range list {
		status, text := post(t, url, r.body)
		e, _ := fields(t, text)["error"].(map[string]any)
		message, _ := e["message"].(string)
		param, _ := e["param"].(string)
		if status != r.status || param != r.param || !strings.Contains(message, r.words) || e["type"] == nil || e["code"] == nil {
			t.Errorf("%.80s: status %d: %s; want %d, param %q, %q", r.body, status, text, r.status, r.param, r.words)
		}
	}
}

func TestWrongEmbeddingsAreRefusedByField(t *testing.T) {
	s, url := serve(t, Options{Strict: true, Queue: gemma4.QueueOptions{Context: 64}})
	refuses(t, url+"/v1/embeddings", []refusal{
		{`{}`, 400, "input", "missing"},
		{`{"input":null}`, 400, "input", "missing"},
		{`{"input":""}`, 400, "input", "empty"},
		{`{"input":[]}`, 400, "input", "empty"},
		{`{"input":["a",""]}`, 400, "input[1]", "empty"},
		{`{"input":["a",3]}`, 400, "input[1]", "expected a string or an array"},
		{`{"input":[1,"a"]}`, 400, "input", "expected ids"},
		{`{"input":[1,2.5]}`, 400, "input", "expected ids"},
		{`{"input":[[1],[-1]]}`, 400, "input[1][0]", "is -1"},
		{fmt.Sprintf(`{"input":[1,%d]}`, s.m.Tokenizer().Size()), 400, "input[1]", "the vocabulary"},
		{`{"input":{"a":1}}`, 400, "input", "expected a string or an array"},
		{`{"input":"a","dimensions":0}`, 400, "dimensions", "expected 1 to"},
		{`{"input":"a","dimensions":100000}`, 400, "dimensions", "expected 1 to"},
		{`{"input":"a","encoding_format":"int8"}`, 400, "encoding_format", "base64"},
		{`{"input":["a","` + strings.Repeat("Paris ", 100) + `"]}`, 400, "input[1]", "maximum context length is 64 tokens"},
		{`{"input":"a","model":"other"}`, 404, "model", "no model"},
		{`{"input":`, 400, "", "no JSON"},
	})
}

// TestHeaderTimeoutBoundsWhatIsNoAnswer: neither waits longer than the client does.
func TestHeaderTimeoutBoundsWhatIsNoAnswer(t *testing.T) {
	_, url := serveBlocked(t, Options{})
	for path, body := range map[string]string{"/v1/embeddings": `{"input":"x"}`, "/api/embed": `{"input":"x"}`,
		"/v1/decide": `{"prompt":"x","options":["a","b"]}`} {
		if status, text := post(t, url+path, body, "Timeout: 0.05"); status != 504 || !strings.Contains(text, "header Timeout") {
			t.Errorf("%s: status %d: %s", path, status, text)
		}
	}
}

// TestManyEmbeddingsLetOthersTakeTurns asks for more texts than can be read in the time, with one slot: a question that comes meanwhile is
// answered before they have all been read.
func TestManyEmbeddingsLetOthersTakeTurns(t *testing.T) {
	s, url := serve(t, Options{Queue: gemma4.QueueOptions{Slots: 1}})
	text := strings.Repeat("one two three four ", 40)
	list := make([]string, mostInputs)
	for i := range list {
		list[i] = text
	}
	body, err := json.Marshal(map[string]any{"input": list})
	if err != nil {
		t.Fatal(err)
	}
	left := make(chan error)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/v1/embeddings", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		resp, err := http.DefaultClient.Do(r.WithContext(ctx))
		if err == nil {
			resp.Body.Close()
		}
		left <- err
	}()
	await(t, func() bool { return s.q.Stats().Running == 1 })
	status, answer := post(t, url+"/v1/chat/completions", `{"messages":[{"role":"user","content":"`+capital+`"}],"temperature":0}`)
	if status != 200 || !strings.Contains(answer, paris) {
		t.Errorf("status %d: %s", status, answer)
	}
	select {
	case err := <-left:
		t.Fatalf("all texts were read first: %v", err)
	default:
	}
	cancel() // and they end with their client
	if <-left == nil {
		t.Error("a cancelled request was answered")
	}
	await(t, func() bool { return s.q.Stats().Running == 0 })
}
