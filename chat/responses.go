package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// knowledge is what a template understands, judged by what its source mentions. The revisions of Gemma's template differ in it.
type knowledge struct {
	toolRole      bool // messages of role tool
	toolResponses bool // the list of a message that calls
	systemParts   bool // a first message of the system whose content is no string
}

var (
	mentionsToolRole = regexp.MustCompile(`tool_call_id|[!=]=\s*['"]tool['"]|['"]tool['"]\s*[!=]=|\bin\s*[\[(][^\])]*['"]tool['"]`)
	mentionsSystem   = regexp.MustCompile(`messages\[0\](?:\.content\b|\[['"]content['"]\])(\s*is\b)?`)
)

// everything is what the built-in format knows.
var everything = knowledge{toolRole: true, toolResponses: true, systemParts: true}

func knowledgeOf(source string) knowledge {
	k := knowledge{
		toolRole:      mentionsToolRole.MatchString(source),
		toolResponses: strings.Contains(source, "tool_responses"),
	}
	system := mentionsSystem.FindAllStringSubmatch(source, -1)
	k.systemParts = len(system) == 0 || slices.ContainsFunc(system, func(m []string) bool { return m[1] != "" })
	return k
}

// exchange is a message with the messages of role tool that answer its calls.
type exchange struct {
	Message
	responses []Message
	inside    bool // the responses were ToolResponses: Content comes after them
}

func (x exchange) answered() bool { return len(x.ToolResponses)+len(x.responses) > 0 }

// attach turns all responses of tools into messages, each with the id and the name of the call that it answers: the call with its id,
// else the next of its name, else the next; where there are more responses than calls, one with a name stands for itself. Gemma's format
// has no ids, so that only their places tell the responses of one function apart: they are put in the order of their calls.
func attach(messages []Message) ([]exchange, error) {
	var out []exchange
	for i := 0; i < len(messages); {
		m, first := messages[i], i
		if m.Role == "tool" {
			return nil, fmt.Errorf("chat: message %d: a tool's response without a call, expected an assistant message with "+
				"tool_calls before it", i)
		}
		x := exchange{Message: m, inside: len(m.ToolResponses) > 0}
		x.ToolResponses = nil
		for _, r := range m.ToolResponses {
			x.responses = append(x.responses, Message{Role: "tool", Name: r.Name, Response: r.Response})
		}
		for i++; len(m.ToolCalls) > 0 && i < len(messages) && messages[i].Role == "tool"; i++ {
			x.responses = append(x.responses, messages[i])
		}
		var at int
		var err error
		if x.ToolCalls, at, err = match(m.ToolCalls, x.responses); err != nil {
			return nil, fmt.Errorf("chat: message %d: %w", first+max(0, at+1-len(m.ToolResponses)), err)
		}
		out = append(out, x)
	}
	return out, nil
}

// match gives responses the ids and names of their calls, and puts those of one function in the order of its calls. It returns the
// calls, with ids of its own where theirs are missing or not unique. at is the response that an error is about.
func match(calls []Call, responses []Message) (identified []Call, at int, err error) {
	if len(responses) == 0 {
		return calls, 0, nil
	}
	which, at, err := newMatcher(calls).match(responses)
	if err != nil {
		return nil, at, err
	}
	identified = identify(calls)
	for at := range responses {
		a := &responses[at]
		if i := which[at]; i < len(calls) {
			a.ToolCallID, a.Name = identified[i].ID, identified[i].Name
		}
		if a.Response = bytes.TrimSpace(a.Response); len(a.Response) > 0 && a.Response[0] == '"' {
			a.Content, _ = decoded(a.Response).(string)
			a.Response = nil
		}
	}
	order(responses, which)
	return identified, 0, nil
}

// identify returns the calls, with new ids unless each has one of its own.
func identify(calls []Call) []Call {
	ids := map[string]bool{}
	for _, c := range calls {
		ids[c.ID] = true
	}
	if len(ids) == len(calls) && !ids[""] {
		return calls
	}
	calls = slices.Clone(calls)
	for i := range calls {
		calls[i].ID = fmt.Sprintf("call_%d", i+1)
	}
	return calls
}

// order sorts the responses of each function, within the places that they have, by the calls that which gives for them.
func order(responses []Message, which []int) {
	places := map[string][]int{}
	for at, a := range responses {
		places[a.Name] = append(places[a.Name], at)
	}
	unordered := slices.Clone(responses)
	for _, at := range places {
		sorted := slices.Clone(at)
		slices.SortStableFunc(sorted, func(a, b int) int { return which[a] - which[b] })
		for i, to := range at {
			responses[to] = unordered[sorted[i]]
		}
	}
}

// matcher finds the call that each of some responses answers.
type matcher struct {
	calls    []Call
	ids      bool // some call has one
	first    map[string]int
	byID     map[string][]int // calls that may have no response yet
	byName   map[string][]int
	all      []int
	answered []bool
}

