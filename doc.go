// Package gemma4 runs Google's Gemma 4 models from GGUF files on ordinary computers, in pure Go.
//
// # First steps
//
// Open a file and ask it something:
//
//	m, err := gemma4.Open("gemma-4-E2B-it-Q4_K_M.gguf")
//	if err != nil {
//		return err
//	}
//	defer m.Close()
//	c, err := m.NewChat(gemma4.ChatOptions{})
//	if err != nil {
//		return err
//	}
//	for tok, err := range c.Ask(ctx, "What is the capital of France?") {
//		if err != nil {
//			return err
//		}
//		fmt.Print(tok.Text)
//	}
//
// [Open] maps the file into memory and checks all of it except the weights: that takes milliseconds, and memory for the vocabulary. A
// [Chat] renders the conversation with the template of the file, keeps what the model has read, and yields a [Token] per step: answer,
// thought or tool call. Errors say which file, tensor or key is wrong and what was expected.
//
// [Chat.Answer] returns the whole answer for those who do not need it while it is written, and [Collect] makes one message from any tokens.
//
// The next token is chosen as the model's maker advises; each option can be changed by itself, here the temperature and the seed, which
// makes the same text come again:
//
//	c.Options.Sampling = sampler.Overrides{Temperature: new(0.7), Seed: new(uint64(42))}
//
// Package hub fetches such files by their names, and finds those that other programs have fetched; package quantize makes them of other
// files and of the maker's checkpoints:
//
//	found, err := new(hub.Hub).Pull(ctx, "e2b", hub.With{})
//	m, err := gemma4.Open(found.Files...)
//
// To try it without a file, package nano embeds a small trained model: nano.Open() instead of gemma4.Open. The program cmd/gemma4 does all
// of this at a terminal; the folder examples holds one-screen programs to copy: a chat, a server, tools, a struct to fill, classification
// and more.
//
// # Values and functions
//
// [Generate] fills a Go value instead of a text: what the model writes is held to the schema of its type ([SchemaOf]), so that it decodes.
// [GenerateSeq] yields the value while it fills.
//
//	type City struct {
//		Name    string
//		Founded int `jsonschema:"year, negative before Christ"`
//	}
//	city, err := gemma4.Generate[City](ctx, c, "Which city do you like best? Say when it was founded.")
//
// [Tool] makes a tool of a function, and [Chat.Run] calls it as often as the model wants, until the model answers in text:
//
//	tool, err := gemma4.Tool("multiply", "Multiplies.", func(ctx context.Context, in struct{ A, B int32 }) (int64, error) {
//		return int64(in.A) * int64(in.B), nil
//	})
//	c, err := m.NewChat(gemma4.ChatOptions{Tools: []chat.Tool{tool}})
//	for tok, err := range c.Run(ctx, "What is 12 times 34?") {
//		…
//	}
//
// Calls have the form and the arguments that their tools declare, whatever the model is inclined to; ChatOptions.Calls says whether they
// must come or may not. Text can be held to a schema that is no Go type, to a regular expression, or to GBNF: package [grammar] makes
// grammars of them.
//
//	g, err := grammar.Regexp(m.Vocabulary(), "yes|no")
//	c, err := m.NewChat(gemma4.ChatOptions{GenerateOptions: gemma4.GenerateOptions{Grammar: g}})
//
// # Pictures and sound
//
// A message may have parts that are pictures, videos and sounds, in the order in which the model is to take them. Packages media and
// media/sound read files of them, and media/fetch whatever kind a file is:
//
//	for tok, err := range c.Say(ctx, chat.ImagePart(photo), chat.TextPart("What is this?")) {
//		…
//	}
//
// A picture becomes up to 280 tokens, or as many as its part's Budget says. [Model.Detect] and [Model.Point] find things in one,
// [Model.ReadText] reads a page. [Model.Transcribe] writes down what is said; with [Chat.Listen] the model reads while somebody speaks, and
// [Captions] are written for as long as there is sound:
//
//	l, err := c.Listen(ctx)
//	err = l.Push(ctx, samples) // as they come
//	for tok, err := range l.Answer(ctx) {
//		…
//	}
//
// # Companions
//
// What gives a model eyes and ears (mmproj) or drafts for it is in files of its own. [Loader] takes them as paths, bytes or readers, and
// finds those that lie beside the model's file under their usual names; [Model.Info] tells which fit.
//
// # Drafts
//
// Text that can be guessed comes faster: several tokens are checked in one step, and the text has the bytes that it has without. What
// guesses is the text itself, where it repeats what it or the prompt has said before, and the drafter that the model was opened with, or a
// small Gemma in its place. It ends by itself where it does not pay. [GenerateOptions].Draft can name more texts to look in, such as a file
// that is to be changed, or turn it off; [Result].Drafts tells how it went:
//
//	m, err := gemma4.Loader{Drafter: gemma4.Companion{Path: "assistant.gguf"}}.Open("model.gguf")
//	o := gemma4.GenerateOptions{Draft: gemma4.Draft{Texts: []string{file}}}
//
// # Adapters
//
// A low-rank adapter (LoRA) in a GGUF file changes what a model writes without another copy of it. [Model.OpenAdapter] reads one into
// memory; each session, chat or request has the adapters that its options list, several of which add, and can be switched:
//
//	a, err := m.OpenAdapter("poems.gguf")
//	c, err := m.NewChat(gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Adapters: []gemma4.Scaled{a.At(1)}}})
//	…
//	c.Options.Adapters = nil // from the next answer on; a Session has a method for that
//
// # Below the chat
//
// A [Session] is one text in the model. [Session.Generate] continues a prompt of tokens or embeddings; [Session.Result] tells why it ended
// and how long it took; [Session.Logits] gives the model's own view, [Session.Embed] the mean of its hidden states. [Model.Tokenizer] turns
// text into tokens:
//
//	s, err := m.NewSession(gemma4.SessionOptions{Cache: gemma4.CacheQ8})
//	ids := m.Tokenizer().WithBOS(m.Tokenizer().Encode("Once upon a time", false))
//	for tok, err := range s.Generate(ctx, []gemma4.Input{{Tokens: ids}}, gemma4.GenerateOptions{MaxTokens: 100}) {
//		…
//	}
//
// [Session.Decide] and [Chat.Decide] give the probabilities of texts that might follow, as wholes and exactly, so that classification costs
// one prompt:
//
//	likelihoods, err := c.Decide(ctx, []string{"spam", "ham"}, chat.Message{Role: "user", Content: mail})
//
// Sessions of one model share its weights and workers. Each serves one call at a time and refuses others with [ErrBusy]; any number of
// sessions may run at once.
//
// # Many at once
//
// Sessions at work at the same time share passes through the model, each with the bytes that it gets alone; [Model.Stats] tells how it
// goes. For more requests than there is memory for, a [Queue] admits as many as fit and lets the others wait in line, bounded and fairly:
//
//	q, err := m.NewQueue(gemma4.QueueOptions{Slots: 8, Memory: 4 << 30})
//	pieces, err := q.Submit(ctx, gemma4.Request{Messages: messages, N: 2}) // on any goroutine
//	for p, err := range pieces {
//		…
//	}
//
// [Queue.Do] admits what is no answer: a decision, an embedding. [Queue.Stats] and [Queue.Slots] tell what goes on. An answer that was
// stopped goes on with ChatOptions.Continue, in a chat and in a request: it is the last message, and what comes is only what is new.
//
// # Stopping
//
// A loop over tokens may be left at any time, and the context stops it within a layer of the model, even in the middle of a long prompt.
// The session stays usable: it holds what was read. [Model.Close] waits for running calls.
//
// # Memory
//
// The weights stay in the file; what a session adds is known before it is spent ([Model.Memory]) and given back by
// [Session.Close]. Sliding layers keep a window, so that long contexts cost little: 131072 positions of E2B take 0.8 GB.
//
// # Going back and sharing
//
// A text that changes at its end is not read again from its beginning. [Session.Reuse] keeps what two texts have in common, even where the
// windows of sliding layers have moved past it: the ends of turns stay reachable, as far as SessionOptions.History goes. A [Chat] does that
// by itself when Messages is changed between answers. [Session.Fork] and [Chat.Fork] go two ways from one text and share its memory.
//
// Sessions that begin alike share a [PrefixCache]: a system turn is read once, however many want it at a time, and kept for later ones.
//
//	prefixes := gemma4.NewPrefixCache(1 << 30)
//	c, err := m.NewChat(gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Prefixes: prefixes}, System: …})
//
// Results have the same bytes as those of a session that reads everything itself. [PrefixCache.Open] lets texts outlive the program in a
// folder, from which they are mapped; [PrefixCache.Save] writes them when nothing else is to be done. [Chat.Read] reads a conversation
// before anybody asks.
//
//	err := prefixes.Open(ctx, m, "prefixes", 4<<30) // when the program starts
//	…
//	err = prefixes.Save(ctx) // now and then, and before it ends
//
// When a conversation fills its context, ChatOptions.Full
// says whether the answer stops, the oldest exchanges are dropped, or it is an error.
//
// # Saving
//
// [Session.Save] and [Chat.Save] write a file that [Model.Restore] and [Model.RestoreChat] map: a text of 100000 tokens continues within a
// second, where reading it took minutes, and on the same kernels with the same bytes. A file is replaced atomically, however the program
// ends; one that is damaged or of another model ([Model.Fingerprint]) is an error, never another answer. [Session.Update] and [Chat.Update]
// append what an exchange has added, which costs the same in a long text and a short one; a program that is killed loses at most that. It
// is a GGUF file: gemma4 inspect shows what is in it. SaveTo and RestoreFrom work without files.
//
//	c, err := m.RestoreChat("talk.gguf", gemma4.ChatOptions{})
//	if errors.Is(err, fs.ErrNotExist) {
//		c, err = m.NewChat(gemma4.ChatOptions{})
//	}
//	…
//	err = c.Update("talk.gguf") // after each answer
//
// # Looking inside
//
// Loader.Logger, a [log/slog.Logger], is told what was opened, on which kernels, on how many threads and why, and at level Debug what goes
// on underneath: prefixes reused and evicted, texts taken back further than wanted, files written. It never sees what users and the model
// write. SessionOptions.Trace is called with each chunk of a prompt, each token, and what is given up, with times; a nil [Trace] costs
// nothing.
//
// # Results
//
// The same file, options and seed give the same bytes on the same machine, with any number of threads and however a prompt is cut. Kernels
// are chosen by what the processor can do ([BestKernels]); GEMMA4_CPU caps them. Where they round activations to 8 bits, [Loader].Exact
// avoids that.
//
// # Words
//
// Those of packages model, tensor and grammar hold, too, but for job: here it is what a session wants to take through the model.
//
//	position   one place in a text: a token, or an embedding of an image or sound
//	read       prefill: the prompt's positions go through the model, many at a time
//	write      decode: tokens generated, here or elsewhere, go through the model, one or a few at a time
//	step       what counts whole or not at all: a chunk of a prompt, or the tokens of one decode
//	stream     a session that generates
//	iteration  a decode of all streams and a prefill beside it: what Loader.Budget bounds
//	forced     without an alternative, so that the model is not asked
//	request    what a queue answers, with one answer or several, each of which takes a slot; they are admitted together
//	group      sessions or requests that work for the same user, who takes turns with others
//	turn       what one side says, between the chat format's markers
//	exchange   a user's message and all that follows up to the next one: what a full context drops
//	prefix     the beginning of a text, shared by sessions
//	level      the kernels of one set of instructions
//
// The packages below can be used alone: gguf reads and writes the file format, tensor holds the weight formats and products, tokenizer,
// sampler and chat are what their names say, and model is the graph.
package gemma4
