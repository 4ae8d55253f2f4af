package server

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"

	"github.com/gogemma/gemma4/sampler"
)

// sampling are the fields of a request that say how tokens are chosen, by the names that OpenAI, llama.cpp and vLLM have for them.
type sampling struct {
	Temperature       *float64        `json:"temperature"`
	TopK              *whole          `json:"top_k"`
	TopP              *float64        `json:"top_p"`
	MinP              *float64        `json:"min_p"`
	Typical           *float64        `json:"typical_p"`
	RepeatPenalty     *float64        `json:"repeat_penalty"`
	RepetitionPenalty *float64        `json:"repetition_penalty"`
	RepeatLastN       *whole          `json:"repeat_last_n"`
	FrequencyPenalty  *float64        `json:"frequency_penalty"`
	PresencePenalty   *float64        `json:"presence_penalty"`
	LogitBias         json.RawMessage `json:"logit_bias"`
	Seed              json.RawMessage `json:"seed"`
}

// overrides returns what the fields change. The context is for penalties that look back on all of it.
func (f sampling) overrides(vocabulary, context int) (o sampler.Overrides, err error) {
	for _, field := range []struct {
		name        string
		value       *float64
		least, most float64
	}{
		{"temperature", f.Temperature, 0, math.MaxFloat32},
		{"top_p", f.TopP, 0, 1},
		{"min_p", f.MinP, 0, 1},
		{"typical_p", f.Typical, 0, 1},
		{"repeat_penalty", f.RepeatPenalty, 0, math.MaxFloat32},
		{"repetition_penalty", f.RepetitionPenalty, 0, math.MaxFloat32},
		{"frequency_penalty", f.FrequencyPenalty, -math.MaxFloat32, math.MaxFloat32},
		{"presence_penalty", f.PresencePenalty, -math.MaxFloat32, math.MaxFloat32},
	} {
		if v := field.value; v != nil && (*v < field.least || *v > field.most) {
			return o, bad(field.name, "%s is %v, expected %.2g to %.2g", field.name, *v, field.least, field.most)
		}
	}
	o = sampler.Overrides{Temperature: f.Temperature, TopP: f.TopP, MinP: f.MinP, Typical: f.Typical, RepeatPenalty: f.RepeatPenalty,
		FrequencyPenalty: f.FrequencyPenalty, PresencePenalty: f.PresencePenalty}
	if f.RepeatPenalty == nil {
		o.RepeatPenalty = f.RepetitionPenalty
	}
	if f.TopP != nil && *f.TopP == 0 { // of the sampler it would ask for all
		o.TopP = new(math.SmallestNonzeroFloat64)
	}
	if f.TopK != nil {
		o.TopK = new(max(0, int(*f.TopK))) // −1 is vLLM's word for all
	}
	switch n := f.RepeatLastN.or(1); {
	case n == 0:
		o.RepeatPenalty, o.FrequencyPenalty, o.PresencePenalty = new(1.0), new(0.0), new(0.0)
	case n < 0:
		o.PenaltyWindow = &context
	case f.RepeatLastN != nil:
		o.PenaltyWindow = new(min(n, context))
	}
	if o.Seed, err = f.seed(); err != nil {
		return o, err
	}
	o.Bias, err = bias(f.LogitBias, vocabulary)
	return o, err
}

// seed returns the seed, nil where each answer draws its own: −1 is llama.cpp's word for that.
func (f sampling) seed() (*uint64, error) {
	if !present(f.Seed) || string(f.Seed) == "-1" {
		return nil, nil
	}
	if n, err := strconv.ParseUint(string(f.Seed), 10, 64); err == nil {
		return &n, nil
	}
	var n whole
	if err := n.UnmarshalJSON(f.Seed); err != nil {
		return nil, bad("seed", "seed is %s, expected a whole number", f.Seed)
	}
	return new(uint64(n)), nil
}

// bias reads what is added to the logits of tokens: {"15043": -100}, or llama.cpp's [[15043, -100], [2, false]], where false rules a token
// out.
func bias(text json.RawMessage, vocabulary int) (map[int32]float32, error) {
	type pair struct{ id, add json.RawMessage }
	var pairs []pair
	switch {
	case len(text) == 0 || string(text) == "null":
		return nil, nil
	case text[0] == '{':
		var object map[string]json.RawMessage
		if err := decodeAt("logit_bias", text, &object); err != nil {
			return nil, err
		}
		for id, add := range object {
			pairs = append(pairs, pair{json.RawMessage(id), add})
		}
	default:
		var list [][2]json.RawMessage
		if err := decodeAt("logit_bias", text, &list); err != nil {
			return nil, err
		}
		for _, p := range list {
			pairs = append(pairs, pair{p[0], p[1]})
		}
	}
	biases := make(map[int32]float32, len(pairs))
	for _, p := range pairs {
		id, err := strconv.ParseInt(string(p.id), 10, 32)
		if err != nil || id < 0 || int(id) >= vocabulary {
			return nil, bad("logit_bias", "logit_bias: %.60q is no token: expected a number from 0 to %d", p.id, vocabulary-1)
		}
		add, err := strconv.ParseFloat(string(p.add), 32)
		switch {
		case string(p.add) == "false":
			add = math.Inf(-1)
		case err != nil || math.IsNaN(add):
			return nil, bad(fmt.Sprintf("logit_bias[%d]", id), "logit_bias: %.60s for token %d, expected a number or false", p.add, id)
		}
		biases[int32(id)] = float32(add)
	}
	return biases, nil
}
