// Package server answers HTTP requests, in the protocols of OpenAI, Anthropic and ollama, with one Gemma 4 model.
//
//	s, err := server.New(m, server.Options{})
//	if err != nil {
//		return err
//	}
//	defer s.Close()
//	err = http.ListenAndServe("127.0.0.1:8080", s)
//
// With Options.Page set to page.Handler(), of package server/page, browsers find a page to chat on. At an address that others can reach set
// Keys: without, everybody may ask.
//
// Whoever asks gets the bytes that the same request gets alone, however many others there are (gemma4.Queue).
//
// # How it is made
//
// A request comes through the guard (guard.go): hosts, origins, keys, limits. What passes is a call of an endpoint (call.go), each of which
// is a file of its own: it reads a body, makes a gemma4.Request of it, and writes the model's answers in the shape of its protocol, whole
// or as a stream (stream.go). What goes wrong is a failure (failure.go), which each protocol writes in its own way.
package server
