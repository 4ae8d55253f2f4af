package jinja

import (
	"fmt"
	"slices"
)

// parser is a cursor over the tokens of a template. It reads the tags with their bodies; expression.go reads the expressions inside of
// tags.
type parser struct {
	tokens []token
	pos    int
	tables *tables
	depth  int // of the parser's own recursion inside of a tag
	blocks int // that are open
	loops  int // that are open and that a break would leave
	extras extras
}

func (p *parser) current() token { return p.tokens[p.pos] }

// ahead is the token after the current one.
func (p *parser) ahead() token { return p.tokens[min(p.pos+1, len(p.tokens)-1)] }

func (p *parser) next() { p.pos = min(p.pos+1, len(p.tokens)-1) }

// at reports whether the current token is one of the signs or words.
func (p *parser) at(words ...string) bool {
	t := &p.tokens[p.pos]
	return (t.kind == kindOperator || t.kind == kindName) && slices.Contains(words, t.text)
}

// accept passes the current token if it is one of the signs or words.
func (p *parser) accept(words ...string) bool {
	ok := p.at(words...)
	if ok {
		p.next()
	}
	return ok
}

func (p *parser) expect(word string) error {
	if !p.accept(word) {
		return p.missing(word)
	}
	return nil
}

// word passes a name, even one that is an operator elsewhere.
func (p *parser) word(expected string) (string, error) {
	t := p.current()
	if t.kind != kindName && !(t.kind == kindOperator && isOperator(t.text)) {
		return "", p.missing(expected)
	}
	p.next()
	return t.text, nil
}

// name passes a name.
func (p *parser) name(expected string) (string, error) {
	t := p.current()
	if t.kind != kindName {
		return "", p.missing(expected)
	}
	p.next()
	return t.text, nil
}

func (p *parser) atClose() bool { return p.current().kind == kindClose }

// close passes the end of a tag.
func (p *parser) close() error {
	if !p.atClose() {
		return p.missing("the end of the tag")
	}
	p.next()
	return nil
}

// missing is the error for a token that does not belong where it is.
func (p *parser) missing(expected string) error {
	t := p.current()
	if t.kind == kindClose {
		return atLine(t.line, fmt.Errorf("the tag ends, expected %s", expected))
	}
	return atLine(t.line, fmt.Errorf("%q, expected %s", t.text, expected))
}

// body parses statements up to a tag of one of the names, and returns that name; its tag is open then. open is the tag that the
// body belongs to. Without names it is the whole template.
func (p *parser) body(open string, ends ...string) (statements, string, error) {
	line := p.current().line
	if p.blocks++; p.blocks > maxNesting {
		return nil, "", fmt.Errorf("%w: blocks nested deeper than %d", ErrLimit, maxNesting)
	}
	defer func() { p.blocks-- }()
	var b statements
	for {
		t := p.current()
		p.next()
		switch t.kind {
		case kindText:
			b = append(b, text(t.text))
			continue
		case kindEnd:
			if len(ends) > 0 {
				return nil, "", atLine(line, fmt.Errorf("%q does not end, expected %s", open, ends[len(ends)-1]))
			}
			return b, "", nil
		}
		name := t.text
		if name == "" {
			var err error
			if name, err = p.name("the name of a tag"); err != nil {
				return nil, "", atLine(t.line, err)
			}
		}
		if slices.Contains(ends, name) {
			return b, name, nil
		}
		run, err := p.statement(name)
		if err != nil {
			return nil, "", atLine(t.line, err)
		}
		b = append(b, tag{t.line, run})
	}
}

// statement parses the tag of a name, with its bodies.
func (p *parser) statement(name string) (action, error) {
	switch name {
	case outputTag:
		return p.output()
	case "if":
		return p.conditional()
	case "for":
		return p.loop()
	case "set":
		return p.set()
	case "macro":
		return p.macro()
	case "call":
		return p.callBlock()
	case "filter":
		return p.filterBlock()
	case "with":
		return p.with()
	case "generation":
		return p.generation()
	case "break":
		return p.jump(name, breakLoop)
	case "continue":
		return p.jump(name, continueLoop)
	case "include", "import", "from", "extends", "block":
		return nil, fmt.Errorf("%w: %q: a template cannot use other templates or files", ErrRefused, name)
	}
	return nil, fmt.Errorf("unknown tag %q, or out of place", name)
}

// whole parses the body of a tag with one end that takes no arguments.
func (p *parser) whole(open, end string) (statements, error) {
	b, _, err := p.body(open, end)
	if err != nil {
		return nil, err
	}
	return b, p.close()
}

// apart is whole for a body whose text is kept apart: no break leads out of it.
func (p *parser) apart(open, end string) (statements, error) {
	loops := p.loops
	p.loops = 0
	b, err := p.whole(open, end)
	p.loops = loops
	return b, err
}
