package grammar

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
)

// SchemaOptions say how a JSON schema becomes a grammar.
type SchemaOptions struct {
	// Layout says where white space stands.
	Layout Layout
	// Closed leaves out properties that the schema does not name where it names some and says nothing about others.
	Closed bool
	// Loose drops keywords that cannot be enforced, instead of refusing the schema. [Grammar.Loosened] names them.
	Loose bool
}

// Schema returns the grammar of the JSON values that a JSON schema allows, of draft 2020-12, or of 4 to 7 where $schema says so.
//
// There is one spelling of each value: properties stand in the schema's order, required ones that it does not describe after them, others
// last; numbers have no needless signs and zeros, those with bounds no exponents; strings hold characters as they are, and escapes only
// where JSON needs them. Known formats are enforced. Keys that the schema does not name can come twice.
//
// Keywords that cannot be enforced exactly are errors, as is a $ref to another document; they wrap [ErrUnsupported] and name the keyword
// and its JSON pointer.
func Schema(v *Vocabulary, schema []byte, o SchemaOptions) (*Grammar, error) {
	options := []byte{byte(o.Layout), bit(o.Closed), bit(o.Loose)}
	g, err := v.cache.get(key{[]byte("schema"), options, schema}, func() (*Grammar, error) { return schemaGrammar(v, schema, o) })
	if err != nil {
		return nil, fmt.Errorf("grammar: schema: %w", err)
	}
	return g, nil
}

func schemaGrammar(v *Vocabulary, schema []byte, o SchemaOptions) (*Grammar, error) {
	root, err := parseJSON(schema)
	if err != nil {
		return nil, err
	}
	c := newCompiler(newSpeller(o.Layout.style()), o)
	c.open(root)
	body, err := c.compile([]*value{root}, 0)
	if err != nil {
		return nil, err
	}
	g, err := v.grammar(c.builder, body)
	if err == nil {
		g.loosened = c.loosened
	}
	return g, err
}

// ErrUnsupported is wrapped by errors about what cannot be enforced.
var ErrUnsupported = errors.New("not supported")

// A compiler makes bodies of schemas. A list of schemas stands for the values that all of them allow.
type compiler struct {
	*speller
	options   SchemaOptions
	root      *value
	old       bool // drafts before 2019-09: nothing beside $ref counts, and items may be a list
	anchors   map[string]*value
	known     map[string]*body // by the schemas' identity
	ids       map[*value]int
	loosened  []string
	dropped   map[string]bool
	rewritten map[[2]*value][]*value
	depth     int
	steps     int
	patterns  map[string]*expr
	formats   map[string]*expr // by name
}

// Bounds on the work that a schema makes.
const (
	maxSchemaDepth  = 1000
	maxCases        = 2000
	maxSteps        = 100000
	maxPatterns     = 4
	maxCountedNames = 64
)

func newCompiler(w *speller, o SchemaOptions) *compiler {
	return &compiler{speller: w, options: o, known: map[string]*body{}, ids: map[*value]int{}, dropped: map[string]bool{},
		patterns: map[string]*expr{}, formats: map[string]*expr{}, rewritten: map[[2]*value][]*value{}}
}

// open begins a schema.
func (c *compiler) open(root *value) {
	c.root = root
	if s := root.get("$schema"); s != nil {
		for _, draft := range []string{"draft-03", "draft-04", "draft-05", "draft-06", "draft-07"} {
			c.old = c.old || strings.Contains(s.text, draft)
		}
	}
	c.findAnchors()
}

// A keywordError is about a keyword that cannot be enforced, or that means nothing.
type keywordError struct {
	keyword, pointer, why string
	kind                  error
}

func (e *keywordError) Error() string {
	if e.kind == ErrUnsupported {
		return fmt.Sprintf("%s at %s: %v: %s", e.keyword, e.pointer, e.kind, e.why)
	}
	return fmt.Sprintf("%s at %s: %s", e.keyword, e.pointer, e.why)
}

func (e *keywordError) Unwrap() error { return e.kind }

// unsupported is the error that a keyword of a schema cannot be enforced; where that is allowed it is noted instead.
func (c *compiler) unsupported(schema *value, keyword, why string) error {
	return c.drop(&keywordError{keyword, schema.pointer(), why, ErrUnsupported})
}

