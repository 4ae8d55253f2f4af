package jinja

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/gogemma/gemma4/internal/python"
)

// token is a part of a tag, or the text between two tags. The tokens of a tag lie between kindOpen and kindClose.
type token struct {
	kind kind
	text string
	line int
}

type kind uint8

const (
	kindEnd kind = iota // of the template
	kindText
	kindOpen // text is outputTag for {{ … }}, else empty
	kindClose
	kindName
	kindOperator // a sign, or one of the words that are operators
	kindString
	kindInteger
	kindFloat
)

// lexer cuts a template into tokens, by the rules of Jinja 3 with trim_blocks and lstrip_blocks. Comments, raw blocks and
// the signs of white space control are gone after it, and {{ … }} has become a tag named outputTag.
type lexer struct {
	source string
	pos    int
	line   int // of source[:counted]
	count  int // bytes in which line breaks were counted
	tokens []token
	closed []byte        // the brackets that are open, as those that close them
	used   map[rune]bool // runes of texts that marks must keep away from
}

// outputTag is the name of the tag that {{ … }} becomes: no name that a template could write.
const outputTag = "{{"

func lex(source string) (*lexer, error) {
	if len(source) > maxSource {
		return nil, fmt.Errorf("%w: %d bytes, more than %d", ErrLimit, len(source), maxSource)
	}
	for i, r := range source {
		if r != utf8.RuneError {
			continue
		}
		if _, n := utf8.DecodeRuneInString(source[i:]); n == 1 {
			return nil, atLine(1+strings.Count(source[:i], "\n"), errors.New("source: invalid UTF-8"))
		}
	}
	source = strings.ReplaceAll(source, "\r\n", "\n")
	source = strings.ReplaceAll(source, "\r", "\n")
	l := &lexer{source: strings.TrimSuffix(source, "\n"), line: 1, used: map[rune]bool{}}
	if err := l.run(); err != nil {
		return nil, atLine(l.lineAt(l.pos), err)
	}
	return l, nil
}

// lineAt returns the line of a position, which never goes back.
func (l *lexer) lineAt(pos int) int {
	if pos > l.count {
		l.line += strings.Count(l.source[l.count:pos], "\n")
		l.count = pos
	}
	return l.line
}

func (l *lexer) emit(k kind, text string, pos int) {
	l.tokens = append(l.tokens, token{k, text, l.lineAt(pos)})
}

// data emits the text between two tags.
func (l *lexer) data(text string, pos int) {
	if text != "" {
		note(text, l.used)
		l.emit(kindText, text, pos)
	}
}

func (l *lexer) run() error {
	lineStart := true // whether what came before ends in a line break
	for {
		start := l.pos
		tag := nextTag(l.source[start:])
		if tag < 0 {
			l.data(l.source[start:], start)
			l.emit(kindEnd, "", len(l.source))
			return nil
		}
		text := l.source[start : start+tag]
		l.pos = start + tag
		kind := l.source[l.pos+1]
		l.pos += 2
		sign := l.control()
		l.data(stripBefore(text, sign, kind != '{', lineStart), start)

		var err error
		switch kind {
		case '#':
			err = l.comment()
		case '{':
			err = l.expression(outputTag, "}}")
		default:
			var raw bool
			if raw, err = l.raw(); err == nil && !raw {
				err = l.expression("", "%}")
			}
		}
		if err != nil {
			return err
		}
		lineStart = l.source[l.pos-1] == '\n'
	}
}

// nextTag finds the next {{, {% or {#.
func nextTag(s string) int {
	for from := 0; ; {
		i := strings.IndexByte(s[from:], '{')
		if i < 0 || from+i+1 >= len(s) {
			return -1
		}
		if c := s[from+i+1]; c == '{' || c == '%' || c == '#' {
			return from + i
		}
		from += i + 1
	}
}

// control passes the sign of white space control at the beginning of a tag.
func (l *lexer) control() byte {
	if l.pos < len(l.source) && (l.source[l.pos] == '-' || l.source[l.pos] == '+') {
		l.pos++
		return l.source[l.pos-1]
	}
	return 0
}

