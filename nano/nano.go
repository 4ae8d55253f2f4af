// Package nano is a trained Gemma 4 of 7 million parameters that reads, sees and hears, embedded in the program that imports it, 4.5 MB of
// text weights, 0.5 MB of a drafter for them and 2 MB of eyes and ears: for demos, for trying this project out, and for tests that want a
// real model without a download.
//
// It has everything that E2B has, only smaller: per-layer embeddings, sliding and global layers, shared keys and values, a tower for
// pictures and one for sounds, the chat format with thoughts and tool calls.
//
// What it can read: the capitals of 55 countries and back, sums and differences of numbers to 20, 30 words in five languages, opposites,
// counting, a dozen facts; codes, numbers or rooms of up to 7 people that a text tells, also asked for in later turns; JSON from a
// sentence; calls of the tools get_weather, get_time, multiply and send_mail, and answers from what they return; where thinking is on, a
// short thought first. It slips now and then, most often in differences: "go test ./nano -v" asks 740 of these questions and counts.
//
// What it can see: one to three circles, squares, triangles and stars in red, green, blue, yellow, black and white on a plain ground. It
// says what there is, from left to right, how many, of what colour, and what is on the left or the right. Of 100 questions about drawings
// that it had not seen it answered 76 right, but of those about sides 5 of 10. It was trained with a budget of 70 tokens for a picture,
// and with any other it answers nonsense. It does not read what is written in a picture.
//
// What it can hear: its own questions about capitals, sums, opposites and facts, spoken in English by a synthetic voice, which it answers
// (49 of 50 that it had not heard); beside the text "Transcribe." it writes them down (47 of 50).
//
// To anything else it answers nonsense.
//
// [Open] brings all of that. The linker leaves the eyes and ears out of a program that only uses [OpenText], and the drafter too out of one
// that only uses [GGUF].
//
// The weights are Apache-2.0, made for this project.
package nano

import (
	"cmp"
	_ "embed"

	"github.com/gogemma/gemma4"
	"github.com/gogemma/gemma4/chat"
)

// The files belong together: the projector's rows mean something to these text weights only, and the drafter reads their keys and values.
// Nothing but Projector and Drafter mention the bytes of these, so that programs which do not call them, nor what calls them, are linked
// without.
var (
	//go:embed nano-q4_0.gguf
	weights []byte
	//go:embed nano-draft-q8_0.gguf
	drafter []byte
	//go:embed nano-mmproj-q8_0.gguf
	projector []byte
)

// GGUF returns the file of the text weights. The bytes are shared: do not change them.
func GGUF() []byte { return weights }

// Projector returns the file of the towers that see and hear. The bytes are shared: do not change them.
func Projector() []byte { return projector }

// Drafter returns the file of the drafter: 0.44 million parameters that guess what the text weights write next. It changes speed, never an
// answer. The bytes are shared: do not change them.
func Drafter() []byte { return drafter }

// Open opens the model with its drafter, eyes and ears.
func Open() (*gemma4.Model, error) { return OpenWith(gemma4.Loader{}) }

// OpenWith is [Open] with a loader's options. A drafter or projector that the loader has takes the place of this package's own, with which
// pictures have the budget of 70 tokens that it was made for, unless the loader or a picture has another.
func OpenWith(l gemma4.Loader) (*gemma4.Model, error) {
	if !given(l.Projector) {
		l.Projector.Bytes, l.Pictures = Projector(), cmp.Or(l.Pictures, chat.LowBudget)
	}
	if !given(l.Drafter) {
		l.Drafter.Bytes = Drafter()
	}
	return l.OpenBytes(weights)
}

func given(c gemma4.Companion) bool { return c.Path != "" || c.Bytes != nil || c.Reader != nil }

// OpenText opens the text weights with their drafter, and neither eyes nor ears; for a loader's options call its OpenBytes with [GGUF].
func OpenText() (*gemma4.Model, error) {
	return gemma4.Loader{Drafter: gemma4.Companion{Bytes: Drafter()}}.OpenBytes(weights)
}

// OpenOr opens the model in a GGUF file, with what lies beside it, or this one if path is empty: for programs that can be tried without a
// file.
func OpenOr(path string) (*gemma4.Model, error) {
	if path == "" {
		return Open()
	}
	return gemma4.Open(path)
}
