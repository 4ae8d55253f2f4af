package gemma4

import (
	"cmp"
	"context"
	"errors"
	"iter"

	"github.com/gogemma/gemma4/chat"
)

// Answer says something and returns the whole answer, for callers that do not need it while it is written. See [Collect] for what it holds
// and when there is an error.
func (c *Chat) Answer(ctx context.Context, text string) (chat.Message, error) {
	return Collect(c.Ask(ctx, text))
}

// Collect reads tokens to their end, such as those of [Chat.Send], and returns them as one message: text, thought and calls. If there is an
// error, the message is what came before it. A call that is broken (a [*chat.CallError]) stays text, and is an error if nothing else went
// wrong.
func Collect(tokens iter.Seq2[Token, error]) (chat.Message, error) {
	var events []chat.Event
	var failed, malformed error
	for tok, err := range tokens {
		if err != nil {
			failed = err
			break
		}
		events = append(events, tok.Event)
		if tok.Err != nil {
			malformed = errors.Join(malformed, wrap(tok.Err))
		}
	}
	return chat.Answer(events), cmp.Or(failed, malformed)
}
