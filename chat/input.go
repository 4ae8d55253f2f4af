package chat

import "strings"

// input is a conversation as a template gets it: with the responses of tools in the form that it understands.
type input struct {
	exchanges []exchange // at least one
	tools     []Tool
	variables object
	thinking  bool
	generate  bool    // open the model's next turn
	answer    Message // the beginning of that, if there is one
}

// newInput checks a conversation and fits it to a template.
func newInput(c Conversation, knows knowledge) (*input, error) {
	variables, err := c.check()
	if err != nil {
		return nil, err
	}
	var answer Message
	messages := c.Messages
	if last := len(messages) - 1; c.Continue {
		answer, messages = messages[last], messages[:last]
	}
	exchanges, err := attach(messages)
	if err != nil {
		return nil, err
	}
	if exchanges, err = knows.fold(exchanges); err != nil {
		return nil, err
	}
	if first := &exchanges[0]; !knows.systemParts && first.system() && len(first.Parts) > 0 {
		first.Message = first.joined()
	}
	return &input{exchanges, c.Tools, variables, c.Thinking, c.Continue || !c.NoGenerationPrompt, answer}, nil
}

// joined returns the message with the text of its parts as content, joined as templates join them: each trimmed.
func (m Message) joined() Message {
	var text strings.Builder
	for _, p := range m.Parts {
		text.WriteString(trim(p.Text))
	}
	m.Content, m.Parts = text.String(), nil
	return m
}
