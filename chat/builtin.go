package chat

import (
	"fmt"
	"slices"
)

// The texts of Gemma 4's format.
const (
	bos            = "<bos>"
	eos            = "<eos>"
	turnOpen       = "<|turn>"
	turnClose      = "<turn|>"
	channelOpen    = "<|channel>"
	channelClose   = "<channel|>"
	callOpen       = "<|tool_call>"
	callClose      = "<tool_call|>"
	responseOpen   = "<|tool_response>"
	responseClose  = "<tool_response|>"
	toolOpen       = "<|tool>"
	toolClose      = "<tool|>"
	quote          = `<|"|>`
	think          = "<|think|>"
	thoughtLabel   = "thought\n"
	emptyThought   = channelOpen + thoughtLabel + channelClose
	modelTurn      = turnOpen + "model\n"
	turnEnd        = turnClose + "\n"
	thinkingSystem = think + "\n"
)

// schemaKeys are not taken for names of properties.
var schemaKeys = []string{"description", "type", "properties", "required", "nullable"}

// gemma renders the published format of Gemma 4. It works on the values that a template works on, with the operations
// of templates, so that it agrees with the published template on every schema, however odd; where that one writes
// something odd, such as a declaration without its closing brace when a schema has no type, so does this one, because
// models were trained on it.
func gemma(r *run, in *input) error {
	g := &gemmaWriter{run: r}
	g.conversation(in)
	return g.err
}

// gemmaWriter writes to the run's output until the first error.
type gemmaWriter struct {
	*run
	err error
}

func (g *gemmaWriter) put(texts ...string) {
	for _, s := range texts {
		if g.err == nil {
			g.err = g.out.write(s)
		}
	}
}

// fail keeps the first error.
func (g *gemmaWriter) fail(err error) {
	if g.err == nil {
		g.err = err
	}
}

// must keeps the error of an operation and passes its result on.
func must[T any](g *gemmaWriter, v T, err error) T {
	g.fail(err)
	return v
}

// of returns v[key].
func (g *gemmaWriter) of(v value, key string) value {
	item, err := g.item(v, key)
	return must(g, item, err)
}

// str returns str(v), upperOf returns it in capitals, trimmed without the space around it.
func (g *gemmaWriter) str(v value) string {
	s, err := g.text(v)
	return must(g, s, err)
}

func (g *gemmaWriter) upperOf(v value) string {
	s, err := g.upper(g.str(v))
	return must(g, s, err)
}

func (g *gemmaWriter) trimmed(v value) string {
	s, err := g.strip(g.str(v), nil, true, true)
	return g.str(must(g, s, err))
}

// sorted returns the entries of an object as a template's dictsort does.
func (g *gemmaWriter) sorted(d *dict) []value {
	l, err := g.dictSort(d, false, 0, false)
	if g.fail(err); g.err != nil {
		return nil
	}
	return l.items
}

func entry(pair value) (key string, v value) {
	items := pair.(*list).items
	return items[0].(string), items[1]
}

func (g *gemmaWriter) conversation(in *input) {
	g.put(bos)
	messages := in.messages.items
	first := messages[0].(*dict)
	previous := "" // what the last message, or the system turn, ended in
	system := roleOf(first) == "system" || roleOf(first) == "developer"
	if in.thinking || in.tools != nil || system {
		g.put(turnOpen, "system\n")
		if in.thinking {
			g.put(thinkingSystem)
		}
		if system {
			g.put(g.trimmed(g.of(first, "content")))
			messages = messages[1:]
		}
		if tools, ok := in.tools.(*list); ok {
			for _, tool := range tools.items {
				g.put(toolOpen)
				g.declaration(g.of(tool, "function").(*dict))
				g.put(toolClose)
			}
		}
		g.put(turnEnd)
	}
	lastUser := -1
	for i, m := range messages {
		if roleOf(m) == "user" {
			lastUser = i
		}
	}
	before := "" // the role of the last message that is no tool's
	for i, m := range messages {
		if g.err == nil {
			g.err = g.step()
		}
		if g.err != nil {
			return
		}
		if role := roleOf(m); role != "tool" {
			previous = g.message(messages, i, before == "assistant", i > lastUser)
			before = role
		}
	}
	if in.generate && previous != "response" && previous != "call" {
		g.put(modelTurn)
		if !in.thinking {
			g.put(emptyThought)
		}
	}
}

func roleOf(m value) string {
	role, _ := m.(*dict).get("role")
	return role.(string)
}

