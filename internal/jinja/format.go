package jinja

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/gogemma/gemma4/internal/python"
)

// spec is a format specification, of s % v or of s.format(v).
type spec struct {
	fill      string // one character, perhaps marked
	align     byte   // '<', '>', '^', '=' (between sign and digits), or 0
	sign      byte   // '+', '-', ' ' or 0
	alternate bool   // #
	positive  bool   // z: no negative zero
	width     int64
	group     byte  // ',', '_' or 0
	precision int64 // -1 without one
	verb      byte  // 0 without one
}

// size reads the digits at the beginning of s.
func (r *run) size(s string) (n int64, rest string, err error) {
	rest = strings.TrimLeft(s, "0123456789")
	digits := s[:len(s)-len(rest)]
	if n, err = strconv.ParseInt("0"+digits, 10, 32); err != nil {
		return 0, rest, r.limit("a width of %.20s characters", digits)
	}
	return n, rest, nil
}

// precise reads a precision after its dot.
func (r *run) precise(s string) (n int64, rest string, err error) {
	if n, rest, err = r.size(s); err == nil && n > maxPrecision {
		err = r.limit("a precision of %d digits, more than %d", n, maxPrecision)
	}
	return n, rest, err
}

const maxPrecision = 100

// printf is Python's s % v.
func (r *run) printf(s string, v value) (value, error) {
	args := []value{v}
	if l, ok := v.(*list); ok && l.tuple {
		args = l.items
	}
	used := 0
	next := func() (value, error) {
		if used++; used > len(args) {
			return nil, errors.New("%: fewer values than the format has directives")
		}
		return args[used-1], nil
	}
	a, err := r.align(s)
	if err != nil {
		return nil, err
	}
	b := &buffer{run: r}
	from, named := 0, false
	for {
		i := strings.IndexByte(a.plain[from:], '%')
		if i < 0 {
			break
		}
		if err := b.write(a.cut(from, from+i)); err != nil {
			return nil, err
		}
		d := directive{next: next, from: v}
		rest, err := r.directive(a.plain[from+i+1:], &d)
		if err != nil {
			return nil, err
		}
		from = len(a.plain) - len(rest)
		named = named || d.named
		if d.verb == '%' {
			err = b.write("%")
		} else {
			err = r.printOne(b, d)
		}
		if err != nil {
			return nil, err
		}
	}
	if l, isList := v.(*list); used < len(args) && !named && (isList && l.tuple || !isList && given(v) && typeName(v) != "object") {
		return nil, errors.New("%: more values than the format has directives")
	}
	err = b.write(a.cut(from, len(a.plain)))
	return b.String(), err
}

// directive is what follows a % in a format.
type directive struct {
	spec
	value value
	named bool
	next  func() (value, error) // the next value
	from  value                 // what names are looked up in
}

// directive reads a directive and takes its values.
func (r *run) directive(s string, d *directive) (rest string, err error) {
	d.fill, d.align, d.precision = " ", '>', -1
	whole := len(s)
	if strings.HasPrefix(s, "(") {
		name, rest, ok := strings.Cut(s[1:], ")")
		from, isDict := d.from.(*dict)
		if !ok || !isDict {
			return "", errors.New("%: a name in the format, expected a ) behind it and an object of values")
		}
		item, ok := from.get(name)
		if !ok {
			return "", fmt.Errorf("%%: no value named %.40q", name)
		}
		d.next = func() (value, error) { return item, nil }
		d.named, s = true, rest
	}
	zero := false
	for ; s != "" && strings.IndexByte("-+ 0#", s[0]) >= 0; s = s[1:] {
		switch s[0] {
		case '-':
			d.align = '<'
		case '0':
			zero = true
		case '#':
			d.alternate = true
		default:
			d.sign = pick(d.sign == '+', '+', s[0])
		}
	}
	star := func() (int64, error) {
		v, err := d.next()
		n, ok := integer(v)
		if err == nil && (!ok || n > math.MaxInt32 || n < -math.MaxInt32) {
			err = fmt.Errorf("%%: * of %s, expected a small integer", describe(v))
		}
		return n, err
	}
	if strings.HasPrefix(s, "*") {
		d.width, err = star()
		s = s[1:]
		if d.width < 0 {
			d.align, d.width = '<', -d.width
		}
	} else {
		d.width, s, err = r.size(s)
	}
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(s, ".*") {
		d.precision, err = star()
		d.precision = max(d.precision, 0)
		s = s[2:]
		if d.precision > maxPrecision {
			return "", r.limit("a precision of %d digits, more than %d", d.precision, maxPrecision)
		}
	} else if strings.HasPrefix(s, ".") {
		d.precision, s, err = r.precise(s[1:])
	}
	if err != nil {
		return "", err
	}
	if s != "" && strings.IndexByte("hlL", s[0]) >= 0 {
		s = s[1:]
	}
	if s == "" {
		return "", errors.New("%: the format ends in its directive")
	}
	d.verb = s[0]
	if d.verb != '%' {
		d.value, err = d.next()
	} else if len(s) != whole {
		return "", errors.New("%: %% with something between")
	}
	if zero && d.align != '<' && strings.IndexByte("srac", d.verb) < 0 {
		d.fill, d.align = "0", '='
	}
	return s[1:], err
}

