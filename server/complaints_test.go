package server

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// What users of other servers complained about, a test for each, through HTTP: go test ./server -run Complaint. Those about what a model
// writes are in the package above.

var requests = flag.Int("requests", 0, "how many requests the tests of many at once send; 0: a few")

// many returns how many requests a test of many at once sends.
func many(few int) int {
	switch {
	case *requests > 0:
		return *requests
	case testing.Short():
		return few / 4
	}
	return few
}

// body is a request of any endpoint.
type body struct{ path, text string }

// randomBody returns a request whose answer is always the same. There are few prompts, so that they share beginnings.
func randomBody(r *rand.Rand) body {
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	prompt := pick(capital, "Count from 5 to 9.", "What is the capital of Japan?", "What is 'cat' in French?", "What is 3 plus 4?")
	system := pick("", `{"role":"system","content":"You are a parrot that lives in a library and has read all of its books, twice."},`)
	messages := `"messages":[` + system + `{"role":"user","content":"` + prompt + `"}]`
	draw := pick(`"temperature":0`, fmt.Sprintf(`"temperature":1.5,"seed":%d`, r.IntN(9)))
	most := 1 + r.IntN(24)
	stream := pick("true", "false")
	schema := `{"type":"object","properties":{"a":{"type":"string","maxLength":8},"b":{"type":"integer"}},"required":["a","b"]}`
	switch r.IntN(14) {
	case 0, 1, 2:
		form := pick("", tellsWeather, `,"response_format":{"type":"json_schema","json_schema":{"name":"x","schema":`+schema+`}}`,
			`,"logprobs":true,"top_logprobs":2`)
		if r.IntN(5) == 0 { // as a stream they come in any order
			stream, form = "false", `,"n":2`
		}
		return body{"/v1/chat/completions", fmt.Sprintf(`{%s,%s,"max_tokens":%d,"stream":%s%s}`, messages, draw, most, stream, form)}
	case 3:
		return body{"/v1/completions", fmt.Sprintf(`{"prompt":"%s",%s,"max_tokens":%d,"stream":%s}`, prompt, draw, most, stream)}
	case 4:
		return body{"/v1/embeddings", fmt.Sprintf(`{"input":["%s","x"],"encoding_format":"%s"}`, prompt, pick("float", "base64"))}
	case 5:
		return body{"/v1/decide", `{` + messages + `,"options":["Paris","` + paris + `","no"]}`}
	case 6:
		return body{"/tokenize", `{"content":"` + prompt + `","with_pieces":true}`}
	case 7:
		return body{"/api/generate", fmt.Sprintf(`{"prompt":"%s","stream":%s,"options":{%s,"num_predict":%d}}`, prompt, stream, draw, most)}
	case 8:
		return body{"/api/embed", `{"input":"` + prompt + `"}`}
	case 9, 10:
		form := pick("", `,"system":"Be brief."`, `,"thinking":{"type":"enabled","budget_tokens":1024}`,
			`,"tools":[{"name":"weather","input_schema":`+schema+`}],"tool_choice":{"type":"any"}`,
			`,"output_config":{"format":{"type":"json_schema","schema":`+schema+`}}`)
		return body{"/v1/messages", fmt.Sprintf(`{"messages":[{"role":"user","content":"%s"}],%s,"max_tokens":%d,"stream":%s%s}`, prompt,
			draw, most+15, stream, form)} // a call has 15 tokens at least
	case 11, 12:
		form := pick("", `,"instructions":"Be brief."`, `,"reasoning":{"effort":"low"}`,
			`,"tools":[{"type":"function","name":"weather","parameters":`+schema+`}],"tool_choice":"required"`,
			`,"text":{"format":{"type":"json_schema","name":"x","schema":`+schema+`}}`)
		return body{"/v1/responses", fmt.Sprintf(`{"input":"%s",%s,"max_output_tokens":%d,"stream":%s%s}`, prompt, draw, most+15, stream,
			form)}
	}
	return body{"/api/chat", fmt.Sprintf(`{%s,"stream":%s,"options":{%s,"num_predict":%d}%s}`, messages, stream, draw, most,
		pick("", tellsWeather))}
}

