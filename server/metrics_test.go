package server

import (
	"bufio"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// samples reads metrics in the text format: each type, and each value by its name with labels.
func samples(t *testing.T, text string) (types map[string]string, values map[string]float64) {
	t.Helper()
	types, values = map[string]string{}, map[string]float64{}
	line := regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)((?:\{[^{}]*\})?) (\S+)$`)
	for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "# TYPE "); ok {
			name, kind, _ := strings.Cut(rest, " ")
			types[name] = kind
			continue
		} else if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		found := line.FindStringSubmatch(s.Text())
		if found == nil {
			t.Fatalf("no sample: %q", s.Text())
		}
		v, err := strconv.ParseFloat(found[3], 64)
		if err != nil {
			t.Fatal(err)
		}
		values[found[1]+found[2]] = v
	}
	return types, values
}

func TestMetricsCountWhatHappens(t *testing.T) {
	_, url := serve(t, Options{Names: []string{"nano"}})
	body := `{"messages":[{"role":"user","content":"` + capital + `"}],"temperature":0`
	for _, end := range []string{"}", `,"stream":true}`, `,"max_tokens":2}`, `,"seed":"seven"}`,
		`,"response_format":{"type":"json_object"}}`, `,"grammar":"root = "}`} {
		post(t, url+"/v1/chat/completions", body+end)
	}
	post(t, url+"/v1/embeddings", `{"input":["a","b"]}`)
	post(t, url+"/tokenize", `{"content":"a"}`)
	status, text := get(t, url+"/metrics")
	types, got := samples(t, text)
	if status != 200 {
		t.Fatal(status)
	}
	for name, kind := range map[string]string{
		"gemma4_requests_running": "gauge", "gemma4_requests_waiting": "gauge", "gemma4_slots": "gauge", "gemma4_kv_bytes": "gauge",
		"gemma4_kv_usage_ratio": "gauge", "gemma4_step_seconds_last": "gauge",
		"gemma4_step_seconds_running": "gauge",
		"gemma4_prompt_tokens_total":  "counter", "gemma4_prompt_tokens_cached_total": "counter",
		"gemma4_generation_tokens_total": "counter",
		"gemma4_forced_tokens_total":     "counter", "gemma4_requests_total": "counter", "gemma4_model_bytes_read_total": "counter",
		"gemma4_time_to_first_token_seconds": "histogram", "gemma4_inter_token_seconds": "histogram", "gemma4_queue_seconds": "histogram",
		"gemma4_prompt_seconds": "histogram", "gemma4_request_seconds": "histogram", "gemma4_prompt_tokens": "histogram",
		"gemma4_generation_tokens": "histogram", "gemma4_mask_seconds": "histogram", "gemma4_batch_rows": "summary",
	} {
		if types[name] != kind {
			t.Errorf("%s is of type %q, want %s", name, types[name], kind)
		}
	}
	for name, want := range map[string]float64{
		`gemma4_requests_total{endpoint="/v1/chat/completions",model="nano",reason="stop"}`:     3,
		`gemma4_requests_total{endpoint="/v1/chat/completions",model="nano",reason="length"}`:   1,
		`gemma4_requests_total{endpoint="/v1/chat/completions",model="nano",reason="rejected"}`: 2,
		`gemma4_generation_tokens_count{model="nano"}`:                                          4,
		`gemma4_time_to_first_token_seconds_count{model="nano"}`:                                4,
		`gemma4_grammar_compiles_total{model="nano",result="ok"}`:                               1,
		`gemma4_grammar_compiles_total{model="nano",result="refused"}`:                          1,
		`gemma4_queue_seconds_count{model="nano"}`:                                              5, // and one for embeddings
		`gemma4_request_seconds_count{model="nano"}`:                                            5,
		`gemma4_requests_running{model="nano"}`:                                                 0,
		`gemma4_slots{model="nano"}`:                                                            8,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	sum, each := got[`gemma4_generation_tokens_sum{model="nano"}`], got[`gemma4_generation_tokens_total{model="nano"}`]
	read, passes := got[`gemma4_model_bytes_read_total{model="nano"}`], got[`gemma4_batch_rows_count{model="nano"}`]
	if sum != each || sum < 4 || read <= 0 || passes <= 0 {
		t.Errorf("%v tokens in the histogram, %v counted:\n%s", sum, each, text)
	}
}

func TestMetricsHaveVLLMsNamesIfWanted(t *testing.T) {
	for _, wanted := range []bool{false, true} {
		_, url := serve(t, Options{VLLMMetrics: wanted, Names: []string{"nano"}})
		_, text := get(t, url+"/metrics")
		types, values := samples(t, text)
		for name, kind := range map[string]string{
			"vllm:num_requests_running": "gauge", "vllm:num_requests_waiting": "gauge", "vllm:kv_cache_usage_perc": "gauge",
			"vllm:spec_decode_num_drafts_total": "counter", "vllm:spec_decode_num_draft_tokens_total": "counter",
			"vllm:spec_decode_num_accepted_tokens_total": "counter",
		} {
			_, there := values[name+`{model_name="nano"}`]
			if there != wanted || wanted && types[name] != kind {
				t.Errorf("%s there: %v, of type %q", name, there, types[name])
			}
		}
	}
}