// drop returns an error about a keyword, unless keywords may be dropped.
func (c *compiler) drop(err error) error {
	var e *keywordError
	if !c.options.Loose || !errors.As(err, &e) {
		return err
	}
	if s := e.keyword + " at " + e.pointer; !c.dropped[s] {
		c.dropped[s] = true
		c.loosened = append(c.loosened, s)
	}
	return nil
}

// errInvalid is wrapped by errors about what is no schema.
var errInvalid = errors.New("no schema")

func (c *compiler) invalid(schema *value, keyword, want string) error {
	return c.drop(&keywordError{keyword, schema.pointer(), "expected " + want, errInvalid})
}

// types of values.
type types uint8

const (
	null types = 1 << iota
	boolean
	integer
	fraction // a number that is no integer
	text
	array
	object
	every = 1<<iota - 1
)

// typeNames are the types by name; !fraction is one for rewritten schemas only.
var typeNames = map[string]types{
	"!fraction": fraction,
	"null":      null,
	"boolean":   boolean,
	"integer":   integer,
	"number":    integer | fraction,
	"string":    text,
	"array":     array,
	"object":    object,
}

// A facts is what a list of schemas says together, in one of its cases.
type facts struct {
	types                types
	enum                 []*value // where there is one
	hasEnum              bool
	notEnum              []*value
	number               numberRange
	multiples            []*value // schemas with multipleOf
	minLength, maxLength int32    // maxima below 0 are none
	strings              []*expr
	objects, arrays      []*value // schemas about members, about elements
	required             []string
	minProps, maxProps   int32
	minItems, maxItems   int32
	names                []*value // of propertyNames
	unique               *value
	seen                 visited
	choices              [][]*value // one of each must hold, too
}

func newFacts() *facts {
	return &facts{types: every, maxLength: -1, maxProps: -1, maxItems: -1}
}

// clone returns facts that can be added to without a change of f. Lists are shared: adding to one makes a new one.
func (f *facts) clone() *facts {
	g := *f
	for _, list := range []*[]*value{&g.enum, &g.notEnum, &g.multiples, &g.objects, &g.arrays, &g.names, &g.seen.few} {
		*list = slices.Clip(*list)
	}
	g.strings, g.required, g.choices = slices.Clip(f.strings), slices.Clip(f.required), slices.Clip(f.choices)
	g.seen.many = maps.Clone(f.seen.many)
	return &g
}

// visited is a set of schemas, most often a small one.
type visited struct {
	few  []*value
	many map[*value]bool
}

// add reports whether a schema is new.
func (v *visited) add(s *value) bool {
	if v.many[s] || slices.Contains(v.few, s) {
		return false
	}
	if len(v.few) < 32 {
		v.few = append(v.few, s)
		return true
	}
	if v.many == nil {
		v.many = map[*value]bool{}
	}
	v.many[s] = true
	return true
}

// cases returns what schemas say together, one facts for each way to meet them.
func (c *compiler) cases(schemas []*value) ([]*facts, error) {
	var all []*facts
	err := c.expand(c.first(schemas), newFacts(), schemas, &all)
	return all, err
}

// first returns a schema to name in errors about a list.
func (c *compiler) first(schemas []*value) *value {
	if len(schemas) == 0 {
		return c.root
	}
	return schemas[0]
}

// expand adds to all the cases of facts with the schemas of a queue. At is the schema to name in errors.
func (c *compiler) expand(at *value, f *facts, queue []*value, all *[]*facts) error {
	for len(queue) > 0 {
		s := queue[0]
		queue = queue[1:]
		if c.steps++; c.steps > maxSteps {
			return fmt.Errorf("%w: the schema takes more than %d steps, up to %s", ErrLimit, maxSteps, s.pointer())
		}
		switch {
		case s.kind == 't':
			continue
		case s.kind == 'f':
			return nil
		case s.kind != '{':
			if err := c.invalid(s, "schema", "an object or a boolean"); err != nil {
				return err
			}
			continue
		}
		if !f.seen.add(s) {
			continue
		}
		more, ok, err := c.gather(f, s)
		if err != nil || !ok {
			return err
		}
		queue = append(queue[:len(queue):len(queue)], more...)
	}
	if f.types == 0 || f.hasEnum && len(f.enum) == 0 {
		return nil
	}
	if len(f.choices) == 0 {
		if *all = append(*all, f); len(*all) > maxCases {
			return fmt.Errorf("%w: the schema has more than %d cases at %s", ErrLimit, maxCases, at.pointer())
		}
		return nil
	}
	first := f.choices[0]
	f.choices = f.choices[1:]
	for _, s := range first {
		if err := c.expand(at, f.clone(), []*value{s}, all); err != nil {
			return err
		}
	}
	return nil
}