// stripBefore takes from the text before a tag what the tag's sign or lstrip_blocks removes.
func stripBefore(text string, sign byte, block, lineStart bool) string {
	switch {
	case sign == '-':
		return strings.TrimRightFunc(text, python.IsSpace)
	case sign == '+' || !block:
		return text
	}
	last := strings.LastIndexByte(text, '\n') + 1
	if (last > 0 || lineStart) && strings.TrimLeftFunc(text[last:], python.IsSpace) == "" {
		return text[:last]
	}
	return text
}

// end passes the end of a tag if it is here, and what its sign or trim_blocks removes after it.
func (l *lexer) close(mark string) bool {
	rest := l.source[l.pos:]
	switch {
	case strings.HasPrefix(rest, "-"+mark):
		l.pos += 1 + len(mark)
		l.pos += len(l.source[l.pos:]) - len(strings.TrimLeftFunc(l.source[l.pos:], python.IsSpace))
	case strings.HasPrefix(rest, "+"+mark) && mark != "}}":
		l.pos += 1 + len(mark)
	case strings.HasPrefix(rest, mark):
		l.pos += len(mark)
		if mark != "}}" && strings.HasPrefix(l.source[l.pos:], "\n") {
			l.pos++
		}
	default:
		return false
	}
	return true
}

func (l *lexer) comment() error {
	i := strings.Index(l.source[l.pos:], "#}")
	if i < 0 {
		return errors.New("a comment that does not end, expected #}")
	}
	l.pos += i
	if i > 0 && (l.source[l.pos-1] == '-' || l.source[l.pos-1] == '+') {
		l.pos--
	}
	l.close("#}")
	return nil
}

// raw emits the text of a raw block if one begins here, after {%.
func (l *lexer) raw() (bool, error) {
	start := l.pos
	if l.skipSpace(); l.name() != "raw" {
		l.pos = start
		return false, nil
	}
	if l.skipSpace(); strings.HasPrefix(l.source[l.pos:], "-%}") {
		l.close("%}")
	} else if strings.HasPrefix(l.source[l.pos:], "%}") {
		l.pos += 2 // trim_blocks leaves raw text alone
	} else {
		return false, errors.New("raw takes no arguments, expected %}")
	}
	start = l.pos
	for {
		i := strings.Index(l.source[l.pos:], "{%")
		if i < 0 {
			return false, errors.New("a raw block that does not end, expected endraw")
		}
		end := l.pos + i
		l.pos = end + 2
		sign := l.control()
		if l.skipSpace(); l.name() != "endraw" {
			l.pos = end + 2
			continue
		}
		if l.skipSpace(); !l.close("%}") {
			return false, errors.New("endraw takes no arguments, expected %}")
		}
		l.data(stripBefore(l.source[start:end], sign, true, false), start)
		return true, nil
	}
}

func (l *lexer) skipSpace() {
	rest := l.source[l.pos:]
	l.pos += len(rest) - len(strings.TrimLeftFunc(rest, python.IsSpace))
}

func (l *lexer) name() string {
	rest := l.source[l.pos:]
	n := len(rest) - len(strings.TrimLeftFunc(rest, isNameRune))
	l.pos += n
	return rest[:n]
}

// signs are the operators of two characters before those of one.
var signs = strings.Fields("// ** == != >= <= + - * / % ~ > < = . : | , ( ) [ ] { }")

// isOperator reports whether a word is an operator.
func isOperator(word string) bool {
	return slices.Contains([]string{"and", "or", "not", "in", "is"}, word)
}

// expression emits the tokens of a tag up to its end; tag is its name where the source has none.
func (l *lexer) expression(tag, end string) error {
	l.emit(kindOpen, tag, l.pos)
	l.closed = l.closed[:0]
	for {
		l.skipSpace()
		start := l.pos
		if len(l.closed) == 0 && l.close(end) {
			l.emit(kindClose, end, start)
			return nil
		}
		if start == len(l.source) {
			return fmt.Errorf("a tag that does not end, expected %s", end)
		}
		switch c, _ := utf8.DecodeRuneInString(l.source[start:]); {
		case c >= '0' && c <= '9':
			if err := l.number(); err != nil {
				return err
			}
		case isNameRune(c):
			word := l.name()
			l.emit(pick(isOperator(word), kindOperator, kindName), word, start)
		case c == '"' || c == '\'':
			if err := l.text(byte(c)); err != nil {
				return err
			}
		default:
			if err := l.sign(c); err != nil {
				return err
			}
		}
	}
}