// message writes the i-th message with the answers of the tools that it calls. afterModel says that the turn before was
// the model's too, which then goes on; current that no user's message follows. The result is "call" or "response" if
// the message ended in one, so that the model goes on from there.
func (g *gemmaWriter) message(messages []value, i int, afterModel, current bool) string {
	m := messages[i].(*dict)
	role := roleOf(m)
	model := role == "assistant"
	if model {
		role = "model"
	}
	if !model || !afterModel {
		g.put(turnOpen, role, "\n")
	}
	var calls []value
	if l, ok := m.get("tool_calls"); ok {
		calls = l.(*list).items
	}
	if thought, ok := m.get("reasoning"); ok && current && len(calls) > 0 {
		g.put(channelOpen, thoughtLabel, thought.(string), "\n", channelClose)
	}
	previous := ""
	for _, call := range calls {
		g.call(g.of(call, "function").(*dict))
		previous = "call"
	}
	answered := false
	for _, next := range messages[i+1:] {
		if len(calls) == 0 || roleOf(next) != "tool" {
			break
		}
		g.response(calls, next.(*dict))
		answered, previous = true, "response"
	}
	content := g.of(m, "content")
	if text, ok := content.(string); ok {
		g.content(text, model)
	} else {
		for _, part := range content.(*list).items {
			switch kind := g.of(part, "type"); kind {
			case "text":
				g.content(g.of(part, "text").(string), model)
			default:
				g.put("<|", kind.(string), "|>")
				previous = "media"
			}
		}
	}
	switch {
	case previous == "call" && !answered:
		g.put(responseOpen)
	case !answered || truth(content):
		g.put(turnEnd)
	}
	return previous
}

// content writes text, that of the model without its thoughts.
func (g *gemmaWriter) content(text string, model bool) {
	if model {
		text = g.withoutThoughts(text)
	}
	g.put(g.trimmed(text))
}

// pieces splits text, into one piece if there was an error.
func (g *gemmaWriter) pieces(text, sep string) []value {
	parts, err := g.split(text, sep, -1, false)
	if g.fail(err); g.err != nil {
		return []value{""}
	}
	return parts.(*list).items
}

// withoutThoughts drops what stands between <|channel> and <channel|>, or the end.
func (g *gemmaWriter) withoutThoughts(text string) string {
	b := &buffer{run: g.run}
	for _, part := range g.pieces(text, channelClose) {
		g.fail(b.write(g.pieces(part.(string), channelOpen)[0].(string)))
	}
	return b.String()
}

func (g *gemmaWriter) call(function *dict) {
	arguments := g.of(function, "arguments").(*dict)
	g.put(callOpen, "call:", g.of(function, "name").(string), "{")
	for i, pair := range g.sorted(arguments) {
		key, v := entry(pair)
		g.put(pick(i > 0, ",", ""), key, ":")
		g.argument(v, false)
	}
	g.put("}", callClose)
}

// response writes the answer of a tool under the name of the last call with its id.
func (g *gemmaWriter) response(calls []value, m *dict) {
	var name value = "unknown"
	if own, ok := m.get("name"); ok {
		name = own
	}
	id, _ := m.get("tool_call_id")
	for _, call := range calls {
		callID, _ := call.(*dict).get("id")
		same, err := g.equal(id, callID, 0)
		if must(g, same, err) {
			name = g.of(g.of(call, "function"), "name")
		}
	}
	content := g.of(m, "content")
	if parts, ok := content.(*list); ok {
		b := &buffer{run: g.run}
		for _, part := range parts.items {
			g.fail(b.write(g.of(part, "text").(string)))
		}
		content = b.String()
	}
	g.put(responseOpen, "response:", name.(string), "{value:", quote, content.(string), quote, "}", responseClose)
}

// argument writes a value of a call, or of a schema with its keys quoted.
func (g *gemmaWriter) argument(v value, quoteKeys bool) {
	if g.err == nil {
		g.err = g.step()
	}
	if g.err != nil {
		return
	}
	switch v := v.(type) {
	case string:
		g.put(quote, v, quote)
	case bool:
		g.put(pick(v, "true", "false"))
	case *dict:
		g.put("{")
		for i, pair := range g.sorted(v) {
			key, item := entry(pair)
			g.put(pick(i > 0, ",", ""))
			if quoteKeys {
				key = quote + key + quote
			}
			g.put(key, ":")
			g.argument(item, quoteKeys)
		}
		g.put("}")
	case *list:
		g.put("[")
		for i, item := range v.items {
			g.put(pick(i > 0, ",", ""))
			g.argument(item, quoteKeys)
		}
		g.put("]")
	default:
		g.put(g.str(v))
	}
}

