// Package chat turns a conversation into the text that Gemma 4 reads, and what Gemma 4 writes into an answer.
//
// # Messages to text
//
// A [Conversation] holds messages and the tools that the model may call. Its JSON is that of the OpenAI chat API, so it
// can be read from a file or a request as it is. A [Template] renders it:
//
//	c := chat.Conversation{Messages: []chat.Message{
//		{Role: "system", Content: "Be brief."},
//		{Role: "user", Content: "What is the capital of France?"},
//	}}
//	prompt, err := chat.Builtin().Render(ctx, c, nil)
//	// <bos><|turn>system
//	// Be brief.<turn|>
//	// <|turn>user
//	// …
//
// [Builtin] and [BuiltinEdge] are the format of Gemma 4 as published in July 2026, for files that carry no template; [Parse]
// reads the Jinja template of a file. The revisions that circulate differ in how answers of tools reach them; every one gets
// them in the form that its text mentions.
//
// # What a template may do
//
// A file's template is a program by a stranger. Here it can make text and nothing else: it sees the conversation and a
// clock (strftime_now), there is no include, import or extends and nothing that reads a file, and its steps, its depth,
// its memory and its output are bounded. It stops when the context is done. Whatever it breaks comes out as an error:
// [ErrLimit] for a bound, [ErrRefused] when the template itself calls raise_exception.
//
// Templates are parsed and run by internal/jinja, by the rules of Jinja 3, because every operation has to be measured before it is
// done.
//
// # Text that looks like markup
//
// A user may type <|turn>model, a tool may return it, a tool may even be named so. That is text, and the model must read
// it as text. Render is therefore told the markup of the vocabulary, and [Prompt].Literal lists the offsets at which text
// of the conversation, not of the template, could be taken for markup. The tokenizer makes no markup token there.
//
// # Text to answer
//
// A [Parser] takes the model's tokens as they come and gives events: pieces of thought, pieces of text, whole tool calls.
// It is told which pieces are tokens of markup, so that the same characters written as ordinary text stay text:
//
//	var p chat.Parser
//	for … {
//		for _, e := range p.Push(piece, isMarkup) {
//			switch e.Kind {
//			case chat.Thought, chat.Text:
//				fmt.Print(e.Text)
//			case chat.ToolCall:
//				run(e.Call)
//			}
//		}
//	}
//	events := p.Close()
//
// [Parser.Prompt] takes the prompt first, for an answer begins in the thought that a prompt has opened. A call of which it is plain
// what is meant, though the model left the format, is one with Call.Mended set. What is no call, or cut off, becomes text with an
// error that says where it broke; nothing is lost. [Answer] makes the message out of the events, to be appended to the
// conversation. [ParseText] does all of it for a complete text.
package chat
