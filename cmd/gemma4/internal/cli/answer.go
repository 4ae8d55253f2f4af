package cli

import (
	"encoding/json"
	"errors"
	"iter"
	"strings"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// ANSI's codes for faint letters and back.
const dim, plain = "\x1b[2m", "\x1b[0m"

// Answer prints a model's answer as it comes and ends the line: text, before it thoughts if they are to be shown (dimmed where the
// terminal can do that, else marked with "[thought]"), and each tool call as a line of JSON with name and arguments. What was meant to be a
// call and is none is printed as it is, with the error on standard error. It returns the tool calls.
func (p *Program) Answer(answer iter.Seq2[gemma4.Token, error], thoughts bool) (calls []chat.Call, err error) {
	a := printer{p: p, styled: styled(p.stdout), start: true}
	defer func() {
		p.EndStatus()
		a.end()
		if e := p.Out.Flush(); err == nil {
			err = e
		}
	}()
	for tok, err := range answer {
		if err != nil {
			return calls, err
		}
		switch {
		case tok.Call != nil:
			if tok.Call.Mended {
				p.Complain(errors.New("the next call left the format and has been mended"))
			}
			calls = append(calls, *tok.Call)
			a.kind(chat.ToolCall)
			a.print(callLine(tok.Call))
		case tok.Text != "" && (tok.Kind != chat.Thought || thoughts):
			a.kind(tok.Kind)
			a.print(tok.Text)
		}
		if err := p.Out.Flush(); err != nil { // also says that nobody reads any more
			return calls, err
		}
		if tok.Err != nil {
			p.Complain(tok.Err)
		}
	}
	return calls, nil
}

// printer keeps the pieces of an answer apart.
type printer struct {
	p      *Program
	styled bool
	now    chat.Kind
	start  bool // of a line
}

// kind changes to thought, text or call, each on lines of its own.
func (a *printer) kind(k chat.Kind) {
	if k == a.now && k != chat.ToolCall {
		return
	}
	a.end()
	a.now = k
	switch {
	case k == chat.Thought && a.styled:
		a.p.Out.WriteString(dim)
	case k == chat.Thought:
		a.print("[thought] ")
	}
}

// callLine returns a call as a line of JSON.
func callLine(call *chat.Call) string {
	var line strings.Builder
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false)
	e.Encode(struct { // nothing in it fails
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}{call.Name, call.Arguments})
	return line.String()
}

// end ends the line and the style.
func (a *printer) end() {
	if !a.start {
		a.print("\n")
	}
	if a.now == chat.Thought && a.styled {
		a.p.Out.WriteString(plain)
	}
	a.now = chat.Text
}

func (a *printer) print(text string) {
	if a.p.Terminal() {
		text = Printable(text)
	}
	a.p.Out.WriteString(text)
	a.start = strings.HasSuffix(text, "\n")
}