func (r *run) printOne(b *buffer, d directive) error {
	n, isNumber := numeric(d.value)
	switch d.verb {
	case 's':
		text, err := r.text(d.value)
		if err != nil {
			return err
		}
		return r.printText(b, d.spec, text)
	case 'r', 'a':
		text, err := r.repr(d.value)
		if err != nil {
			return err
		}
		return r.printText(b, d.spec, pick(d.verb == 'a', r.marks.markText(python.ASCII(r.marks.plain(text))), text))
	case 'c':
		d.precision = -1
		if text, ok := d.value.(string); ok && utf8.RuneCountInString(text) == 1 {
			return r.printText(b, d.spec, text)
		}
		if !isNumber || n.float || n.i < 0 || n.i > utf8.MaxRune || !utf8.ValidRune(rune(n.i)) {
			return fmt.Errorf("%%c of %s, expected a character", describe(d.value))
		}
		return r.printText(b, d.spec, string(rune(n.i)))
	case 'd', 'i', 'u', 'x', 'X', 'o':
		if isNumber && n.float && strings.IndexByte("diu", d.verb) >= 0 {
			i, ok := truncate(n.f)
			if !ok {
				return errOverflow
			}
			n = num{i: i}
		}
		if !isNumber || n.float {
			return fmt.Errorf("%%%c of %s, expected an integer", d.verb, describe(d.value))
		}
		d.verb = pick(strings.IndexByte("iu", d.verb) >= 0, 'd', d.verb)
		return r.printInteger(b, d.spec, n.i)
	case 'e', 'E', 'f', 'F', 'g', 'G':
		if !isNumber {
			return fmt.Errorf("%%%c of %s, expected a number", d.verb, describe(d.value))
		}
		return r.printFloat(b, d.spec, n.f)
	}
	return fmt.Errorf("%%%c is not supported, expected one of %%s %%r %%c %%d %%x %%o %%e %%f %%g", d.verb)
}

func (r *run) repr(v value) (string, error) {
	b := &buffer{run: r}
	err := b.repr(v, false, 0)
	return b.String(), err
}

// truncate returns the integer towards zero, if it fits.
func truncate(f float64) (int64, bool) {
	return int64(f), !math.IsNaN(f) && math.Abs(f) < 1<<63
}

// format is Python's str.format.
func (r *run) format(s string, positional []value, named *dict) (value, error) {
	f := &formatter{run: r, positional: positional, named: named}
	return f.expand(s, 1)
}

// formatter is the state of format.
type formatter struct {
	*run
	positional []value
	named      *dict
	auto       int // fields without a number so far; -1 after one with a number
}

// expand replaces the fields of s. depth is that of further fields in specifications.
func (f *formatter) expand(s string, depth int) (string, error) {
	a, err := f.align(s)
	if err != nil {
		return "", err
	}
	b := &buffer{run: f.run}
	from := 0
	for {
		rest := a.plain[from:]
		i := strings.IndexAny(rest, "{}")
		if i < 0 {
			break
		}
		if err := b.write(a.cut(from, from+i)); err != nil {
			return "", err
		}
		if strings.HasPrefix(rest[i:], "{{") || strings.HasPrefix(rest[i:], "}}") {
			if err := b.write(a.cut(from+i, from+i+1)); err != nil {
				return "", err
			}
			from += i + 2
			continue
		}
		n := fieldLength(rest[i:])
		if n < 0 {
			return "", errors.New("format: a brace without its partner")
		}
		from += i + 1
		if err := f.field(b, a, from, from+n, depth); err != nil {
			return "", err
		}
		from += n + 1
	}
	err = b.write(a.cut(from, len(a.plain)))
	return b.String(), err
}

