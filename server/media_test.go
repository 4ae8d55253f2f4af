package server

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

// shown is a question about a picture, or one that is spoken, and nano's answer.
type shown struct {
	File    string `json:"file"`
	Tokens  int    `json:"soft_tokens"`
	Content []struct{ Type, Text string }
	Answer  string

	data string // base64
	ask  string // beside the file; empty: nothing
}

// sound reports whether the file is one.
func (q shown) sound() bool { return strings.HasSuffix(q.File, ".wav") }

const mediaFolder = "../nano/testdata/media"

// questions returns those that come with nano.
func questions(t testing.TB) (all []shown) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(mediaFolder, "questions.json"))
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		q := &all[i]
		data, err := os.ReadFile(filepath.Join(mediaFolder, q.File))
		if err != nil {
			t.Fatal(err)
		}
		q.data, q.Answer = base64.StdEncoding.EncodeToString(data), strings.TrimSuffix(q.Answer, "<turn|>")
		for _, p := range q.Content {
			q.ask += p.Text
		}
	}
	return all
}

// way is how a protocol asks.
type way struct {
	name, path string
	sound      bool // it has a form for them
	body       func(q shown) string
}

// beside returns a further part that is text, if there is one.
func beside(kind, text string) string {
	if text == "" {
		return ""
	}
	return `,{"type":"` + kind + `","text":` + quoted(text) + `}`
}

var ways = []way{
	{"chat", "/v1/chat/completions", true, func(q shown) string {
		part := `{"type":"image_url","image_url":{"url":"data:image/png;base64,` + q.data + `","detail":"low"}}`
		if q.sound() {
			part = `{"type":"input_audio","input_audio":{"data":"` + q.data + `","format":"wav"}}`
		}
		return `"max_tokens":40,"messages":[{"role":"user","content":[` + part + beside("text", q.ask) + `]}]`
	}},
	{"chat by URL", "/chat/completions", true, func(q shown) string {
		part := `{"type":"image_url","image_url":"data:;base64,` + q.data + `","budget":70}`
		if q.sound() {
			part = `{"type":"audio_url","audio_url":{"url":"data:audio/mpeg;base64,` + q.data + `"}}`
		}
		return `"max_tokens":40,"messages":[{"role":"user","content":[` + part + beside("text", q.ask) + `]}]`
	}},
	{"responses", "/v1/responses", true, func(q shown) string {
		part := `{"type":"input_image","image_url":"data:image/png;base64,` + q.data + `","detail":"low"}`
		if q.sound() {
			part = `{"type":"input_audio","input_audio":{"data":"` + q.data + `","format":"wav"}}`
		}
		return `"max_output_tokens":40,"input":[{"role":"user","content":[` + part + beside("input_text", q.ask) + `]}]`
	}},
	{"messages", "/v1/messages", false, func(q shown) string {
		return `"max_tokens":40,"messages":[{"role":"user","content":[{"type":"image","budget":"low","source":{"type":"base64",` +
			`"media_type":"image/png","data":"` + q.data + `"}}` + beside("text", q.ask) + `]}]`
	}},
	{"ollama", "/api/chat", true, func(q shown) string {
		return `"options":{"temperature":0},"messages":[{"role":"user","content":` + quoted(q.ask) + `,"images":["` + q.data +
			`"],"budget":70}]`
	}},
	{"generate", "/api/generate", true, func(q shown) string {
		return `"options":{"temperature":0},"prompt":` + quoted(q.ask) + `,"images":["` + q.data + `"],"budget":"70"`
	}},
}

