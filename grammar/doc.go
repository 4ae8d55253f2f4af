// Package grammar says what a model may write next, so that its answers obey: JSON by a schema, calls of tools, a regular
// expression, or any grammar in GBNF.
//
//	v := grammar.NewVocabulary(tok)                              // once for each tokenizer
//	g, err := grammar.Schema(v, schema, grammar.SchemaOptions{}) // once for each schema
//	if err != nil {
//		log.Fatal(err)
//	}
//	var answer []int32
//	s := g.Start()
//	for {
//		ids := s.Forced() // what must follow, without asking the model
//		if len(ids) == 0 {
//			mask := s.Mask() // the tokens that may follow
//			if mask.Len() == 0 {
//				break // the last token has ended the text
//			}
//			ids = []int32{best(mask)}
//		}
//		for _, id := range ids {
//			s, _ = s.Accept(id)
//		}
//		answer = append(answer, ids...)
//	}
//	if err := s.Err(); err != nil { // a bound keeps the text from going on
//		log.Fatal(err)
//	}
//
// A [State] is a value: a copy of it is a fork, and an old one is where to go back to. Grammars are made by [Schema], [JSON],
// [Calls], [Regexp] and [GBNF]; [State.AfterThought] puts a thought in front, [State.Or] leaves a choice between two. A grammar may be
// shared by any number of answers, and should be: what one of them finds out about it serves the others. The vocabulary keeps grammars by
// what they were made of, so who asks again for that of the same schema or tools gets the same one, within microseconds.
//
// # Words
//
// A terminal is a set of byte strings, or a special token. Special tokens mean more than their text, as <|tool_call> does. Their
// letters, written as ordinary text, are never taken for them, and a grammar that does not name one never allows it. A rule says
// how terminals and rules follow each other. A mask is the set of the tokens that may come next.
//
// Masks are exact: a token is in the mask if, and only if, the grammar allows its bytes and some text after them. The parser never
// comes to a place where nothing may follow, but in one case: what is larger than the bounds of this package is refused, and
// [State.Err] says so.
//
// # How it works
//
// The lexer (lexer.go) follows all terminals that may have begun at one place at once. What is left of a terminal after some bytes
// is its derivative (expr.go), an expression again, made when it is first needed. Expressions know intersection and complement;
// with these patterns, lengths, formats and excluded strings are met together.
//
// The parser (parser.go) is Earley's, over rules that are automata (rule.go): any grammar will do, left recursive and ambiguous
// ones, too. Equal sets of items are one row, and equal states of lexer and parser are one state, which remembers what each byte
// leads to, its mask, and its way to the end. All of that is forgotten when it takes too much memory, and found out again.
//
// A mask is found (mask.go) by walking the vocabulary's tokens, as a tree of their bytes, beside the states. Most of the tokens
// need no walk: they are known by the kind of their characters and by their number (vocabulary.go), so that what may follow within
// a string takes a copy, and a walk over the few others. forced.go finds the text that has no alternative, finish.go the tokens
// after which an end is still near enough.
//
// In front of these stand the languages: regexp.go, gbnf.go, style.go for JSON and the arguments of calls, call.go, and schema.go
// with schema_*.go. A schema becomes cases, each a list of facts that hold together, and a case becomes bodies of rules. What it
// says must not be is rewritten to what must be (schema_case.go).
//
// # Schemas
//
// All keywords of drafts 4 to 2020-12 are enforced, or refused by name, with these bounds: not, if and oneOf where what they
// exclude can be told by types, values, bounds, lengths, patterns, required and properties; uniqueItems for up to six known
// values; up to four patterns of property names at one place; patterns without word boundaries, lookbehinds, and lookaheads in what
// repeats. contains (but for minContains 0 without maxContains, which asks for nothing), unevaluatedItems, unevaluatedProperties
// beside other applicators, and references that depend on the path to them are refused. Property names that a schema does not have
// can come twice: minProperties counts one of them. Numbers have 200 digits at most before the point, unless a bound of theirs has more,
// and no more than about as many behind it.
package grammar
