package hub

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// ErrNotFound is wrapped by errors for names of models that are not on this machine, or not at the hub that they name.
var ErrNotFound = errors.New("not found")

// missing is an error that says in its own words what is not found.
type missing string

func (m missing) Error() string        { return string(m) }
func (m missing) Is(target error) bool { return target == ErrNotFound }

func missingf(format string, args ...any) error { return missing(fmt.Sprintf(format, args...)) }

// Hub is a way to find models. The zero value is that of the environment; fields that are set come before it.
type Hub struct {
	// Home is the folder of the store; "": GEMMA4_HOME, else the place where the system keeps data of a user.
	Home string
	// Endpoint is the address of a hub that speaks Hugging Face's protocol; "": HF_ENDPOINT, else the public one.
	Endpoint string
	// Registry is the address of a registry that speaks ollama's protocol; "": the public one.
	Registry string
	// Token is shown to the Endpoint, and to no other host; "": HF_TOKEN, HUGGING_FACE_HUB_TOKEN, else what the hub's own client keeps.
	Token string
	// Client does the requests; nil: one with the proxies that the usual variables name.
	Client *http.Client
	// Names are short names and what they stand for, instead of names.txt in Home and the names that come with the package.
	Names map[string]string
	// Offline keeps Pull from the network: it finds, or fails. HF_HUB_OFFLINE does the same.
	Offline bool
	// Caches are the folders in which other programs keep models; nil: those of [Caches].
	Caches []Cache
	// Progress, if set, is called while files are fetched, with what is there of their bytes: first with 0 and before anything is asked
	// for, then one call at a time. m is what will be returned: its files are not complete yet.
	Progress func(m *Model, done, total int64)

	sleep func(ctx context.Context, d time.Duration) error // in tests: waits before another request
}

// With says what is to come along with a model.
type With struct {
	Projector bool // that makes pictures and sounds of use to it
	Drafter   bool // that guesses ahead
}

// Model is a model whose files are on this machine.
type Model struct {
	Name      string   // that finds it again
	Source    string   // address of the repository or registry; "" if that is not known
	Place     string   // whose folder it lies in: "store", or "file", "huggingface", "llama.cpp", "ollama", which the store never touches
	Revision  string   // commit or digest, "" if that is not known
	Files     []string // paths: the model's file, or all parts of a split one in their order
	Projector string   // path, "" if none is known; gemma4.Open finds what lies beside a model itself
	Drafter   string   // path, "" if there is none
	Adapters  []string // paths of LoRA adapters that belong to it, as models of ollama's may have
	Bytes     int64    // of all these files

	// Notes are paths of texts that came with a model of ollama's, by what they are: "system", the instruction before a conversation;
	// "params", a JSON object of sampling parameters and limits; "messages", a JSON list of turns; "license"; "template", Go's, which is
	// not used: a model is asked in the format that its own file has. None of them changes what gemma4.Open does.
	Notes map[string]string

	Hashes map[string]string // by path, what the hub told: SHA-256 in hex, or git's SHA-1; only for what the store has fetched
}

// A source is a hub that tells what a name means.
type source interface {
	// resolve asks what a name means now. It fetches no file.
	resolve(ctx context.Context, n name, with With) (*offer, error)
}

// offer is what a source has for a name.
type offer struct {
	name     name   // the shortest that means the model
	source   string // address for people, as in Model.Source
	revision string // commit or digest
	files    []remote
}

// remote is a file of an offer.
type remote struct {
	entry
	role   role
	stored string // its name in the store: one that isFileName takes
	url    string
	header http.Header // for url's host only
}

// role is what a file is to a model: one of these, or a text, which is a key of Model.Notes.
type role string

const (
	modelRole     role = "model"
	projectorRole role = "projector"
	drafterRole   role = "drafter"
	adapterRole   role = "adapter"
	otherRole     role = "other" // nothing to it
)
