package chat

import "strings"

// input is a conversation as a template gets it: with the responses of tools in the form that it understands.
type input struct {
	messages  []Message
	tools     []Tool
	variables object
	thinking  bool
	generate  bool // open the model's next turn
}

// newInput checks a conversation and fits it to a template.
func newInput(c Conversation, knows knowledge) (*input, error) {
	variables, err := c.check()
	if err != nil {
		return nil, err
	}
	messages, err := attach(c.Messages)
	if err != nil {
		return nil, err
	}
	if messages, err = knows.fold(messages); err != nil {
		return nil, err
	}
	if !knows.systemParts && messages[0].system() && len(messages[0].Parts) > 0 {
		messages[0] = messages[0].joined()
	}
	return &input{messages, c.Tools, variables, c.Thinking, !c.NoGenerationPrompt}, nil
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
