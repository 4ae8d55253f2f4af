// Program stream serves a model over HTTP: answers come as server-sent events while they are written, and stop when the client leaves.
//
//	go run ./examples/stream &
//	curl -N "http://localhost:8080/?q=What+is+the+capital+of+France?"
//
// prints an event for each token of "The capital of France is Paris." and one for the end; with -m FILE another model answers.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/nano"
)

func main() {
	file := flag.String("m", "", "GGUF `file` of a model (default: the embedded one)")
	addr := flag.String("addr", "localhost:8080", "`address` to serve at")
	flag.Parse()
	m, err := nano.OpenOr(*file) // or gemma4.Open(*file)
	if err != nil {
		log.Fatal(err)
	}
	server := http.Server{Addr: *addr, Handler: answer(m), ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.ListenAndServe())
}

// answer returns a handler that holds a conversation of its own for each request. The request's context ends the answer.
func answer(m *gemma4.Model) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c, err := m.NewChat(gemma4.ChatOptions{SessionOptions: gemma4.SessionOptions{Context: 4096}})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer c.Close()
		w.Header().Set("Content-Type", "text/event-stream")
		for tok, err := range c.Ask(r.Context(), r.FormValue("q")) {
			if err != nil {
				send(w, "error", err.Error())
				return
			}
			send(w, "token", tok.Text)
		}
		send(w, "end", c.Result().Reason.String())
	}
}

// send writes one event. Its data are JSON, so that line breaks in a text end no line.
func send(w http.ResponseWriter, event, data string) {
	text, _ := json.Marshal(data)
	fmt.Fprintf(w, "event: %s\ndata: %s\n\n", event, text)
	http.NewResponseController(w).Flush()
}