// says returns the text of an answer in any protocol, whole or as a stream.
func says(t testing.TB, text string) string {
	t.Helper()
	type content []struct{ Text string }
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "data: ")
		if !strings.HasPrefix(line, "{") {
			continue
		}
		var v struct {
			Choices []struct{ Delta, Message struct{ Content string } }
			Type    string
			Delta   json.RawMessage
			Output  []struct{ Content content }
			Content content
			Message json.RawMessage

			Response json.RawMessage
		}
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		for _, c := range v.Choices {
			out.WriteString(c.Delta.Content + c.Message.Content)
		}
		for _, o := range v.Output {
			for _, c := range o.Content {
				out.WriteString(c.Text)
			}
		}
		for _, c := range v.Content {
			out.WriteString(c.Text)
		}
		var plain string
		var inner struct{ Text, Content string }
		switch {
		case v.Type == "response.output_text.delta":
			json.Unmarshal(v.Delta, &plain)
		case v.Type == "content_block_delta":
			json.Unmarshal(v.Delta, &inner)
		case v.Type == "":
			json.Unmarshal(v.Message, &inner)
			json.Unmarshal(v.Response, &plain)
		}
		out.WriteString(plain + inner.Text + inner.Content)
	}
	return out.String()
}

// TestAllProtocolsSeeAndHear: nano's questions about pictures, and spoken ones, are answered right, whole and as streams.
func TestAllProtocolsSeeAndHear(t *testing.T) {
	_, url := serve(t, Options{Queue: gemma4.QueueOptions{Slots: 4, Waiting: 1000}})
	var all sync.WaitGroup
	for i, q := range questions(t) {
		for k, w := range ways {
			if q.sound() && !w.sound || testing.Short() && i%4 != k%4 {
				continue
			}
			for _, stream := range []bool{false, true} {
				all.Go(func() {
					status, text := post(t, url+w.path, fmt.Sprintf(`{%s,"temperature":0,"stream":%t}`, w.body(q), stream))
					if got := says(t, text); status != 200 || got != q.Answer {
						t.Errorf("%s, %s, stream %t: %d %q, want %q\n%.300s", q.File, w.name, stream, status, got, q.Answer, text)
					}
				})
			}
		}
	}
	all.Wait()
}

// TestPicturesCount in usage, and where tokens are counted beforehand.
func TestPicturesCount(t *testing.T) {
	_, url := serve(t, Options{})
	all := questions(t)
	for _, q := range []shown{all[0], all[10]} {
		_, text := post(t, url+"/v1/chat/completions", "{"+ways[0].body(q)+"}")
		used := fields(t, text)["usage"].(map[string]any)
		kind := "image_tokens"
		if q.sound() {
			kind = "audio_tokens"
		}
		if got := used["prompt_tokens_details"].(map[string]any)[kind]; got != float64(q.Tokens) {
			t.Errorf("%s: %v of them are %s, want %d", q.File, got, kind, q.Tokens)
		}
		counts := map[string]float64{}
		count := func(path, body, field string) {
			status, text := post(t, url+path, body)
			if n, ok := fields(t, text)[field].(float64); status == 200 && ok {
				counts[path] = n
			} else {
				t.Errorf("%s: %d %s", path, status, text)
			}
		}
		count("/v1/responses/input_tokens", "{"+ways[2].body(q)+"}", "input_tokens")
		count("/tokenize", "{"+ways[0].body(q)+"}", "count")
		if !q.sound() {
			count("/v1/messages/count_tokens", "{"+ways[3].body(q)+"}", "input_tokens")
		}
		for path, n := range counts {
			if n != used["prompt_tokens"] {
				t.Errorf("%s, %s: %v tokens, want %v", q.File, path, n, used["prompt_tokens"])
			}
		}
		_, text = post(t, url+"/apply-template", "{"+ways[0].body(q)+"}")
		place := map[bool]string{false: "<|image|>", true: "<|audio|>"}[q.sound()]
		if n := strings.Count(fields(t, text)["prompt"].(string), place); n != q.Tokens {
			t.Errorf("%s: the prompt has %d places, want %d", q.File, n, q.Tokens)
		}
	}
}