// gather adds to the facts what one schema says, and returns the schemas that it says more with; it is not ok if nothing meets it.
func (c *compiler) gather(f *facts, s *value) (more []*value, ok bool, err error) {
	if ref := s.get("$ref"); ref != nil {
		to, err := c.resolve(s, ref)
		if err == nil {
			more = append(more, to)
		} else if err = c.drop(err); err != nil {
			return nil, false, err
		}
		if c.old {
			return more, true, nil
		}
	}
	about := types(0)
	for i, name := range s.names {
		x := s.list[i]
		var err error
		switch name {
		case "type":
			err = c.gatherType(f, s, x)
		case "enum":
			if x.kind != '[' {
				err = c.invalid(s, name, "an array")
				break
			}
			f.meet(x.list)
		case "const":
			f.meet([]*value{x})
		case "!enum":
			f.notEnum = append(f.notEnum, x.list...)
		case "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum":
			err = c.gatherBound(f, s, name, x)
		case "multipleOf":
			f.multiples = append(f.multiples, s)
		case "minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties":
			err = c.gatherCount(f, s, name, x)
		case "pattern", "!pattern":
			err = c.gatherPattern(f, s, name, x)
		case "format":
			if e, known := c.format(x.text); known {
				f.strings = append(f.strings, e)
			}
		case "properties", "patternProperties", "additionalProperties":
			about |= object
		case "required":
			if x.kind == '[' { // draft 3 has a boolean
				for _, name := range x.list {
					if name.kind == '"' && !slices.Contains(f.required, name.text) {
						f.required = append(f.required, name.text)
					}
				}
			}
		case "propertyNames":
			f.names = append(f.names, x)
		case "items", "prefixItems", "additionalItems":
			about |= array
		case "uniqueItems":
			if x.kind == 't' {
				f.unique = s
			}
		case "contains":
			if m := s.get("minContains"); c.old || m == nil || m.text != "0" || s.get("maxContains") != nil {
				err = c.unsupported(s, name, "elements cannot be counted by what they are")
			}
		case "unevaluatedProperties", "unevaluatedItems":
			if x.kind != 't' {
				if err = c.unevaluated(s, name, x); err == nil && name == "unevaluatedProperties" {
					about |= object
				}
			}
		case "allOf":
			more = append(more, x.list...)
		case "anyOf":
			if x.kind != '[' {
				err = c.invalid(s, name, "an array")
				break
			}
			f.choices = append(f.choices, x.list)
		case "oneOf":
			var list []*value
			if list, err = c.rewrite(s, x, func() ([]*value, error) { return c.exclusive(s, x) }); err == nil {
				f.choices = append(f.choices, list)
			}
		case "not":
			var list []*value
			if list, err = c.negate(s, x); err == nil {
				f.choices = append(f.choices, list)
			} else if errors.Is(err, ErrUnsupported) {
				err = c.unsupported(s, name, "what it excludes cannot be told")
			}
		case "if":
			var list []*value
			condition := func() ([]*value, error) { return c.conditional(s, x) }
			if list, err = c.rewrite(c.root, x, condition); err == nil && list != nil {
				f.choices = append(f.choices, list)
			}
		case "dependentRequired", "dependentSchemas", "dependencies":
			if x.kind == '{' {
				f.choices = append(f.choices, c.dependencies(x)...)
			}
		case "$dynamicRef", "$recursiveRef":
			if strings.TrimPrefix(x.text, "#") == "" {
				more = append(more, c.root)
				break
			}
			err = c.unsupported(s, name, "references that depend on the path to them")
		}
		if err != nil {
			return nil, false, err
		}
	}
	if about&object != 0 {
		f.objects = append(f.objects, s)
	}
	if about&array != 0 {
		f.arrays = append(f.arrays, s)
	}
	return more, true, nil
}