// differs is what may differ between two answers to one request: names, times, and what others have read before.
var differs = regexp.MustCompile(`"(id|created_at|item_id|call_id)":"[^"]*"|"(created|[a-z]+_at|[a-z_]*duration)":\d+|` +
	`"cached_tokens":\d+|"input_tokens":\d+,"cache_creation_input_tokens":0,"cache_read_input_tokens":\d+|"timings":\{[^}]*\}`)

// quiet is a Ping that never comes: when one does is up to the machine.
const quiet = time.Hour

// send posts a request and returns what may not differ of the answer.
func (b body) send(ctx context.Context, url string) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+b.path, strings.NewReader(b.text))
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return fmt.Sprint(resp.StatusCode, " ", differs.ReplaceAllString(string(text), "")), err
}

// solo returns the answer to each of some requests that have the server for themselves.
func solo(t *testing.T, url string, list []body) map[body]string {
	t.Helper()
	alone := map[body]string{}
	for _, b := range list {
		if alone[b] != "" {
			continue
		}
		text, err := b.send(t.Context(), url)
		if err != nil || !strings.HasPrefix(text, "200") {
			t.Fatalf("%v: %v: %s", b, err, text)
		}
		alone[b] = text
	}
	return alone
}

// together sends requests, so many at a time, and looks at the answers.
func together(t *testing.T, url string, list []body, atOnce int, look func(b body, text string)) {
	t.Helper()
	work := make(chan body)
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for b := range work {
				text, err := b.send(t.Context(), url)
				if err != nil {
					t.Errorf("%v: %v", b, err)
				}
				look(b, text)
			}
		})
	}
	for _, b := range list {
		work <- b
	}
	close(work)
	all.Wait()
}

// TestComplaint21AnAnswerHoldsNothingOfOthers sends requests of all kinds at once, to a server that shares what it has read: each answer
// has the bytes that it has when there is nobody else, and nothing read before.
//
//	go test -race ./server -run Complaint21 -requests 1000
func TestComplaint21AnAnswerHoldsNothingOfOthers(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	list := make([]body, many(60))
	for i := range list {
		list[i] = randomBody(r)
	}
	_, url := serve(t, Options{Ping: quiet})
	alone := solo(t, url, list)
	cache := gemma4.NewPrefixCache(1 << 22)
	defer cache.Close()
	s, url := serve(t, Options{Ping: quiet, Queue: gemma4.QueueOptions{Prefixes: cache}})
	together(t, url, list, 8, func(b body, text string) {
		if text != alone[b] {
			t.Errorf("%v:\n%s\nalone:\n%s", b, text, alone[b])
		}
	})
	if s.q.Stats().Reused == 0 {
		t.Error("nothing was shared")
	}
}

// TestComplaint22AnswersEndTogether: short answers that are written at the same time all end their turns.
func TestComplaint22AnswersEndTogether(t *testing.T) {
	_, url := serve(t, Options{Ping: quiet})
	var list []body
	for i := range many(40) {
		question := []string{capital, "What is the capital of Japan?", "What is 3 plus 4?", "What is 'cat' in French?"}[i%4]
		list = append(list, body{"/v1/chat/completions", `{"temperature":0,"messages":[{"role":"user","content":"` + question + `"}]}`})
	}
	alone := solo(t, url, list)
	together(t, url, list, 8, func(b body, text string) {
		if text != alone[b] || !strings.Contains(text, `"finish_reason":"stop"`) {
			t.Errorf("%v:\n%s\nalone:\n%s", b, text, alone[b])
		}
	})
}

// endless returns the body of a stream that never ends by itself.
func endless(s *Server, prompt string) string {
	var ends []string
	for _, id := range s.m.Tokenizer().Ends() {
		ends = append(ends, fmt.Sprintf("[%d,false]", id))
	}
	return `{"stream":true,"max_tokens":1000000,"logit_bias":[` + strings.Join(ends, ",") + `],"messages":[{"role":"user","content":"` +
		prompt + `"}]}`
}