// fieldLength is the length of what is in the braces with which s begins, -1 if they do not close.
func fieldLength(s string) int {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i - 1
			} else if depth < 0 {
				return -1
			}
		}
	}
	return -1
}

// field writes the field a.plain[from:to], of the form name!conversion:specification.
func (f *formatter) field(b *buffer, a aligned, from, to, depth int) error {
	name := a.plain[from:to]
	specification := ""
	if i := strings.IndexByte(name, ':'); i >= 0 {
		name, specification = name[:i], a.cut(from+i+1, to)
	}
	name, conversion, converted := strings.Cut(name, "!")
	v, err := f.lookUp(name)
	if err != nil {
		return err
	}
	if converted {
		switch conversion {
		case "r":
			v, err = f.repr(v)
		case "s":
			v, err = f.text(v)
		case "a":
			var text string
			text, err = f.repr(v)
			v = f.marks.markText(python.ASCII(f.marks.plain(text)))
		default:
			err = fmt.Errorf("format: conversion !%.10s, expected !r, !s or !a", conversion)
		}
		if err != nil {
			return err
		}
	}
	if strings.ContainsAny(specification, "{}") {
		if depth == 0 {
			return errors.New("format: fields nested too deep")
		}
		if specification, err = f.expand(specification, depth-1); err != nil {
			return err
		}
	}
	return f.print(b, v, specification)
}

// lookUp returns the value of a field: 0, name, or nothing for the next, followed by .attribute and [item].
func (f *formatter) lookUp(name string) (value, error) {
	end := strings.IndexAny(name, ".[")
	if end < 0 {
		end = len(name)
	}
	first, path := name[:end], name[end:]
	var v value = undefined{}
	n, err := strconv.Atoi(first)
	switch isNumber := err == nil && isDigit(first[0]); {
	case first == "" && f.auto < 0, isNumber && f.auto > 0:
		return nil, errors.New("format: fields with and without numbers")
	case first == "":
		n = f.auto
		f.auto++
	case isNumber:
		f.auto = -1
	default:
		if item, ok := f.named.get(first); ok {
			v = item
		}
		n = -1
	}
	if n >= 0 && n < len(f.positional) {
		v = f.positional[n]
	}
	if !given(v) {
		return nil, fmt.Errorf("format: no argument for {%.40s}", name)
	}
	for path != "" {
		if err := f.step(); err != nil {
			return nil, err
		}
		if strings.HasPrefix(path, ".") {
			end := strings.IndexAny(path[1:], ".[") + 1
			if end == 0 {
				end = len(path)
			}
			key := path[1:end]
			if v, err = f.attribute(v, key); err != nil {
				return nil, err
			}
			if !given(v) {
				return nil, fmt.Errorf("format: no attribute %.40s", key)
			}
			path = path[end:]
			continue
		}
		end := strings.IndexByte(path, ']')
		if path[0] != '[' || end < 2 {
			return nil, fmt.Errorf("format: field %.40q, expected .attribute or [item]", name)
		}
		var key value = path[1:end]
		if n, err := strconv.ParseInt(path[1:end], 10, 64); err == nil && isDigit(path[1]) {
			key = n
		}
		if v, err = f.item(v, key); err != nil {
			return nil, err
		}
		if !given(v) {
			return nil, fmt.Errorf("format: no item %.40s", path[:end+1])
		}
		path = path[end+1:]
	}
	return v, nil
}

