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
// # Pictures and sounds
//
// A model with a projector takes pictures, sounds and videos in each protocol's own form: image_url, input_image and input_audio of
// OpenAI's, with audio_url and video_url by analogy; image blocks of Anthropic's, in what tools return, too; images of ollama's, which may
// hold sounds. They come as data: URLs or base64; URLs of http are fetched with Options.Fetch alone. "budget" beside a picture, which no
// other server has, says how many tokens it may become (package chat), and so does OpenAI's detail. Of a video a picture a second is seen,
// and its sound is not heard: a header X-Media-Note tells.
//
// What a request brings is decoded before it waits in line, two files at a time, and pictures are made as small as the model sees them.
// A picture has 50 million pixels at most, a sound in a message what the context holds, one to transcribe an hour. Of bodies above a
// megabyte four are in memory at once. A model that does not see or hear refuses them with status 400: what it can do, /props and
// /v1/models tell.
//
// /v1/audio/transcriptions and translations write down what is said in a file: at pauses it is cut into pieces, each by itself a request in
// the queue. The form's field instruction, an extension, takes the place of what the models' maker has them told.
//
// # Predictions
//
// Where much of an answer is known before, as of a file that is to come back with changes, a request of OpenAI's chat completions names it
// as its prediction: the text is looked up in while the answer is guessed ahead (gemma4.Draft). The answer is none the less the model's,
// to the byte; usage tells how many guesses came true.
//
// # Adapters
//
// With Options.Adapters the model has other voices (LoRA), which requests of all protocols ask for by its name: nano:poems is the model
// nano with the adapter poems. It is one of the models that /v1/models and ollama's /api/tags list, and has embeddings and a fingerprint
// of its own; one that is not there is a model that is not found. Requests with different adapters are answered in the same passes.
//
// # How it is made
//
// A request comes through the guard (guard.go): hosts, origins, keys, limits. What passes is a call of an endpoint (call.go), each of which
// is a file of its own: it reads a body, makes a gemma4.Request of it, and writes the model's answers in the shape of its protocol, whole
// or as a stream (stream.go). What goes wrong is a failure (failure.go), which each protocol writes in its own way.
package server
