package gemma4

import (
	"cmp"
	"errors"
	"iter"

	"github.com/gogemma/gemma4/chat"
)

// Request is what a [Queue] answers: a conversation, or a text to continue.
type Request struct {
	// ChatOptions hold for this request. Of SessionOptions, a History of 0 means none here. For a Prompt, only SessionOptions and
	// GenerateOptions count.
	ChatOptions
	// Messages is the conversation that the model answers, as [Chat.Send] does.
	Messages []chat.Message
	// Prompt is a text that the model continues, as [Session.Generate] does, if there are no Messages.
	Prompt []Input
	// N is how many answers are wanted, each of which takes a slot; 0: 1. The prompt is read once. With a Seed, answer i draws with
	// [ChoiceSeed] of that and i; Result.Seed tells.
	N int
}

// ChoiceSeed returns the seed that answer i of a [Request] draws with: for the first the seed itself, for others 53 bits of the i-th output
// of SplitMix64 from there, so that each can be repeated by itself.
func ChoiceSeed(seed uint64, i int) uint64 {
	if i == 0 {
		return seed
	}
	z := seed + uint64(i)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return (z ^ z>>31) >> 11
}

// Piece is a step of one of the answers to a [Request].
type Piece struct {
	Choice int // which answer, from 0
	Token
	Result *Result // of the answer, in its last piece, which has no token; else nil
}

// Choice is one of the answers to a [Request].
type Choice struct {
	Message chat.Message // as [Collect] returns it
	Result  Result       // Reason is ReasonNone if the answer has not ended
}

// CollectChoices reads the pieces of a [Queue]'s answers to their end. It is to them what [Collect] is to tokens.
func CollectChoices(pieces iter.Seq2[Piece, error]) (choices []Choice, err error) {
	var events [][]chat.Event
	var malformed error
	for p, failed := range pieces {
		if err = failed; failed != nil {
			break
		}
		for len(events) <= p.Choice {
			events, choices = append(events, nil), append(choices, Choice{})
		}
		if p.Result != nil {
			choices[p.Choice].Result = *p.Result
		}
		events[p.Choice] = append(events[p.Choice], p.Event)
		if p.Err != nil {
			malformed = errors.Join(malformed, wrap(p.Err))
		}
	}
	for i := range choices {
		choices[i].Message = chat.Answer(events[i])
	}
	return choices, cmp.Or(err, malformed)
}
