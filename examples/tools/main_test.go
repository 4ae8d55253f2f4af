package main

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/gogemma/gemma4/chat"
)

func Example() {
	os.Args = []string{"tools", "What is 12 times 34?"}
	main()
	// Output:
	// multiply {"a":12,"b":34}: 408
	// 12 times 34 is 408.
}

func TestTheModelIsToldWhatIsWrongWithACall(t *testing.T) {
	for name, arguments := range map[string]string{"get_time": `{"a": 1, "b": 2}`, "multiply": `{"a": "one", "b": 2}`} {
		if got := run(chat.Call{Name: name, Arguments: json.RawMessage(arguments)}); !strings.HasPrefix(got, "error: ") {
			t.Errorf("%s %s: %q, want an error", name, arguments, got)
		}
	}
}
