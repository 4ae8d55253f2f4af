// Package examples holds programs to copy, of a screen each, and a package with its test. They import public packages only. The programs
// run with the embedded model or, with -m FILE, with any other; the test runs with the embedded one:
//
//	ask        one question, and the answer while it is written
//	chat       a conversation at the terminal
//	stream     answers over HTTP, as server-sent events
//	tools      a function that the model calls
//	fill       a struct that the model fills
//	schema     JSON that a schema in a file allows
//	batch      many questions, answered at once
//	classify   one of several answers, by their probabilities
//	embed      how near texts are to one another
//	summarise  a text that is longer than the context
//	save       a conversation that goes on when the program is run again
//	see        a question about a picture
//	hear       a question that was spoken
//	nanotest   a test of code that uses a model
//
// See [github.com/gogemma/gemma4] for the packages that they use.
package examples