func (c *compiler) gatherType(f *facts, s, x *value) error {
	list := []*value{x}
	if x.kind == '[' {
		list = x.list
	}
	var t types
	for _, name := range list {
		switch is, ok := typeNames[name.text]; {
		case ok:
			t |= is
		case name.text == "any" && c.old:
			t |= every
		default:
			want := "array, boolean, integer, null, number, object or string"
			if name.kind == '"' {
				want += fmt.Sprintf(", found %.60q", name.text)
			}
			if err := c.invalid(s, "type", want); err != nil {
				return err
			}
			t = every
		}
	}
	f.types &= t
	return nil
}

// meet keeps of the values those of list.
func (f *facts) meet(list []*value) {
	if !f.hasEnum {
		f.enum, f.hasEnum = slices.Clone(list), true
		return
	}
	f.enum = slices.DeleteFunc(slices.Clone(f.enum), func(v *value) bool { return !slices.ContainsFunc(list, v.equal) })
}

func (c *compiler) gatherBound(f *facts, s *value, name string, x *value) error {
	open := strings.HasPrefix(name, "exclusive")
	if x.kind == 't' || x.kind == 'f' {
		if !open {
			return c.invalid(s, name, "a number")
		}
		return nil // draft 4: minimum and maximum look at it
	}
	r := rational(x.text)
	if x.kind != '0' || r == nil {
		return c.invalid(s, name, fmt.Sprintf("a number of at most %d digits", maxDigits))
	}
	lower := strings.HasSuffix(name, "inimum")
	if lower {
		e := s.get("exclusiveMinimum")
		open = open || e != nil && e.kind == 't'
		if b := &f.number; b.lo == nil || r.Cmp(b.lo) > 0 || r.Cmp(b.lo) == 0 && open {
			b.lo, b.loOpen = r, open
		}
		return nil
	}
	e := s.get("exclusiveMaximum")
	open = open || e != nil && e.kind == 't'
	if b := &f.number; b.hi == nil || r.Cmp(b.hi) < 0 || r.Cmp(b.hi) == 0 && open {
		b.hi, b.hiOpen = r, open
	}
	return nil
}

func (c *compiler) gatherCount(f *facts, s *value, name string, x *value) error {
	r := rational(x.text)
	if x.kind != '0' || r == nil || !r.IsInt() || r.Sign() < 0 {
		return c.invalid(s, name, "a natural number")
	}
	n := int32(math.MaxInt32 - 1)
	if r.Cmp(new(big.Rat).SetInt64(int64(n))) < 0 {
		n = int32(r.Num().Int64())
	}
	least := map[string]*int32{"minLength": &f.minLength, "minItems": &f.minItems, "minProperties": &f.minProps}
	most := map[string]*int32{"maxLength": &f.maxLength, "maxItems": &f.maxItems, "maxProperties": &f.maxProps}
	if p := least[name]; p != nil {
		*p = max(*p, n)
	}
	if p := most[name]; p != nil && (*p < 0 || n < *p) {
		*p = n
	}
	return nil
}

func (c *compiler) gatherPattern(f *facts, s *value, name string, x *value) error {
	if x.kind != '"' {
		return c.invalid(s, name, "a string")
	}
	e, err := c.pattern(x.text)
	if err != nil {
		return c.unsupported(s, strings.TrimPrefix(name, "!"), err.Error())
	}
	if name == "!pattern" {
		e = c.and(c.rest, c.not(e))
	}
	f.strings = append(f.strings, e)
	return nil
}

// pattern returns the contents in which a pattern of ECMA 262 is found.
func (c *compiler) pattern(text string) (*expr, error) {
	if e, ok := c.patterns[text]; ok {
		return e, nil
	}
	p := pattern{c.arena, c.char}
	var marks []lookahead
	re, err := parseAhead(text, &marks)
	if err != nil {
		return nil, err
	}
	var e *expr
	if len(marks) == 0 {
		e, err = p.search(re)
	} else {
		e, err = aheadPattern{p, marks, c.rest}.search(re)
	}
	if err == nil {
		c.patterns[text] = e
	}
	return e, err
}

