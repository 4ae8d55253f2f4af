package deploy

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
	"github.com/gogemma/gemma4/server"
)

// What the files tell an endpoint picker to look at, in the words of its extractor.
var specs = regexp.MustCompile(`(queuedRequestsSpec|runningRequestsSpec|kvUsageSpec): (\S+)`)

// vllm are the names that pickers look for if nobody tells them any.
var vllm = map[string]string{
	"queuedRequestsSpec":  "vllm:num_requests_waiting",
	"runningRequestsSpec": "vllm:num_requests_running",
	"kvUsageSpec":         "vllm:kv_cache_usage_perc",
}

// gauges reads /metrics: the values of those metrics that are gauges with one series.
func gauges(t *testing.T, url string) map[string]float64 {
	t.Helper()
	res, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
		t.Fatalf("/metrics: %v, Content-Type %q", err, res.Header.Get("Content-Type"))
	}
	all, gauge := map[string]float64{}, ""
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		switch {
		case len(words) == 4 && words[1] == "TYPE":
			if gauge = ""; words[3] == "gauge" {
				gauge = words[2]
			}
		case gauge != "" && len(words) > 1 && (words[0] == gauge || strings.HasPrefix(words[0], gauge+"{")):
			v, err := strconv.ParseFloat(words[len(words)-1], 64)
			if _, twice := all[gauge]; err != nil || twice {
				t.Errorf("%s: %v, or a second series", line, err)
			}
			all[gauge] = v
		}
	}
	return all
}

// The model server protocol of the Gateway API's inference extension: queued and running requests and the use of the cache are gauges,
// under the names that the files in here give a picker and, if wanted, under vLLM's.
func TestMetricsAreThoseThatPickersLookAt(t *testing.T) {
	m, err := nano.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := server.New(m, server.Options{Queue: gemma4.QueueOptions{Slots: 1}, VLLMMetrics: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := httptest.NewServer(s)
	defer h.Close()
	names := []map[string]string{vllm}
	for _, file := range []string{"kubernetes/inference-pool.yaml", "llm-d/config.yaml"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		own := map[string]string{}
		for _, found := range specs.FindAllStringSubmatch(string(text), -1) {
			own[found[1]] = found[2]
		}
		if len(own) != len(vllm) {
			t.Errorf("%s names %v, want three metrics", file, own)
		}
		names = append(names, own)
	}
	holds := func(when string, waiting, running float64, used bool) {
		t.Helper()
		for end := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
			got, wrong := gauges(t, h.URL), ""
			for _, n := range names {
				usage, there := got[n["kvUsageSpec"]]
				if got[n["queuedRequestsSpec"]] != waiting || got[n["runningRequestsSpec"]] != running ||
					!there || usage > 1 || usage > 0 != used {
					wrong = fmt.Sprintf("%s: %v of %v, want %v waiting, %v running", when, n, got, waiting, running)
				}
			}
			if wrong == "" {
				return
			}
			if time.Now().After(end) {
				t.Fatal(wrong)
			}
		}
	}
	holds("before", 0, 0, false)
	ctx, leave := context.WithCancel(t.Context())
	defer leave()
	var running sync.WaitGroup
	for range 3 {
		running.Go(func() {
			for ctx.Err() == nil { // again where an answer ended before the others had come
				q, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL+"/v1/completions",
					strings.NewReader(`{"prompt":"a","max_tokens":2000,"grammar":"root ::= [a-z]{2000}"}`))
				if err != nil {
					t.Error(err)
					return
				}
				q.Header.Set("Content-Type", "application/json")
				res, err := http.DefaultClient.Do(q)
				if err != nil {
					if ctx.Err() == nil {
						t.Error(err)
					}
					return
				}
				res.Body.Close()
			}
		})
	}
	holds("under load", 2, 1, true)
	leave()
	running.Wait()
	holds("after", 0, 0, false)
}