// open begins a stream and returns its lines; close leaves it.
func open(t *testing.T, url, text string) (lines *bufio.Reader, leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(resp.Body), func() { cancel(); resp.Body.Close() }
}

// long returns words that make a prompt of as many tokens, or a few more.
func long(s *Server, tokens int) string {
	words := "one two three four five "
	return strings.Repeat(words, tokens/len(s.m.Tokenizer().Encode(words, false)))
}

// untilContent reads lines of a stream until one has content.
func untilContent(t *testing.T, lines *bufio.Reader) {
	t.Helper()
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(line, `"content":"`) {
			return
		}
	}
}

// TestComplaint23WhoeverLeavesEndsAndNobodyElse has clients leave in line, in their prompts and in their answers.
func TestComplaint23WhoeverLeavesEndsAndNobodyElse(t *testing.T) {
	s, url := serveModel(t, roomy(t), Options{Queue: gemma4.QueueOptions{Slots: 2}})
	url += "/v1/chat/completions"
	stays, leave := open(t, url, endless(s, capital))
	defer leave()
	untilContent(t, stays)

	writes, leave := open(t, url, endless(s, "Count from 1 to 30."))
	untilContent(t, writes)
	_, leaveLine := open(t, url, endless(s, "x"))
	await(t, func() bool { return s.q.Stats().Waiting == 1 })
	leaveLine()
	await(t, func() bool { q := s.q.Stats(); return q.Waiting == 0 && q.Left == 1 })
	if n := s.q.Stats().Running; n != 2 {
		t.Errorf("%d slots are taken: who waited was none of them", n)
	}
	leave()
	await(t, func() bool { return s.q.Stats().Running == 1 })
	untilContent(t, stays)

	_, leave = open(t, url, endless(s, long(s, 120000))) // which takes many seconds
	reads := func() gemma4.Slot {
		return slices.MaxFunc(s.q.Slots(), func(a, b gemma4.Slot) int { return a.Prompt - b.Prompt })
	}
	await(t, func() bool { return reads().Prompt > 1000 && reads().Read > 0 })
	before := reads()
	leave()
	await(t, func() bool { return s.q.Stats().Running == 1 })
	if n := s.q.Stats().Prompt; before.State == gemma4.SlotPrefill && before.Read < before.Prompt/2 && n > int64(before.Prompt)-512 {
		t.Errorf("%d positions were read, of a prompt of %d that was left at %d", n, before.Prompt, before.Read)
	}
	for range 3 {
		untilContent(t, stays)
	}
}

// outside are the endpoints that never wait for the engine.
var outside = []string{"/health", "/v1/health", "/livez", "/metrics", "/slots", "/props", "/version", "/v1/models", "/api/tags", "/api/ps",
	"/api/version", "/"}

// answersSoon asks all of them, each of which has to answer while the engine has something else to do.
func answersSoon(t *testing.T, url string) {
	t.Helper()
	client := http.Client{Timeout: time.Minute}
	for _, path := range outside {
		resp, err := client.Get(url + path)
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("%s: status %d", path, resp.StatusCode)
		}
	}
	resp, err := client.Post(url+"/tokenize", "application/json", strings.NewReader(`{"content":"x"}`))
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("/tokenize: %v", err)
	}
	resp.Body.Close()
}

