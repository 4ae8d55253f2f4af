package chat

import "bytes"

// answer writes the beginning of the model's answer behind its opening, and returns where it begins. A thought takes the place of an empty
// one in the opening.
func (w *writer) answer(m Message) (from int) {
	text, thought := m.Text(), m.Reasoning
	open := w.endsIn(channelOpen + thoughtLabel)
	if thought != "" && w.endsIn(channelOpen+thoughtLabel+channelClose) {
		w.b, open = w.b[:len(w.b)-len(channelClose)], true
	}
	from = len(w.b)
	if thought != "" && !open {
		w.markup(channelOpen, thoughtLabel)
	}
	w.text(thought)
	switch {
	case text == "":
	case thought != "":
		w.markup("\n", channelClose)
	case open: // it was not needed
		w.markup(channelClose)
	}
	w.text(text)
	return from
}

// endsIn reports whether the last that was written is this, all of it markup.
func (w *writer) endsIn(markup string) bool {
	from := len(w.b) - len(markup)
	return bytes.HasSuffix(w.b, []byte(markup)) && (len(w.literal) == 0 || w.literal[len(w.literal)-1].to <= from)
}
