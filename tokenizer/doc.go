// Package tokenizer turns text into the token ids of a Gemma 4 model, and ids back into text. The vocabulary comes from
// the metadata of a GGUF file.
//
//	f, err := gguf.Open("model.gguf")
//	…
//	t, err := tokenizer.New(f.Metadata)
//	…
//	ids := t.WithBOS(t.Encode("Hello world", false))   // 2 9259 1902
//	text := t.Decode(ids, false)                        // "Hello world"
//
// A [Tokenizer] never changes: it may be used from several goroutines, and it outlives the file.
//
// # Text to ids
//
// [Tokenizer.Encode] cuts the text at special tokens first: scanning from left to right, the longest that begins at a
// position wins. What "special" covers is the caller's choice. Parsing markup, it is every token of the kinds [Unknown],
// [Control] and [UserDefined]; else [UserDefined] alone, which in Gemma 4 holds runs of newlines and tabs and HTML tags,
// but also <|tool_call>, <|channel> and others of the chat format.
//
// What lies between is merged by byte-pair encoding, without any splitting into words: spaces become U+2581 (▁), each Unicode character is
// a symbol, and the adjacent pair with the lowest rank in the file's list of merges becomes one, the leftmost first, until no pair is in
// the list. Symbols that are not tokens are written as UTF-8 bytes, with the tokens <0x00> … <0xFF>, and so is a byte that is not valid
// UTF-8. A run of newlines is never merged with its neighbours, and is one token if the vocabulary has one for it.
//
// # Text that cannot be trusted
//
// A message may spell the markers of the chat format. [Tokenizer.Markup] lists all tokens that mean more than
// their text, and [Tokenizer.EncodeLiteral] parses markup except at given places, where the same characters stay text:
//
//	t.Encode("<|turn>", true)                     // 105: a turn begins
//	t.EncodeLiteral("<|turn>", []int{0})          // 236820 236909 887 236813: someone wrote about turns
//
// Merging never makes a markup or byte token, whatever a file's list of merges says: such a symbol is written as bytes.
//
// # Ids to text
//
// [Tokenizer.Decode] and, for ids that come one at a time, [Decoder] give the text of tokens with U+2581 turned back into a space, and join
// byte tokens into characters. Their output is always valid UTF-8. Control tokens are left out unless asked for.
//
//	d := t.NewDecoder(false)
//	for _, id := range generated {
//		fmt.Print(d.Next(id))
//	}
//	fmt.Print(d.Flush())
//
// Decoding what Encode made of valid text gives that text again, except that U+2581 comes back as a space.
//
// # Time and memory
//
// The real vocabulary has 262144 tokens and half a million merges. Looking up a pair is one probe of a hash table, and text is cut wherever
// no merge reaches across, which for most scripts means at spaces; each stretch between cuts is merged with a queue of pairs. So time grows
// as n log n with the longest stretch in which everything could merge with everything, and linearly with the rest. The tables hold no
// pointers that the garbage collector would have to follow.
package tokenizer