// TestComplaint24TheServerIsSeenWhileItsEngineIsStuck: a callback that does not return holds the pass of a prompt.
func TestComplaint24TheServerIsSeenWhileItsEngineIsStuck(t *testing.T) {
	s, url := serve(t, Options{Queue: gemma4.QueueOptions{Slots: 1, Waiting: 1}})
	stuck, release := make(chan bool), make(chan bool)
	var o gemma4.ChatOptions
	once := false
	o.Batch, o.Progress = 16, func(done, total int) {
		if !once {
			once = true
			close(stuck)
			<-release
		}
	}
	ended := make(chan error)
	go func() {
		ended <- s.q.Do(t.Context(), o, func(ctx context.Context, c *gemma4.Chat) error {
			return c.Session().Read(ctx, gemma4.Input{Tokens: slices.Repeat([]int32{s.m.Tokenizer().BOS()}, 64)})
		})
	}()
	<-stuck
	_, leave := open(t, url+"/v1/chat/completions", endless(s, capital)) // the line is full
	answersSoon(t, url)
	if status, text := post(t, url+"/v1/chat/completions", `{"messages":[{"role":"user","content":"x"}]}`); status != 429 {
		t.Errorf("status %d: %s", status, text)
	}
	leave()
	close(release)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// readsLong has a server with a roomy model begin with a prompt that takes it many seconds. What it returns sees to it that the prompt has
// not been read yet.
func readsLong(t *testing.T, s *Server, url string) (still func()) {
	t.Helper()
	_, leave := open(t, url+"/v1/chat/completions", endless(s, long(s, 120000)))
	t.Cleanup(leave)
	await(t, func() bool { return s.q.Slots()[0].Read > 0 })
	return func() {
		t.Helper()
		if first := s.q.Slots()[0]; first.State != gemma4.SlotPrefill || first.Read == first.Prompt {
			t.Errorf("of the long prompt %d of %d positions were read first", first.Read, first.Prompt)
		}
	}
}

// TestComplaint25HealthAnswersWhileAPromptIsRead: nobody waits for the end of a long prompt.
func TestComplaint25HealthAnswersWhileAPromptIsRead(t *testing.T) {
	s, url := serveModel(t, roomy(t), Options{})
	still := readsLong(t, s, url)
	answersSoon(t, url)
	still()
}

// TestComplaint26AShortPromptDoesNotWaitForALongOne: whoever comes while a long prompt is read is answered before that.
func TestComplaint26AShortPromptDoesNotWaitForALongOne(t *testing.T) {
	s, url := serveModel(t, roomy(t), Options{})
	still := readsLong(t, s, url)
	status, text := post(t, url+"/v1/chat/completions", `{"max_tokens":1,"messages":[{"role":"user","content":"`+capital+`"}]}`)
	still()
	if status != 200 {
		t.Errorf("status %d: %s", status, text)
	}
}

// TestComplaint27StreamsAreNeverSilent: they ping from when they are taken on, in line and in prompts.
func TestComplaint27StreamsAreNeverSilent(t *testing.T) {
	_, url := serveBlocked(t, Options{Ping: time.Millisecond})
	for path, text := range map[string]string{
		"/v1/chat/completions": `{"stream":true,"messages":[{"role":"user","content":"x"}]}`,
		"/v1/completions":      `{"stream":true,"prompt":"x"}`,
		"/v1/responses":        `{"stream":true,"input":"x"}`,
		"/v1/messages":         `{"stream":true,"max_tokens":9,"messages":[{"role":"user","content":"x"}]}`,
		"/api/chat":            `{"messages":[{"role":"user","content":"x"}]}`,
		"/api/generate":        `{"prompt":"x"}`,
	} {
		lines, leave := open(t, url+path, text)
		for pings := 0; pings < 3; {
			line, err := lines.ReadString('\n')
			if err != nil || strings.HasPrefix(line, `{"error"`) || strings.HasPrefix(line, `{"type":"error"`) {
				t.Errorf("%s: %v: %s", path, err, line)
				break
			}
			if strings.HasPrefix(line, ":") || strings.Contains(line, "ping") || strings.HasPrefix(line, `{"model"`) {
				pings++
			}
		}
		leave()
	}
}

// TestComplaint32PagesOfOthersReachNothing: neither a page that asks from elsewhere, nor one whose name was made to point here.
func TestComplaint32PagesOfOthersReachNothing(t *testing.T) {
	_, url := serve(t, Options{Origins: []string{"app://obsidian.md"}, Hosts: []string{"gemma.example"}})
	host := strings.TrimPrefix(url, "http://")
	for _, path := range slices.Concat(outside, []string{"/v1/chat/completions", "/v1/embeddings", "/api/chat", "/nowhere"}) {
		for _, test := range []struct {
			field string
			taken bool
		}{
			{"Origin: https://evil.example", false},
			{"Origin: null", false},
			{"Origin: http://localhost.evil.example", false},
			{"Host: evil.example", false},
			{"Host: evil.example:8080", false},
			{"Host: localhost.evil.example", false},
			{"Host: gemma.example", true},
			{"Host: localhost:1", true},
			{"Origin: app://obsidian.md", true},
			{"Origin: http://" + host, true},
		} {
			for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodOptions} {
				r, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader(""))
				if err != nil {
					t.Fatal(err)
				}
				name, value, _ := strings.Cut(test.field, ": ")
				if r.Header.Set(name, value); name == "Host" {
					r.Host = value
				}
				resp, err := http.DefaultClient.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				allowed := resp.Header.Get("Access-Control-Allow-Origin")
				if taken := resp.StatusCode != http.StatusForbidden; taken != test.taken || !test.taken && allowed != "" ||
					test.taken && name == "Origin" && allowed != value {
					t.Errorf("%s %s, %s: status %d, allowed %q", method, path, test.field, resp.StatusCode, allowed)
				}
			}
		}
	}
}