// TestPicturesOfOneSizeNeverMix in a cache of prefixes that they share: what is kept of one serves no other.
func TestPicturesOfOneSizeNeverMix(t *testing.T) {
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	cache := gemma4.NewPrefixCache(64 << 20)
	defer cache.Close()
	s, err := New(m, Options{Queue: gemma4.QueueOptions{Slots: 2, Prefixes: cache}})
	if err != nil {
		t.Fatal(err)
	}
	h := httptest.NewServer(s)
	defer h.Close()
	defer s.Close()
	var same []shown // of one size, asked the same
	for _, q := range questions(t) {
		if !q.sound() && q.Tokens == 60 {
			q.ask = "What do you see?"
			same = append(same, q)
		}
	}
	if len(same) < 3 {
		t.Fatalf("%d pictures of one size", len(same))
	}
	ask := func(q shown, fields string) (string, float64) {
		status, text := post(t, h.URL+"/v1/chat/completions", "{"+ways[0].body(q)+`,"temperature":0`+fields+"}")
		if status != 200 {
			t.Fatalf("%s: %d %s", q.File, status, text)
		}
		var v struct {
			Usage struct {
				Details struct {
					Cached float64 `json:"cached_tokens"`
				} `json:"prompt_tokens_details"`
			}
		}
		if err := json.Unmarshal([]byte(text), &v); err != nil {
			t.Fatal(err)
		}
		return says(t, text), v.Usage.Details.Cached
	}
	want := map[string]string{}
	for _, q := range same {
		want[q.File], _ = ask(q, `,"cache_prompt":false`)
	}
	for round := range 2 {
		for _, q := range same {
			got, cached := ask(q, "")
			if got != want[q.File] {
				t.Errorf("%s: %q, alone %q", q.File, got, want[q.File])
			}
			if round == 0 && cached > 10 || round == 1 && cached < float64(q.Tokens) {
				t.Errorf("round %d, %s: %v positions were there", round, q.File, cached)
			}
		}
	}
	if seen := m.Stats().Pictures; seen.Encoded != int64(len(same)) {
		t.Errorf("%d pictures were looked at, want %d", seen.Encoded, len(same))
	}
}

// TestToolsReturnPictures that the model sees, in each protocol that has a form for it.
func TestToolsReturnPictures(t *testing.T) {
	_, url := serve(t, Options{})
	q := questions(t)[0]
	for path, body := range map[string]string{
		"/v1/messages": `{"max_tokens":9,"messages":[{"role":"user","content":"Look."},{"role":"assistant","content":[{"type":"tool_use",` +
			`"id":"a","name":"look","input":{}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"a","is_error":%s,` +
			`"content":[{"type":"text","text":"here"},{"type":"image","budget":70,"source":{"type":"base64","media_type":"image/png",` +
			`"data":"` + q.data + `"}}]}]}]}`,
		"/v1/responses": `{"input":[{"role":"user","content":"Look."},{"type":"function_call","call_id":"a","name":"look",` +
			`"arguments":"{}"},{"type":"function_call_output","call_id":"a","output":[{"type":"input_text","text":"%s"},` +
			`{"type":"input_image","budget":70,"image_url":"data:image/png;base64,` + q.data + `"}]}]}`,
		"/v1/chat/completions": `{"max_tokens":9,"messages":[{"role":"user","content":"Look."},{"role":"assistant","tool_calls":[` +
			`{"id":"a","type":"function","function":{"name":"look","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":[` +
			`{"type":"text","text":"%s"},{"type":"image_url","budget":70,"image_url":{"url":"data:image/png;base64,` + q.data + `"}}]}]}`,
		"/api/chat": `{"stream":false,"messages":[{"role":"user","content":"Look."},{"role":"assistant","tool_calls":[{"function":` +
			`{"name":"look","arguments":{}}}]},{"role":"tool","content":"%s","budget":70,"images":["` + q.data + `"]}]}`,
	} {
		for _, word := range []string{"false", "true"} {
			status, text := post(t, url+path, fmt.Sprintf(body, word))
			var used struct {
				Usage struct {
					Input  float64 `json:"input_tokens"`
					Prompt float64 `json:"prompt_tokens"`
				}
				Prompt float64 `json:"prompt_eval_count"`
			}
			json.Unmarshal([]byte(text), &used)
			if n := used.Usage.Input + used.Usage.Prompt + used.Prompt; status != 200 || n < float64(q.Tokens)+20 {
				t.Errorf("%s, %s: %d, %v tokens: %.300s", path, word, status, n, text)
			}
		}
	}
}

