package chat

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// knowledge is what a template understands, judged by what its text mentions. Revisions of Gemma's format differ in it.
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

// attach makes messages of all answers of tools, each with the id and the name of the call that it answers: the one that has its
// id, else the next of its name, else the next; where there are more answers than calls, one with a name stands for itself. Markup
// has no ids, so that answers of one function are told apart by their place alone: they are put in the order of their calls.
func attach(messages []Message) ([]Message, error) {
	var out []Message
	for i := 0; i < len(messages); {
		m := messages[i]
		if m.Role == "tool" {
			return nil, fmt.Errorf("chat: message %d: a tool's answer without a call, expected an assistant message with "+
				"tool_calls before it", i)
		}
		var answers []Message
		var from []int // their messages
		for _, r := range m.ToolResponses {
			answers, from = append(answers, Message{Role: "tool", Name: r.Name, Response: r.Response}), append(from, i)
		}
		for i++; len(m.ToolCalls) > 0 && i < len(messages) && messages[i].Role == "tool"; i++ {
			answers, from = append(answers, messages[i]), append(from, i)
		}
		var at int
		var err error
		if m.ToolCalls, at, err = match(m.ToolCalls, answers); err != nil {
			return nil, fmt.Errorf("chat: message %d: %w", from[at], err)
		}
		m.answered, m.ToolResponses = len(m.ToolResponses) > 0, nil
		out = append(append(out, m), answers...)
	}
	return out, nil
}

// match gives the answers the ids and names of their calls, and their order to those of one function. Where ids of calls are
// missing or not unique it returns calls with ids of its own. at is the answer that an error is about.
func match(calls []Call, answers []Message) (identified []Call, at int, err error) {
	if len(answers) == 0 {
		return calls, 0, nil
	}
	ids := map[string]bool{}
	for _, c := range calls {
		ids[c.ID] = true
	}
	identified = calls
	if len(ids) < len(calls) || ids[""] {
		identified = slices.Clone(calls)
		for i := range identified {
			identified[i].ID = fmt.Sprintf("call_%d", i+1)
		}
	}
	answered := make([]bool, len(calls))
	first := map[string]int{}    // call of an id
	queues := map[string][]int{} // calls by id, by name, and all
	for i, c := range calls {
		if _, ok := first[c.ID]; !ok {
			first[c.ID] = i
		}
		for _, key := range []string{"id " + c.ID, "name " + c.Name, "all"} {
			queues[key] = append(queues[key], i)
		}
	}
	// next is the first call in a queue that has no answer.
	next := func(key string) (i int, ok bool) {
		queue := queues[key]
		for len(queue) > 0 && answered[queue[0]] {
			queue = queue[1:]
		}
		if queues[key] = queue; len(queue) == 0 {
			return 0, false
		}
		return queue[0], true
	}
	which := make([]int, len(answers)) // calls, from 1; 0: none
	hasIDs := len(ids) > 1 || !ids[""]
	for _, pass := range []string{"id", "name", "order"} {
		for at, a := range answers {
			byID := hasIDs && a.ToolCallID != ""
			if byID != (pass == "id") || which[at] > 0 {
				continue
			}
			var i int
			var ok bool
			switch pass {
			case "id":
				if i, ok = next("id " + a.ToolCallID); !ok {
					i, ok = first[a.ToolCallID] // another answer to the same call
				}
				if !ok {
					return nil, at, fmt.Errorf("tool_call_id %.60q, expected the id of a call in the assistant message before it", a.ToolCallID)
				}
			case "name":
				i, ok = next("name " + a.Name)
			case "order":
				if i, ok = next("all"); !ok && a.Name == "" {
					return nil, at, fmt.Errorf("a tool's answer too many without a name, expected one for each of %d calls", len(calls))
				}
			}
			if ok {
				which[at], answered[i] = i+1, true
			}
		}
	}
	for at := range answers {
		a := &answers[at]
		if i := which[at]; i > 0 {
			a.ToolCallID, a.Name = identified[i-1].ID, identified[i-1].Name
		} else {
			which[at] = len(calls) + 1
		}
		if a.Response = bytes.TrimSpace(a.Response); len(a.Response) > 0 && a.Response[0] == '"' {
			if err := json.Unmarshal(a.Response, &a.Content); err != nil {
				return nil, at, err
			}
			a.Response = nil
		}
	}
	// Answers keep the places of their function, in the order of its calls.
	order := make([]int, len(answers))
	places := map[string][]int{}
	for at, a := range answers {
		places[a.Name] = append(places[a.Name], at)
	}
	for _, at := range places {
		sorted := slices.Clone(at)
		slices.SortStableFunc(sorted, func(a, b int) int { return which[a] - which[b] })
		for i, to := range at {
			order[to] = sorted[i]
		}
	}
	unordered := slices.Clone(answers)
	for to, from := range order {
		answers[to] = unordered[from]
	}
	return identified, 0, nil
}

// fold turns answers of tools, attached, into what a template understands. A template of the role tool understands text; one of
// tool_responses takes any value there. One that knows only tool_responses is given answers that are JSON as values, and goes on
// with the next message's content where it has that of the message that calls, unless the answers came there.
func (k knowledge) fold(messages []Message) ([]Message, error) {
	var out []Message
	for i := 0; i < len(messages); {
		m := messages[i]
		var answers []Message
		values := false
		for i++; i < len(messages) && messages[i].Role == "tool"; i++ {
			answers = append(answers, messages[i])
			values = values || len(messages[i].Response) > 0
		}
		if len(answers) > 0 && k.toolResponses && (!k.toolRole || values) {
			for _, a := range answers {
				response, err := a.response(k.toolRole)
				if err != nil {
					return nil, err
				}
				m.ToolResponses = append(m.ToolResponses, ToolResponse{Name: a.Name, Response: response})
			}
			if !k.toolRole && !m.answered && i < len(messages) && messages[i].model() && len(messages[i].ToolCalls) == 0 {
				m.Content, m.Parts = messages[i].Content, messages[i].Parts
				i++
			}
			answers = nil
		}
		for j := range answers {
			if a := &answers[j]; len(a.Response) > 0 {
				a.Content, a.Response = string(a.Response), nil
			}
		}
		out = append(append(out, m), answers...)
	}
	return out, nil
}

// response returns a tool's answer as a value: text stays text if asText, else it may be JSON, and parts are a list.
func (m Message) response(asText bool) (json.RawMessage, error) {
	switch {
	case len(m.Response) > 0:
		return m.Response, nil
	case len(m.Parts) > 0 && !asText:
		return marshal(m.Parts)
	case len(m.Parts) > 0:
		for _, p := range m.Parts {
			if p.Type != "text" {
				return nil, fmt.Errorf("chat: answer of tool %.60q: parts other than text beside an answer that is a JSON value: "+
					"the template cannot hold both", m.Name)
			}
		}
		return marshal(m.text())
	case !asText:
		if _, err := decodeJSON([]byte(m.Content)); err == nil {
			return json.RawMessage(m.Content), nil
		}
	}
	return marshal(m.Content)
}
