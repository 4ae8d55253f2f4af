package server

import (
	"time"

	"github.com/gogemma/gemma4"
)

// count is how many tokens a request took.
type count struct {
	prompt  int // all of it,
	cached  int // and what of it need not be read
	written int // in all answers,
	thought int // and what of these were thoughts
}

// countOf counts the tokens of answers to one prompt.
func countOf(answers []*answer) (c count) {
	for i, a := range answers {
		if a == nil {
			continue
		}
		if r := a.result; i == 0 && r != nil {
			c.prompt, c.cached = r.Prompt+r.Reused, r.Reused
		}
		c.written += a.written
		c.thought += a.thought
	}
	return c
}

// usage is a count as OpenAI's chat completions tell it.
type usage struct {
	Prompt        int               `json:"prompt_tokens"`
	Completion    int               `json:"completion_tokens"`
	Total         int               `json:"total_tokens"`
	PromptDetails promptDetails     `json:"prompt_tokens_details"`
	Details       completionDetails `json:"completion_tokens_details"`
}

type promptDetails struct {
	Cached int `json:"cached_tokens"`
	Audio  int `json:"audio_tokens,omitempty"`
	Images int `json:"image_tokens,omitempty"` // those of videos among them
}

// completionDetails are told of guessed tokens where the request has a prediction, since its text was looked up, too.
type completionDetails struct {
	Reasoning int  `json:"reasoning_tokens"`
	Accepted  *int `json:"accepted_prediction_tokens,omitempty"`
	Rejected  *int `json:"rejected_prediction_tokens,omitempty"`
}

func (c count) usage() *usage {
	return &usage{c.prompt, c.written, c.prompt + c.written, promptDetails{Cached: c.cached}, completionDetails{Reasoning: c.thought}}
}

// predicted counts the tokens that were guessed in answers.
func (d *completionDetails) predicted(answers []*answer) {
	d.Accepted, d.Rejected = new(int), new(int)
	for _, a := range answers {
		if a != nil && a.result != nil {
			drafted, accepted := guessed(a.result)
			*d.Accepted += accepted
			*d.Rejected += drafted - accepted
		}
	}
}

// guessed returns how many tokens were guessed ahead in an answer, and how many of them it has.
func guessed(r *gemma4.Result) (drafted, accepted int) {
	for _, d := range r.Drafts {
		drafted += int(d.Drafted)
		accepted += int(d.Accepted)
	}
	return drafted, accepted
}

// timings are how long an answer took, as llama.cpp tells it. Times are milliseconds.
type timings struct {
	CacheN             int     `json:"cache_n"`
	PromptN            int     `json:"prompt_n"`
	PromptMS           float64 `json:"prompt_ms"`
	PromptPerToken     float64 `json:"prompt_per_token_ms"`
	PromptPerSecond    float64 `json:"prompt_per_second"`
	PredictedN         int     `json:"predicted_n"`
	PredictedMS        float64 `json:"predicted_ms"`
	PredictedPerToken  float64 `json:"predicted_per_token_ms"`
	PredictedPerSecond float64 `json:"predicted_per_second"`
	DraftN             int     `json:"draft_n,omitempty"` // guessed ahead and checked,
	DraftAccepted      *int    `json:"draft_n_accepted,omitempty"`
}

// timingsOf returns the timings of an answer that has ended.
func timingsOf(r *gemma4.Result) *timings {
	t := newTimings(r.Reused, r.Prompt, r.Generated, r.PromptTime, r.GenerateTime)
	if drafted, accepted := guessed(r); drafted > 0 {
		t.DraftN, t.DraftAccepted = drafted, &accepted
	}
	return t
}

func newTimings(cached, read, written int, reading, writing time.Duration) *timings {
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	per := func(d time.Duration, n int) float64 {
		if n <= 0 {
			return 0
		}
		return ms(d) / float64(n)
	}
	speed := func(d time.Duration, n int) float64 {
		if d <= 0 {
			return 0
		}
		return float64(n) / d.Seconds()
	}
	return &timings{CacheN: cached, PromptN: read, PromptMS: ms(reading), PromptPerToken: per(reading, read),
		PromptPerSecond: speed(reading, read), PredictedN: written, PredictedMS: ms(writing),
		PredictedPerToken: per(writing, written-1), PredictedPerSecond: speed(writing, written-1)} // the first token is the prompt's
}
