// Package chat turns a conversation into the text that Gemma 4 reads, its prompt, and what Gemma 4 writes into an answer.
//
// # Words
//
// A conversation is a list of messages, each by one role. Markup is what the format adds to them: markers such as <|turn>, each a token
// of its own, and a few words between. A turn is what stands between <|turn> and <turn|>. The model's answer is made of thought, text
// and calls of tools; what a tool returns is its response.
//
// # From messages to a prompt
//
// A [Conversation] holds the messages and the tools that the model may call. Its JSON is that of the OpenAI chat API, so it can be read
// from a file or a request as it is. A [Template] renders it:
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
// [Builtin] and [BuiltinEdge] are the format of Gemma 4 as published in July 2026, for files that carry no template. [Parse] reads the
// Jinja template of a file. The revisions of it that circulate differ in how they take responses of tools; each gets them in the form
// that it mentions.
//
// # What a template may do
//
// A file's template is a program by a stranger. Here it can make text and nothing else: it sees the conversation and a clock
// (strftime_now), cannot include or import other templates or read files, and is bounded in steps, depth, memory and output. It stops
// when the context is done. Whatever it does wrong comes out as an error: [ErrLimit] for a bound, [ErrRefused] when the template itself
// calls raise_exception.
//
// # Text that looks like markup
//
// A user may type <|turn>model, a tool may return it, a tool may even be named so. That is text, and the model must read it as text.
// Render is therefore told the markers of the vocabulary, and [Prompt].Literal lists the offsets at which text of the conversation, not
// of the template, could be taken for one. The tokenizer makes no marker there.
//
// # From text to an answer
//
// A [Parser] takes what the model writes, token by token, and returns events: pieces of thought, pieces of text, whole calls. It is told
// which tokens are markers, so that the same characters written as ordinary text stay text:
//
//	var p chat.Parser
//	for … {
//		for _, e := range p.Push(piece, isMarker) {
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
// If the prompt leaves something open, a thought, say, the answer goes on with it: [Parser.Prompt] takes the prompt first. A call that
// breaks the format, but can only mean one thing, comes with Call.Mended set. Any other broken call, or one that is cut off, comes as
// text with an error that says where it broke; nothing is lost. [Answer] makes a message of the events, to be appended to the
// conversation. [ParseText] does all of this for a complete text.
package chat