func newMatcher(calls []Call) *matcher {
	m := &matcher{
		calls: calls, first: map[string]int{}, byID: map[string][]int{}, byName: map[string][]int{}, answered: make([]bool, len(calls)),
	}
	for i, c := range calls {
		m.ids = m.ids || c.ID != ""
		if _, ok := m.first[c.ID]; !ok {
			m.first[c.ID] = i
		}
		m.byID[c.ID], m.byName[c.Name], m.all = append(m.byID[c.ID], i), append(m.byName[c.Name], i), append(m.all, i)
	}
	return m
}

// match returns the call of each response, or the number of calls for one that stands for itself. Responses with an id choose first, then
// those with the name of a call, then the rest.
func (m *matcher) match(responses []Message) (which []int, at int, err error) {
	const none = -1
	which = slices.Repeat([]int{none}, len(responses))
	for _, find := range []func(Message) (int, error){m.ofID, m.ofName, m.ofOrder} {
		for at, a := range responses {
			if which[at] != none {
				continue
			}
			i, err := find(a)
			if err != nil {
				return nil, at, err
			}
			if which[at] = i; i >= 0 && i < len(m.calls) {
				m.answered[i] = true
			}
		}
	}
	return which, 0, nil
}

// next returns the first call that has no response, -1 for none, and the calls from there on.
func (m *matcher) next(calls []int) (i int, rest []int) {
	for len(calls) > 0 && m.answered[calls[0]] {
		calls = calls[1:]
	}
	if len(calls) == 0 {
		return -1, nil
	}
	return calls[0], calls
}

// ofID finds the call with the id of a response, if it has one: the next of several, or, for another response to one call, that call.
func (m *matcher) ofID(a Message) (i int, err error) {
	if !m.ids || a.ToolCallID == "" {
		return -1, nil
	}
	if i, m.byID[a.ToolCallID] = m.next(m.byID[a.ToolCallID]); i >= 0 {
		return i, nil
	}
	if i, ok := m.first[a.ToolCallID]; ok {
		return i, nil
	}
	return 0, fmt.Errorf("tool_call_id %.60q, expected the id of a call in the assistant message before it", a.ToolCallID)
}

// ofName finds the next call of a response's name.
func (m *matcher) ofName(a Message) (i int, err error) {
	i, m.byName[a.Name] = m.next(m.byName[a.Name])
	return i, nil
}

// ofOrder finds the next call; without one a response with a name stands for itself.
func (m *matcher) ofOrder(a Message) (i int, err error) {
	if i, m.all = m.next(m.all); i >= 0 {
		return i, nil
	}
	if a.Name == "" {
		return 0, fmt.Errorf("a tool's response too many without a name, expected one for each of %d calls", len(m.calls))
	}
	return len(m.calls), nil
}

// fold brings attached responses of tools into the form that a template understands: text in messages of role tool, any value in
// tool_responses. A template that knows only tool_responses gets responses that are JSON as values, and the content of the message that
// follows them in the message that calls, unless the responses came in that one.
func (k knowledge) fold(exchanges []exchange) ([]exchange, error) {
	var out []exchange
	for i := 0; i < len(exchanges); i++ {
		x := exchanges[i]
		values := slices.ContainsFunc(x.responses, func(a Message) bool { return len(a.Response) > 0 })
		if len(x.responses) > 0 && k.toolResponses && (!k.toolRole || values) {
			for _, a := range x.responses {
				response, err := a.response(k.toolRole)
				if err != nil {
					return nil, err
				}
				x.ToolResponses = append(x.ToolResponses, ToolResponse{Name: a.Name, Response: response})
			}
			x.responses = nil
			if !k.toolRole && !x.inside && i+1 < len(exchanges) && exchanges[i+1].model() && len(exchanges[i+1].ToolCalls) == 0 {
				i++
				x.Content, x.Parts = exchanges[i].Content, exchanges[i].Parts
			}
		}
		for j := range x.responses {
			if a := &x.responses[j]; len(a.Response) > 0 {
				a.Content, a.Response = string(a.Response), nil
			}
		}
		out = append(out, x)
	}
	return out, nil
}

// response returns what a tool says as a JSON value: text stays text if asText is set, else it may be JSON, and parts are a list.
func (m Message) response(asText bool) (json.RawMessage, error) {
	switch {
	case len(m.Response) > 0:
		return m.Response, nil
	case len(m.Parts) > 0 && !asText:
		return marshal(m.Parts)
	case len(m.Parts) > 0:
		for _, p := range m.Parts {
			if p.Type != "text" {
				return nil, fmt.Errorf("chat: response of tool %.60q: parts other than text beside a response that is a JSON value: "+
					"the template cannot hold both", m.Name)
			}
		}
		return marshal(m.Text())
	case !asText:
		if _, err := decodeJSON([]byte(m.Content)); err == nil {
			return json.RawMessage(m.Content), nil
		}
	}
	return marshal(m.Content)
}
