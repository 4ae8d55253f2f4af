// Package clients has tests that ask the server by way of clients of other makers: OpenAI's in Go here, those in JavaScript in the folder
// js. It is a module of its own, so that nobody else needs theirs.
package clients