func (l *lexer) sign(c rune) error {
	for _, sign := range signs {
		if !strings.HasPrefix(l.source[l.pos:], sign) {
			continue
		}
		switch c {
		case '(', '[', '{':
			if len(l.closed) == maxNesting {
				return fmt.Errorf("%w: brackets nested deeper than %d", ErrLimit, maxNesting)
			}
			l.closed = append(l.closed, ")]}"[strings.IndexRune("([{", c)])
		case ')', ']', '}':
			if len(l.closed) == 0 {
				return fmt.Errorf("%q closes nothing", c)
			}
			if open := l.closed[len(l.closed)-1]; rune(open) != c {
				return fmt.Errorf("%q, expected %q", c, open)
			}
			l.closed = l.closed[:len(l.closed)-1]
		}
		l.emit(kindOperator, sign, l.pos)
		l.pos += len(sign)
		return nil
	}
	return fmt.Errorf("unexpected character %q", c)
}

// number emits digits, with one '_' between any two, as an Integer; with a fraction or an exponent as a Float.
func (l *lexer) number() error {
	start, kind := l.pos, kindInteger
	l.digits()
	if rest := l.source[l.pos:]; len(rest) > 1 && rest[0] == '.' && isDigit(rest[1]) {
		kind = kindFloat
		l.pos++
		l.digits()
	}
	if rest := l.source[l.pos:]; len(rest) > 0 && (rest[0] == 'e' || rest[0] == 'E') {
		n := 1
		if len(rest) > 1 && (rest[1] == '+' || rest[1] == '-') {
			n = 2
		}
		if len(rest) > n && isDigit(rest[n]) {
			kind = kindFloat
			l.pos += n
			l.digits()
		}
	}
	val := l.source[start:l.pos]
	if r, _ := utf8.DecodeRuneInString(l.source[l.pos:]); isNameRune(r) || strings.Contains(val, "__") {
		return fmt.Errorf("number %q… is none", val)
	}
	l.emit(kind, strings.ReplaceAll(val, "_", ""), start)
	return nil
}

func (l *lexer) digits() {
	for l.pos < len(l.source) && (isDigit(l.source[l.pos]) || l.source[l.pos] == '_') {
		l.pos++
	}
}

// text emits a string without its quotes and escapes.
func (l *lexer) text(quote byte) error {
	start := l.pos
	for i := start + 1; i < len(l.source); i++ {
		switch l.source[i] {
		case '\\':
			i++
		case quote:
			s, err := unescape(l.source[start+1 : i])
			if err != nil {
				return err
			}
			note(s, l.used)
			l.emit(kindString, s, start)
			l.pos = i + 1
			return nil
		}
	}
	return fmt.Errorf("a string that does not end, expected %c", quote)
}

// unescape replaces Python's escapes; a backslash before any other character stands for itself.
func unescape(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 {
		return s, nil
	}
	simple := map[byte]string{
		'\n': "", '\\': `\`, '\'': "'", '"': `"`, 'a': "\a", 'b': "\b", 'f': "\f", 'n': "\n", 'r': "\r", 't': "\t", 'v': "\v",
	}
	var b strings.Builder
	for i := 0; i < len(s); {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			i++
			continue
		}
		c := s[i+1]
		base, digits := 16, map[byte]int{'x': 2, 'u': 4, 'U': 8}[c]
		from := i + 2
		if c >= '0' && c <= '7' {
			base, from = 8, i+1
			for digits < 3 && from+digits < len(s) && s[from+digits] >= '0' && s[from+digits] <= '7' {
				digits++
			}
		}
		if text, ok := simple[c]; ok {
			b.WriteString(text)
			i += 2
			continue
		}
		if c == 'N' {
			return "", errors.New(`escape \N is not supported, expected the character itself or \u`)
		}
		if digits == 0 {
			b.WriteByte('\\')
			i++
			continue
		}
		end := min(from+digits, len(s))
		code, err := strconv.ParseUint(s[from:end], base, 32)
		if err != nil || end-from < digits || !utf8.ValidRune(rune(min(code, unicode.MaxRune+1))) {
			return "", fmt.Errorf("escape %q is no character", s[i:end])
		}
		b.WriteRune(rune(code))
		i = end
	}
	return b.String(), nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isNameRune(r rune) bool {
	return r == '_' || r != utf8.RuneError && (unicode.IsLetter(r) || unicode.IsDigit(r))
}