// TestDecisionsSee what they are about.
func TestDecisionsSee(t *testing.T) {
	_, url := serve(t, Options{})
	q := questions(t)[1] // What color is the square?
	status, text := post(t, url+"/v1/decide", "{"+ways[0].body(q)+`,"options":["The square is red.","The square is blue."]}`)
	if status != 200 || fields(t, text)["choice"] != q.Answer {
		t.Errorf("%d %s", status, text)
	}
}

// bomb returns a PNG that says it has so many pixels.
func bomb(w, h int) string {
	b := []byte("\x89PNG\r\n\x1a\n")
	chunk := func(kind string, data []byte) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(data)))
		at := len(b)
		b = append(append(b, kind...), data...)
		b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[at:]))
	}
	size := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(w)), uint32(h))
	chunk("IHDR", append(size, 8, 2, 0, 0, 0))
	chunk("IDAT", []byte{0x78, 0x9c})
	return base64.StdEncoding.EncodeToString(b)
}

// TestHostileMediaAreTheClientsErrors in the shape of its protocol, and take no memory.
func TestHostileMediaAreTheClientsErrors(t *testing.T) {
	s, url := serve(t, Options{})
	local := httptest.NewServer(http.NotFoundHandler())
	defer local.Close()
	all := questions(t)
	picture, speech := all[0].data, all[10].data
	text := base64.StdEncoding.EncodeToString([]byte("hello"))
	_, open := serve(t, Options{Fetch: true})
	for _, c := range []struct {
		name, url, data string
		status          int
		want            string
	}{
		{"cut", url, picture[:len(picture)/2+1], 400, "ends too early"},
		{"no base64", url, "<>", 400, "base64"},
		{"text", url, text, 400, "known"},
		{"bomb", url, bomb(50000, 50000), 413, "too large"},
		{"strip", url, bomb(1, 5000000), 400, ""},
		{"no picture", url, bomb(0, 0), 400, ""},
		{"half a picture", url, picture[:len(picture)/8*4], 400, "PNG"},
	} {
		for _, w := range ways {
			body := "{" + w.body(shown{File: "x.png", data: c.data, ask: "What?"}) + "}"
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			status, text := post(t, c.url+w.path, body)
			runtime.ReadMemStats(&after)
			if status != c.status || !strings.Contains(text, c.want) || fields(t, text)["error"] == nil {
				t.Errorf("%s, %s: %d %s, want %d, %q", c.name, w.name, status, text, c.status, c.want)
			}
			if taken := after.TotalAlloc - before.TotalAlloc; taken > 64<<20 {
				t.Errorf("%s, %s: %d bytes were taken", c.name, w.name, taken)
			}
		}
	}
	part := func(part string) string { return `{"messages":[{"role":"user","content":[` + part + `]}]}` }
	refuses(t, url+"/v1/chat/completions", []refusal{
		{part(`{"type":"image_url","image_url":{"url":"https://example.org/a.png"}}`), 400, "messages[0].content[0]",
			"gemma4 serve -fetch"},
		{part(`{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}`), 400, "messages[0].content[0]", "not allowed"},
		{part(`{"type":"image_url","image_url":{"url":7}}`), 400, "messages[0].content[0].image_url.url", "expected a string"},
		{part(`{"type":"image_url","image_url":{}}`), 400, "messages[0].content[0].image_url", "missing"},
		{part(`{"type":"image_url","image_url":{"url":"data:;base64,` + picture + `","detail":"huge"}}`), 400,
			"messages[0].content[0].detail", "expected auto, low or high"},
		{part(`{"type":"image_url","budget":71,"image_url":{"url":"data:;base64,` + picture + `"}}`), 400,
			"messages[0].content[0].budget", "expected one of"},
		{part(`{"type":"image_url","image_url":{"url":"data:;base64,` + speech + `"}}`), 400, "messages[0].content[0]", "not a picture"},
		{part(`{"type":"input_audio","input_audio":{"data":"` + picture + `","format":"wav"}}`), 400, "messages[0].content[0]", "sound"},
		{part(`{"type":"input_audio","input_audio":{"data":"?"}}`), 400, "messages[0].content[0].input_audio.data", "base64"},
		{part(`{"type":"video_url","video_url":{"url":"data:;base64,` + picture + `"}}`), 400, "messages[0].content[0]", "not a video"},
		{part(`{"type":"file","file":{"file_id":"x"}}`), 400, "messages[0].content[0]", "is of type file"},
		{`{"messages":[{"role":"system","content":[{"type":"image_url","image_url":{"url":"data:;base64,` + picture + `"}}]}]}`, 400,
			"messages[0]", "role system"},
	})
	refuses(t, open+"/v1/chat/completions", []refusal{
		{part(`{"type":"image_url","image_url":{"url":"` + local.URL + `"}}`), 400, "messages[0].content[0]", "which are not public"},
		{part(`{"type":"image_url","image_url":{"url":"file:///etc/passwd"}}`), 400, "messages[0].content[0]", "not allowed"},
	})
	if n := s.Stats().Requests; n != 0 {
		t.Errorf("%d requests reached the model", n)
	}
}