// fromECMA writes a pattern as package regexp has it.
func fromECMA(text string) string {
	var b strings.Builder
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' || i+1 == len(text) {
			b.WriteByte(text[i])
			continue
		}
		i++
		switch n := len(text); {
		case text[i] == 'u' && i+4 < n && text[i+1] != '{':
			if _, err := strconv.ParseUint(text[i+1:i+5], 16, 32); err == nil {
				b.WriteString(`\x{` + text[i+1:i+5] + `}`)
				i += 4
				continue
			}
		case text[i] == 'u' && i+1 < n && text[i+1] == '{':
			b.WriteString(`\x`)
			continue
		case text[i] == '/':
			b.WriteByte('/')
			continue
		}
		b.WriteByte('\\')
		b.WriteByte(text[i])
	}
	return b.String()
}

// compile returns the body of the values that all schemas allow, at a depth.
func (c *compiler) compile(schemas []*value, depth int) (*body, error) {
	key := c.identity(schemas, depth)
	if b, ok := c.known[key]; ok {
		return b, nil
	}
	if c.err != nil {
		return nil, c.err
	}
	if c.depth++; c.depth > maxSchemaDepth {
		return nil, fmt.Errorf("%w: schemas nested deeper than %d at %s", ErrLimit, maxSchemaDepth, c.first(schemas).pointer())
	}
	defer func() { c.depth-- }()
	r := c.rule(nil)
	c.known[key] = ruleBody(r)
	cases, err := c.cases(schemas)
	if err != nil {
		return nil, err
	}
	var list []*body
	e := c.none
	for _, f := range cases {
		bodies, err := c.values(f, depth)
		if err != nil {
			return nil, err
		}
		for _, b := range bodies {
			if b.kind == bodyBytes {
				e = c.alt(e, b.e)
			} else {
				list = append(list, b)
			}
		}
	}
	if e != c.none || len(list) == 0 {
		list = append(list, bytesBody(e))
	}
	b := list[0]
	if len(list) > 1 {
		b = choice(list...)
	}
	c.bodies[r] = b
	if b.kind == bodyBytes {
		c.known[key] = b // what needs no rule
	}
	return c.known[key], c.err
}

