// Package fleet lets many machines answer for one: gateways put HTTP requests into a work queue of NATS JetStream, and workers, each with a
// model of its own, take as many as they have slots for.
//
// Workers dial out, so they may stand behind NAT and Wi-Fi, and come and go: a request whose worker dies is delivered to another one. As
// long as nothing of its answer was sent, nobody notices; a stream that has begun ends with an error in the shape of its protocol.
//
// # Subjects
//
//	gemma4.work.MODEL    requests that wait for a slot: those that POST; in the stream gemma4-work, kept until they are answered
//	gemma4.get.MODEL     requests that need none, to any worker, which answers at once; an empty one asks whether there are workers
//	gemma4.cancel.ID     the client of a request has gone
//	gemma4.dead.MODEL    requests that no worker has lived through; in the stream gemma4-dead, kept for a week
//
// Workers make the streams where they are missing (one replica, on disk); what an operator has made is left as it is. Answers go from
// worker to gateway through an inbox, past JetStream. "nats micro list" tells which workers there are.
package fleet

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"time"
)

const (
	workStream = "gemma4-work"
	deadStream = "gemma4-dead"

	workSubject   = "gemma4.work."
	getSubject    = "gemma4.get."
	cancelSubject = "gemma4.cancel."
	deadSubject   = "gemma4.dead."
)

// Beat is how often a worker says of a request that it is being answered, unless a field says otherwise.
const Beat = 10 * time.Second

// missed is how many beats in a row fail to come when a worker or a gateway counts as dead.
const missed = 3

// request is an HTTP request on its way to a worker. Bodies are bytes, not JSON: a broken one gets the answer that it would get anywhere.
type request struct {
	ID     string      `json:"id"`
	Method string      `json:"method"`
	Path   string      `json:"path"` // with its query
	Header http.Header `json:"header,omitempty"`
	Body   []byte      `json:"body,omitempty"`
	Reply  string      `json:"reply"` // where events go
}

// passed are the headers that handlers read. Keys are the gateway's business, and are not to lie in a queue.
var passed = []string{
	"Accept", "Anthropic-Beta", "Anthropic-Version", "Content-Type", "If-None-Match", "Timeout", "Traceparent", "User-Agent",
}

// event is what a worker tells of a request. To all but parts a gateway replies if the answer is of use to it: to a begin with the number
// of workers that have begun.
type event struct {
	Kind   kind        `json:"kind"`
	Try    uint64      `json:"try"` // which delivery of the request is being answered, from 1
	Seq    int         `json:"seq,omitempty"`
	Status int         `json:"status,omitempty"` // with the first part, or the end if there is none
	Header http.Header `json:"header,omitempty"` // likewise
	Data   []byte      `json:"data,omitempty"`
	Fault  string      `json:"fault,omitempty"` // at the end: why the answer is not whole
}

type kind string

const (
	begin kind = "begin" // before the handler runs
	beat  kind = "beat"  // while it runs
	part  kind = "part"  // what it wrote; counted by Seq from 1
	end   kind = "end"   // the last; counted too
)

// encoded is JSON of requests and events, which have nothing that JSON lacks.
func encoded(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return data
}

// modelName is what subjects and names of consumers may have in them.
var modelName = regexp.MustCompile(`^[A-Za-z0-9_:=+-]+$`)

func checkModel(name string) error {
	if name == "" {
		return errors.New("fleet: the model has no name")
	}
	if !modelName.MatchString(name) {
		return fmt.Errorf("fleet: the model's name %q may have letters, digits and -_:=+ only: it is part of a subject of NATS", name)
	}
	return nil
}