// print writes format(v, specification).
func (r *run) print(b *buffer, v value, specification string) error {
	if specification == "" {
		return b.repr(v, true, 0)
	}
	sp, zero, err := r.parseSpec(specification)
	if err != nil {
		return err
	}
	text, isText := v.(string)
	if isText {
		if sp.sign != 0 || sp.alternate || sp.positive || sp.group != 0 || sp.align == '=' || sp.verb != 0 && sp.verb != 's' {
			return fmt.Errorf("format: %.40q is no specification for a string", r.marks.plain(specification))
		}
		sp.align = pick(sp.align == 0, '<', sp.align)
		return r.printText(b, sp, text)
	}
	n, ok := numeric(v)
	if !ok {
		return fmt.Errorf("format: a specification for %s, expected a string or a number", describe(v))
	}
	sp.align = pick(sp.align == 0, pick[byte](zero, '=', '>'), sp.align)
	switch {
	case sp.verb == 0 && !n.float, strings.IndexByte("bcdoxXn", sp.verb) >= 0 && !n.float:
		if sp.precision >= 0 || sp.positive {
			return errors.New("format: a precision, or z, for an integer")
		}
		if sp.verb == 'c' {
			if sp.sign != 0 || sp.alternate || sp.group != 0 || n.i < 0 || n.i > utf8.MaxRune || !utf8.ValidRune(rune(n.i)) {
				return fmt.Errorf("format: %d is no character, or a sign for one", n.i)
			}
			sp.align = pick(sp.align == '=' && !zero, '>', sp.align)
			return r.printText(b, sp, string(rune(n.i)))
		}
		if sp.group == ',' && strings.IndexByte("boxXn", sp.verb) >= 0 || sp.group == '_' && sp.verb == 'n' {
			return fmt.Errorf("format: %c cannot go with %c", sp.group, sp.verb)
		}
		return r.printInteger(b, sp, n.i)
	case sp.verb == 0, strings.IndexByte("eEfFgGn%", sp.verb) >= 0:
		if sp.group != 0 && sp.verb == 'n' {
			return fmt.Errorf("format: %c cannot go with n", sp.group)
		}
		return r.printFloat(b, sp, n.f)
	}
	return fmt.Errorf("format: %c of %s", sp.verb, describe(v))
}

// parseSpec reads [[fill]align][sign][z][#][0][width][group][.precision][verb]. zero says that there is a 0.
func (r *run) parseSpec(text string) (sp spec, zero bool, err error) {
	sp = spec{fill: " ", precision: -1}
	s := r.marks.plain(text)
	fail := func() (spec, bool, error) {
		return sp, false, fmt.Errorf("format: %.40q is no specification", r.marks.plain(text))
	}
	isAlign := func(s string) bool { return s != "" && strings.IndexByte("<>^=", s[0]) >= 0 }
	filled := false
	if _, n := utf8.DecodeRuneInString(s); isAlign(s[n:]) {
		_, marked := utf8.DecodeRuneInString(text)
		sp.fill, sp.align, s, filled = text[:marked], s[n], s[n+1:], true
	} else if isAlign(s) {
		sp.align, s = s[0], s[1:]
	}
	has := func(set string) byte {
		if s == "" || strings.IndexByte(set, s[0]) < 0 {
			return 0
		}
		c := s[0]
		s = s[1:]
		return c
	}
	sp.sign = has("+- ")
	sp.positive = has("z") != 0
	sp.alternate = has("#") != 0
	if zero = has("0") != 0; zero && !filled {
		sp.fill = "0"
	}
	if sp.width, s, err = r.size(s); err != nil {
		return sp, zero, err
	}
	sp.group = has(",_")
	if has(",_") != 0 {
		return fail()
	}
	if has(".") != 0 {
		if s == "" || !isDigit(s[0]) {
			return fail()
		}
		if sp.precision, s, err = r.precise(s); err != nil {
			return sp, zero, err
		}
	}
	sp.verb = has("bcdeEfFgGnosxX%")
	if s != "" {
		return fail()
	}
	return sp, zero && sp.align == 0, nil
}

// printText writes text, cut to the precision and filled up to the width.
func (r *run) printText(b *buffer, sp spec, text string) error {
	if sp.precision >= 0 {
		n := int64(0)
		for i := range text {
			if n == sp.precision {
				text = text[:i]
				break
			}
			n++
		}
	}
	return r.fillUp(b, sp, "", text)
}

// fillUp writes head and body with the filling between them or around.
func (r *run) fillUp(b *buffer, sp spec, head, body string) error {
	missing := sp.width - int64(utf8.RuneCountInString(head)) - int64(utf8.RuneCountInString(body))
	if missing <= 0 {
		return b.write(head + body)
	}
	if missing > r.max.text {
		return r.limit("a text of %d characters, more than %d bytes", sp.width, r.max.text)
	}
	if err := r.makeText(missing * int64(len(sp.fill))); err != nil {
		return err
	}
	fill := func(n int64) string { return strings.Repeat(sp.fill, int(n)) }
	switch sp.align {
	case '<':
		return b.write(head + body + fill(missing))
	case '^':
		return b.write(fill(missing/2) + head + body + fill(missing-missing/2))
	case '=':
		return b.write(head + fill(missing) + body)
	}
	return b.write(fill(missing) + head + body)
}

func (sp spec) head(negative bool) string {
	switch {
	case negative:
		return "-"
	case sp.sign == '+' || sp.sign == ' ':
		return string(sp.sign)
	}
	return ""
}