// TestComplaint19AnAgentReadsWhatIsNew is an agent of 30 turns, with tools that are called: what each turn reads is what lies behind the
// beginning that its prompt and the one before have in common, and cached_tokens says so.
func TestComplaint19AnAgentReadsWhatIsNew(t *testing.T) {
	cache := gemma4.NewPrefixCache(64 << 20)
	defer cache.Close()
	s, url := serve(t, Options{Queue: gemma4.QueueOptions{Prefixes: cache}})
	messages := []any{map[string]any{"role": "system", "content": "Be brief."}}
	var before []int32
	read, behind := 0, 0
	for turn := range 30 {
		city := []string{"Oslo", "Paris", "Rome", "Cairo"}[turn%4]
		choice := "auto"
		if last := messages[len(messages)-1].(map[string]any); last["tool_calls"] != nil {
			for _, c := range last["tool_calls"].([]any) {
				id := c.(map[string]any)["id"]
				messages = append(messages, map[string]any{"role": "tool", "tool_call_id": id,
					"content": fmt.Sprintf(`{"temperature": %d, "sky": "rain"}`, turn)})
			}
		} else {
			choice = "required"
			messages = append(messages, map[string]any{"role": "user", "content": "What is the weather in " + city + "?"})
		}
		asked := js(t, map[string]any{"messages": messages, "temperature": 0, "max_tokens": 40, "tool_choice": choice,
			"parallel_tool_calls": false})
		text := strings.TrimSuffix(asked, "}") + tellsWeather + "}"
		var conversation chat.Conversation
		if err := json.Unmarshal([]byte(text), &conversation); err != nil {
			t.Fatal(err)
		}
		prompt, err := s.m.Prompt(t.Context(), conversation)
		if err != nil {
			t.Fatal(err)
		}
		common := 0
		for common < min(len(before), len(prompt)) && before[common] == prompt[common] {
			common++
		}
		var got struct {
			Choices []struct{ Message map[string]any }
			Usage   usage
		}
		ask(t, url+"/v1/chat/completions", text, &got)
		if got.Usage.Prompt != len(prompt) {
			t.Fatalf("turn %d: a prompt of %d tokens, told %d", turn, len(prompt), got.Usage.Prompt)
		}
		read, behind, before = read+got.Usage.Prompt-got.Usage.PromptDetails.Cached, behind+len(prompt)-common, prompt
		messages = append(messages, got.Choices[0].Message)
	}
	calls := strings.Count(js(t, messages), `"tool_calls":[`)
	t.Logf("%d tokens were read, %d lay behind the common beginnings; %d calls", read, behind, calls)
	if float64(read) > 1.05*float64(behind) || calls < 5 {
		t.Errorf("%d tokens were read, %d lay behind the common beginnings; %d calls", read, behind, calls)
	}
}