// TestModelsWithoutSensesSaySo before anything waits, in the shape of the protocol, and where they are asked what they can.
func TestModelsWithoutSensesSaySo(t *testing.T) {
	m, err := nano.OpenText()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, url := serveModel(t, m, Options{})
	all := questions(t)
	for _, q := range []shown{all[0], all[10]} {
		for _, w := range ways {
			if q.sound() && !w.sound {
				continue
			}
			status, text := post(t, url+w.path, "{"+w.body(q)+"}")
			if status != 400 || !strings.Contains(text, "the model cannot take it in") || !strings.Contains(text, `"error"`) {
				t.Errorf("%s, %s: %d %s", q.File, w.name, status, text)
			}
		}
	}
	if status, text := post(t, url+"/v1/audio/transcriptions", "x"); status != 400 ||
		!strings.Contains(text, "the model cannot take it in") {
		t.Errorf("%d %s", status, text)
	}
	if n := s.Stats().Requests; n != 0 {
		t.Errorf("%d requests reached the model", n)
	}
	_, text := get(t, url+"/props")
	if got := js(t, fields(t, text)["modalities"]); got != `{"audio":false,"vision":false}` || s.o.MaxBody != 32<<20 {
		t.Errorf("modalities %s, bodies of %d bytes", got, s.o.MaxBody)
	}
}

// TestLargeBodiesWaitForAPlace while small ones come through, and are refused if none gets free.
func TestLargeBodiesWaitForAPlace(t *testing.T) {
	s, _ := serve(t, Options{BodyTime: 10 * time.Millisecond})
	ask := func(body string) (int, string) { // without a connection: the time is that of the wait alone
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("POST", "http://localhost/v1/chat/completions", strings.NewReader(body)))
		return w.Code, w.Body.String()
	}
	for range mostLarge {
		s.large <- struct{}{}
	}
	large := chatBody(user(strings.Repeat("x", largeBody)))
	if status, text := ask(large); status != 503 || !strings.Contains(text, "busy") {
		t.Errorf("%d %.300s", status, text)
	}
	if status, text := ask(chatBody(user(capital), cold)); status != 200 {
		t.Errorf("%d %s", status, text)
	}
	<-s.large
	for range 3 { // each gives its place back
		if status, text := ask(large); status != 400 || !strings.Contains(text, "context_length") {
			t.Errorf("%d %.300s", status, text)
		}
	}
	if len(s.large) != mostLarge-1 || len(s.decoding) != 0 {
		t.Errorf("%d places are taken", len(s.large))
	}
}

// TestVideosAreSeen frame by frame, and what is not seen of them is told in a header.
func TestVideosAreSeen(t *testing.T) {
	_, url := serve(t, Options{})
	data, err := os.ReadFile("../media/testdata/videos/sound.mov")
	if err != nil {
		t.Fatal(err)
	}
	body := chatBody(`{"role":"user","content":[{"type":"video_url","video_url":{"url":"data:video/quicktime;base64,` +
		base64.StdEncoding.EncodeToString(data) + `"}}]}`)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/tokenize", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct{ Count int }
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if note := resp.Header.Get("X-Media-Note"); got.Count < 40 ||
		note != "messages[0].content[0]: the video has sound, which is not heard" {
		t.Errorf("%d tokens, note %q", got.Count, note)
	}
}