// identity names a list of schemas.
func (c *compiler) identity(schemas []*value, depth int) string {
	var ids []int
	for _, s := range schemas {
		id, ok := c.ids[s]
		if !ok {
			id = len(c.ids)
			c.ids[s] = id
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	if c.indent == "" {
		depth = 0
	}
	return fmt.Sprint(min(depth, maxIndent), slices.Compact(ids))
}

// values returns the bodies of the values that meet the facts.
func (c *compiler) values(f *facts, depth int) ([]*body, error) {
	if f.hasEnum {
		return c.enum(f, depth)
	}
	var list []*body
	add := func(b *body, err error) error {
		if b != nil {
			list = append(list, b)
		}
		return err
	}
	var err error
	for t := null; t <= object && err == nil; t <<= 1 {
		switch f.types & t {
		case null:
			if !f.excludes('n') {
				list = append(list, c.text("null"))
			}
		case boolean:
			if !f.excludes('t') {
				list = append(list, c.text("true"))
			}
			if !f.excludes('f') {
				list = append(list, c.text("false"))
			}
		case integer:
			err = add(c.number(f))
		case fraction:
			if f.types&integer == 0 {
				err = add(c.number(f))
			}
		case text:
			err = add(c.str(c.stringOf(f)), nil)
		case array:
			err = add(c.array(f, depth))
		case object:
			err = add(c.object(f, depth))
		}
	}
	return list, err
}

func (f *facts) excludes(kind byte) bool {
	return slices.ContainsFunc(f.notEnum, func(v *value) bool { return v.kind == kind })
}

// stringOf returns the contents of the strings that meet the facts.
func (c *compiler) stringOf(f *facts) *expr {
	list := slices.Clone(f.strings)
	if f.minLength > 0 || f.maxLength >= 0 {
		if f.maxLength >= 0 && f.minLength > f.maxLength {
			return c.none
		}
		list = append(list, c.repeat(c.one, f.minLength, f.maxLength))
	}
	var not []string
	for _, v := range f.notEnum {
		if v.kind == '"' {
			if s, err := c.content(v.text); err == nil {
				not = append(not, s)
			}
		}
	}
	if len(not) > 0 {
		list = append(list, c.not(c.literals(not)))
	}
	if len(f.strings) == 0 && (f.minLength == 0 && f.maxLength < 0) {
		list = append(list, c.rest)
	}
	return c.and(list...)
}

// number returns the body of the numbers that meet the facts.
func (c *compiler) number(f *facts) (*body, error) {
	only := f.types&fraction == 0
	e := c.decimals(f.number)
	switch {
	case only:
		e = c.integers(f.number)
	case f.types&integer == 0:
		e = c.and(e, c.plain(), c.not(c.whole()))
	}
	for _, s := range f.multiples {
		x := s.get("multipleOf")
		r := rational(x.text)
		if x.kind != '0' || r == nil || r.Sign() <= 0 {
			if err := c.invalid(s, "multipleOf", "a positive number"); err != nil {
				return nil, err
			}
			continue
		}
		m := c.multiples(r, only)
		if m == nil {
			if err := c.unsupported(s, "multipleOf", "a number with so many digits"); err != nil {
				return nil, err
			}
			continue
		}
		e = c.and(e, m)
	}
	for _, v := range f.notEnum {
		if v.kind != '0' {
			continue
		}
		r := rational(v.text)
		if r == nil {
			continue
		}
		same := c.decimals(numberRange{lo: r, hi: r})
		if !only {
			e = c.and(e, c.plain())
		}
		e = c.and(e, c.not(same))
	}
	return bytesBody(e), nil
}

// enum returns the bodies of the values of an enum that meet all else.
func (c *compiler) enum(f *facts, depth int) ([]*body, error) {
	var strings, others []string
	var bodies []*body
	for _, v := range f.enum {
		ok, err := c.holds(f, v)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		if v.kind == '"' {
			s, err := c.content(v.text)
			if err != nil {
				return nil, err
			}
			strings = append(strings, s)
			continue
		}
		b, err := c.write(v, depth)
		switch {
		case err != nil:
			return nil, err
		case b.kind == bodyBytes:
			others = append(others, c.shortest(b.e))
		default:
			bodies = append(bodies, b)
		}
	}
	if len(strings) > 0 {
		bodies = append(bodies, c.str(c.literals(strings)))
	}
	if len(others) > 0 {
		bodies = append(bodies, bytesBody(c.literals(others)))
	}
	return bodies, nil
}

// write returns the body of one value.
func (c *compiler) write(v *value, depth int) (*body, error) {
	switch v.kind {
	case 'n':
		return c.text("null"), nil
	case 't':
		return c.text("true"), nil
	case 'f':
		return c.text("false"), nil
	case '0':
		if r := rational(v.text); r != nil && r.IsInt() {
			return c.text(r.Num().String()), nil
		}
		return c.text(v.text), nil
	case '"':
		s, err := c.content(v.text)
		return c.str(c.literal(s)), err
	}
	f := c.frame("{}", depth)
	if v.kind == '[' {
		f = c.frame("[]", depth)
	}
	if len(v.list) == 0 {
		return c.text(f.empty), nil
	}
	parts := []*body{c.text(f.open)}
	for i, x := range v.list {
		if i > 0 {
			parts = append(parts, c.text(f.comma))
		}
		if v.kind == '{' {
			name, err := c.name(v, v.names[i])
			if err != nil {
				return nil, err
			}
			parts = append(parts, name)
		}
		b, err := c.write(x, depth+1)
		if err != nil {
			return nil, err
		}
		parts = append(parts, b)
	}
	return c.seq(append(parts, c.text(f.end))...), nil
}

// name returns a key that is known, with its colon.
func (c *compiler) name(at *value, name string) (*body, error) {
	s, err := c.content(name)
	if err != nil || c.call && !isBare(name) {
		why := fmt.Sprintf("the key %.60q cannot be written in a call", name)
		return nil, &keywordError{"properties", at.pointer(), why, ErrUnsupported}
	}
	return c.key(c.literal(s)), nil
}
