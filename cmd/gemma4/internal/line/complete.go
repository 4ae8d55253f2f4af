package line

// tab completes what stands before the cursor, or is a character of the text where nothing is to be completed.
func (e *Editor) tab() {
	if e.Complete != nil {
		if more, ok := e.Complete(text(e.line[:e.at])); ok {
			e.insert(more)
			return
		}
	}
	e.insert("\t")
}