func (r *run) printInteger(b *buffer, sp spec, n int64) error {
	base := 10
	switch sp.verb {
	case 'e', 'E', 'f', 'F', 'g', 'G', '%':
		return r.printFloat(b, sp, float64(n))
	case 'b':
		base = 2
	case 'o':
		base = 8
	case 'x', 'X':
		base = 16
	}
	digits := strings.TrimPrefix(strconv.FormatInt(n, base), "-")
	if missing := sp.precision - int64(len(digits)); missing > 0 {
		digits = strings.Repeat("0", int(missing)) + digits
	}
	head := sp.head(n < 0)
	if sp.alternate && base != 10 {
		head += "0" + string(sp.verb)
	}
	if sp.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	return r.printDigits(b, sp, head, digits, "", pick(base == 10, 3, 4))
}

// printDigits writes a number whose integer part is grouped by every digits; zeros that fill are grouped too.
func (r *run) printDigits(b *buffer, sp spec, head, whole, rest string, every int) error {
	if sp.group != 0 {
		if sp.fill == "0" && sp.align == '=' {
			space := min(sp.width, r.max.text) - int64(len(head)+len(rest))
			n := space - space/int64(every+1)
			if n+(n-1)/int64(every) < space {
				n++ // never a separator in front
			}
			if n > int64(len(whole)) {
				if err := r.makeText(n); err != nil {
					return err
				}
				whole = strings.Repeat("0", int(n)-len(whole)) + whole
			}
		}
		var grouped strings.Builder
		for i, c := range []byte(whole) {
			if i > 0 && (len(whole)-i)%every == 0 {
				grouped.WriteByte(sp.group)
			}
			grouped.WriteByte(c)
		}
		whole = grouped.String()
	}
	return r.fillUp(b, sp, head, whole+rest)
}

func (r *run) printFloat(b *buffer, sp spec, f float64) error {
	verb := sp.verb
	upper := verb == 'E' || verb == 'F' || verb == 'G'
	if upper {
		verb += 'a' - 'A'
	}
	rest := ""
	if verb == '%' {
		f, verb, rest = f*100, 'f', "%"
	}
	negative := math.Signbit(f) && !math.IsNaN(f)
	var digits string
	switch abs := math.Abs(f); {
	case math.IsNaN(f) || math.IsInf(f, 0):
		digits = python.FormatFloat(abs)
	case verb == 0 && sp.precision < 0:
		digits = python.FormatFloat(abs)
		if mantissa, exponent, ok := strings.Cut(digits, "e"); sp.alternate && ok && !strings.Contains(mantissa, ".") {
			digits = mantissa + ".e" + exponent
		}
	case verb == 0:
		digits = general(abs, int(sp.precision), true, sp.alternate)
	case verb == 'g' || verb == 'n':
		digits = general(abs, int(pick(sp.precision < 0, 6, sp.precision)), false, sp.alternate)
	default:
		digits = strconv.FormatFloat(abs, verb, int(pick(sp.precision < 0, 6, sp.precision)), 64)
		if sp.alternate && sp.precision == 0 {
			mantissa, exponent, ok := strings.Cut(digits, "e")
			digits = mantissa + "." + pick(ok, "e", "") + exponent
		}
	}
	if sp.positive && strings.Trim(digits, "0.") == "" {
		negative = false
	}
	if upper {
		digits = strings.ToUpper(digits)
	}
	end := strings.IndexFunc(digits, func(c rune) bool { return c < '0' || c > '9' })
	if end < 0 {
		end = len(digits)
	}
	return r.printDigits(b, sp, sp.head(negative), digits[:end], digits[end:]+rest, 3)
}

// general is C's %g of a number that is not negative; with point set there is a digit after the point, as in Python's str.
func general(f float64, precision int, point, alternate bool) string {
	precision = max(precision, 1)
	scientific := strconv.FormatFloat(f, 'e', precision-1, 64)
	mantissa, exponent, _ := strings.Cut(scientific, "e")
	x, _ := strconv.Atoi(exponent)
	plain := x >= -4 && x < precision-pick(point, 1, 0)
	if plain {
		mantissa = strconv.FormatFloat(f, 'f', precision-1-x, 64)
	}
	if !alternate && strings.Contains(mantissa, ".") {
		mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
	}
	whole := !strings.Contains(mantissa, ".")
	if alternate && whole {
		mantissa += "."
	}
	if !plain {
		return mantissa + "e" + exponent
	}
	if point && whole {
		mantissa += pick(alternate, "0", ".0")
	}
	return mantissa
}