// declaration writes a tool.
func (g *gemmaWriter) declaration(function *dict) {
	g.put("declaration:", g.of(function, "name").(string),
		"{description:", quote, g.of(function, "description").(string), quote)
	if v, _ := function.get("parameters"); truth(v) {
		parameters := v.(*dict)
		g.put(",parameters:{")
		if properties := g.of(parameters, "properties"); truth(properties) {
			g.put("properties:{")
			g.properties(properties)
			g.put("},")
		}
		if required := g.of(parameters, "required"); truth(required) {
			g.put("required:")
			g.names(required)
			g.put(",")
		}
		if kind := g.of(parameters, "type"); truth(kind) {
			g.put("type:", quote, g.upperOf(kind), quote, "}")
		}
	}
	if response, ok := function.get("response"); ok {
		g.put(",response:{")
		if description := g.of(response, "description"); truth(description) {
			g.put("description:", quote, g.str(description), quote, ",")
		}
		if kind := g.upperOf(g.of(response, "type")); g.is(kind, "OBJECT") {
			g.put("type:", quote, kind, quote, "}")
		}
	}
	g.put("}")
}

// is compares text that may hold marks with plain text.
func (g *gemmaWriter) is(text, plain string) bool { return g.marks.plain(text) == plain }

// names writes a list of strings.
func (g *gemmaWriter) names(v value) {
	items, err := g.iterate(v)
	g.put("[")
	for i, item := range must(g, items, err) {
		g.put(pick(i > 0, ",", ""), quote, g.str(item), quote)
	}
	g.put("]")
}

// properties writes the properties of a schema.
func (g *gemmaWriter) properties(v value) {
	d, ok := v.(*dict)
	if !ok {
		g.fail(fmt.Errorf("properties: %s, expected an object", describe(v)))
		return
	}
	found := false
	for _, pair := range g.sorted(d) {
		if g.err == nil {
			g.err = g.step()
		}
		if g.err != nil {
			return
		}
		key, v := entry(pair)
		if slices.Contains(schemaKeys, g.marks.plain(key)) {
			continue
		}
		g.put(pick(found, ",", ""), key, ":{")
		found = true
		g.property(v)
	}
}

// property writes the schema of one property up to its closing brace.
func (g *gemmaWriter) property(v value) {
	some := false
	field := func(texts ...string) {
		g.put(pick(some, ",", ""))
		g.put(texts...)
		some = true
	}
	if description := g.of(v, "description"); truth(description) {
		field("description:", quote, g.str(description), quote)
	}
	kind := g.upperOf(g.of(v, "type"))
	switch {
	case g.is(kind, "STRING"):
		if enum := g.of(v, "enum"); truth(enum) {
			field("enum:")
			g.argument(enum, true)
		}
	case g.is(kind, "ARRAY"):
		if items, ok := g.of(v, "items").(*dict); ok && len(items.keys) > 0 {
			field("items:{")
			g.itemSchema(items)
			g.put("}")
		}
	}
	if truth(g.of(v, "nullable")) {
		field("nullable:true")
	}
	if g.is(kind, "OBJECT") {
		properties, ok := g.of(v, "properties").(*dict)
		if !ok {
			// Without properties, the schema's own keys are taken for them.
			properties, ok = v.(*dict)
		}
		if ok {
			field("properties:{")
			g.properties(properties)
			g.put("}")
		}
		if required := g.of(v, "required"); truth(required) {
			field("required:")
			g.names(required)
		}
	}
	field("type:", quote, kind, quote, "}")
}

// itemSchema writes the schema of an array's items.
func (g *gemmaWriter) itemSchema(items *dict) {
	found := false
	for _, pair := range g.sorted(items) {
		key, v := entry(pair)
		if v == nil {
			continue
		}
		g.put(pick(found, ",", ""))
		found = true
		switch g.marks.plain(key) {
		case "properties":
			g.put("properties:{")
			if d, ok := v.(*dict); ok {
				g.properties(d)
			}
			g.put("}")
		case "required":
			g.put("required:")
			g.names(v)
		case "type":
			g.put("type:")
			g.itemType(v)
		default:
			g.put(key, ":")
			g.argument(v, true)
		}
	}
}

// itemType writes one type in capitals, or a list of them.
func (g *gemmaWriter) itemType(v value) {
	if s, ok := v.(string); ok {
		g.argument(g.upperOf(s), true)
		return
	}
	items, err := g.iterateTrue(v)
	kinds := &list{}
	for _, item := range must(g, items, err) {
		kinds.items = append(kinds.items, g.upperOf(item))
	}
	g.argument(kinds, true)
}
