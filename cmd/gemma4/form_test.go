package main

import (
	"cmp"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// files puts texts into files of one folder and returns their paths.
func files(t *testing.T, texts map[string]string) map[string]string {
	t.Helper()
	dir := t.TempDir()
	paths := map[string]string{}
	for name, text := range texts {
		paths[name] = filepath.Join(dir, name)
		if err := os.WriteFile(paths[name], []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

// words are those of a line, with names of files as their paths.
func words(line string, files map[string]string) []string {
	all := strings.Fields(line)
	for i, w := range all {
		all[i] = cmp.Or(files[w], w)
	}
	return all
}

const multiply = `{"type": "function", "function": {"name": "multiply", "parameters": {"type": "object",
	"properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {"contains": {}}}, "required": ["a", "b"]}}}`

func TestAnswersHaveTheFormThatIsAskedFor(t *testing.T) {
	f := files(t, map[string]string{
		"person.json": `{"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "age": {"type": "integer"},
			"city": {"enum": ["Oslo", "Rome"]}}, "required": ["name", "age", "city"]}`,
		"answer.gbnf": `root ::= ("yes" | "no") ", because " [a-z ]{3,9}`,
	})
	isPerson := func(text string) bool {
		var person struct {
			Name, City string
			Age        *int
		}
		d := json.NewDecoder(strings.NewReader(text))
		d.DisallowUnknownFields()
		return d.Decode(&person) == nil && person.Age != nil && (person.City == "Oslo" || person.City == "Rome")
	}
	matches := func(expression string) func(string) bool {
		return regexp.MustCompile(`^(?s:` + expression + `)\n$`).MatchString
	}
	for _, test := range []struct {
		flags string
		fits  func(answer string) bool
	}{
		{"-schema person.json", isPerson},
		{"-think -schema person.json", isPerson}, // the thought is for terminals
		{"-raw -schema person.json", isPerson},
		{"-grammar answer.gbnf", matches(`(yes|no), because [a-z ]{3,9}`)},
		{"-regex [A-C][0-9]{2,3}", matches(`[A-C][0-9]{2,3}`)},
	} {
		args := append(words("-n 200 -temp 1.5 -seed 3 "+test.flags, f), "Make JSON: Olga is 44 years old and lives in Rome.")
		if o := run.Call("", args...); o.Status != 0 || o.Errors != "" || !test.fits(o.Out) {
			t.Errorf("%s: %+v", test.flags, o)
		}
	}
	o := run.Call("What is 2 + 3?\nWhat is 2 + 4?\n", "-regex", "[0-9]")
	if o.Status != 0 || !matches(`[0-9]\n[0-9]`)(o.Out) {
		t.Errorf("in a conversation: %+v", o)
	}
}

func TestWhatALooseSchemaLeavesOutIsNamed(t *testing.T) {
	f := files(t, map[string]string{"odd.json": `{"type": "array", "items": {"enum": [1, "a"]}, "contains": {"const": 1}, "maxItems": 2}`})
	o := run.Call("", "-loose", "-schema", f["odd.json"], "Hello")
	var list []any
	err := json.Unmarshal([]byte(o.Out), &list)
	if o.Status != 0 || err != nil || len(list) > 2 || o.Errors != "(not enforced: contains at #)\n" {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestToolsAreCalledAsTheirChoiceSays(t *testing.T) {
	f := files(t, map[string]string{
		"tools.json":   "[" + multiply + "," + weather[1:],
		"request.json": `{"model": "gemma", "tools": [` + multiply + "," + weather[1:] + "}",
	})
	const question = "What is 12 times 34?"
	const loosened = "(not enforced: multiply: contains at #/properties/c)\n"
	for flags, want := range map[string]string{
		"":                         `{"name":"multiply","arguments":{"a":12,"b":34}}` + "\n",
		"-tool-choice auto":        `{"name":"multiply","arguments":{"a":12,"b":34}}` + "\n",
		"-tool-choice required":    `{"name":"multiply","arguments":{"a":12,"b":34}}` + "\n",
		"-tool-choice multiply":    `{"name":"multiply","arguments":{"a":12,"b":34}}` + "\n",
		"-tool-choice get_weather": `{"name":"get_weather","arguments":{"city":"`,
		"-tool-choice none":        "",
	} {
		for _, file := range []string{"tools.json", "request.json"} {
			args := append(words("-n 50 -temp 0 -tools "+file+" "+flags, f), question)
			o := run.Call("", args...)
			if o.Status != 0 || !strings.HasPrefix(o.Out, want) || want == "" && strings.Contains(o.Out, "arguments") ||
				strings.HasPrefix(o.Errors, loosened) != strings.Contains(want, "multiply") {
				t.Errorf("%s, %s: %+v, want %q", file, flags, o, want)
			}
		}
	}
	o := run.Call("/set tool-choice nobody\n", "-tools", f["tools.json"])
	if o.Status != 1 || !strings.Contains(o.Errors, `none is named "nobody"`) {
		t.Errorf("%+v", o)
	}
	o = run.Call("/set tool-choice get_weather\n/set\n"+question+"\n", "-temp", "0", "-tools", f["tools.json"])
	if !strings.Contains(o.Errors, "tool-choice        get_weather\n") || !strings.Contains(o.Out, `"name":"get_weather"`) {
		t.Errorf("%+v", o)
	}
	strict := files(t, map[string]string{"strict.json": "[" + strings.Replace(multiply, `"name"`, `"strict": true, "name"`, 1) + "]"})
	args := []string{"-temp", "0", "-tools", strict["strict.json"], question}
	run.Fails(t, 1, `tool "multiply": contains at #/properties/c`, "", args...)
	if out := run.Good(t, "", append([]string{"-free-calls"}, args...)...); !strings.Contains(out, `"name":"multiply"`) {
		t.Errorf("free calls: %q", out)
	}
}

func TestAnAnswerThatIsCutOffBeforeItsFormEndsIsAFailure(t *testing.T) {
	f := files(t, map[string]string{"tools.json": "[" + multiply + "]"})
	for _, flags := range []string{"-n 3", "-n 3 -raw", "-n 3 -think"} {
		o := run.Call("", append(strings.Fields(flags), "-regex", "[0-9]{20}", "Hello")...)
		if o.Status != 1 || !strings.Contains(o.Errors, "does not have the form asked for (ended by: length)") {
			t.Errorf("%s: %+v", flags, o)
		}
	}
	run.Good(t, "", "-n", "3", "-regex", "[0-9]*", "Hello")
	run.Good(t, "", "-tools", f["tools.json"], "-tool-choice", "multiply", "-regex", "[0-9]{20}", "What is 12 times 34?")
	if o := run.Call("Hello\nHello\n", "-n", "3", "-regex", "[0-9]{20}"); o.Status != 0 {
		t.Errorf("in a conversation: %+v", o)
	}
}

func TestALoopEndsUnlessItIsAllowed(t *testing.T) {
	args := []string{"-temp", "0", "-regex", `(ab)*\x01`, "Hello"} // the last character is one that nano never writes
	o := run.Call("", args...)
	if o.Errors != "(ended by: repetition)\n" || !strings.HasSuffix(o.Out, "abab\x01\n") || len(o.Out) > 3000 {
		t.Errorf("%+v", o)
	}
	o = run.Call("", append([]string{"-repeat-guard=false", "-n", "700"}, args...)...)
	if o.Errors != "(ended by: length)\n" {
		t.Errorf("%+v", o)
	}
}

func TestAThoughtIsAsLongAsItMayBe(t *testing.T) {
	const question = "What is the capital of Peru?"
	for flags, want := range map[string]string{
		"-think":                 "[thought] I know this one.\nThe capital of Peru is Lima.\n",
		"-think -think-tokens 2": "The capital of Peru is Lima.\n",
	} {
		out := run.Good(t, "", append(strings.Fields("-temp 0 -thoughts "+flags), question)...)
		if !strings.HasSuffix(out, want) || strings.Contains(flags, "tokens") == strings.Contains(out, "one.") {
			t.Errorf("%s: %q", flags, out)
		}
	}
}

func TestAChoiceOfToolsHoldsForARestoredSession(t *testing.T) {
	f := files(t, map[string]string{"tools.json": "[" + multiply + "," + weather[1:]})
	file := filepath.Join(t.TempDir(), "talk")
	run.Good(t, "What is 12 times 34?\n408\n", "-temp", "0", "-session", file, "-tools", f["tools.json"])
	out := run.Good(t, "What is the weather in Oslo?\n", "-temp", "0", "-session", file, "-tool-choice", "multiply")
	if !strings.HasPrefix(out, `{"name":"multiply",`) {
		t.Errorf("%q", out)
	}
}

func TestAFormThatIsWrongNamesFileAndPlace(t *testing.T) {
	f := files(t, map[string]string{
		"odd.json": `{"properties": {"a": {"type": "array", "uniqueItems": true}}}`,
		"cut.json": "[\n {\"a\":", "five.json": "5", "empty.json": "{}", "schema.json": "true",
		"bad.gbnf":   "root ::= \"yes\" |\n  other\n",
		"tools.json": "[" + multiply + "]", "noname.json": "[" + multiply + `, {"type": "function"}]`,
	})
	for _, test := range []struct {
		status      int
		flags, want string
	}{
		{1, "-schema odd.json", "odd.json: schema: uniqueItems at #/properties/a"},
		{2, "-loose", "-loose without -schema"},
		{1, "-schema cut.json", "cut.json: schema: byte 8: "},
		{1, "-schema five.json", "five.json: schema: "},
		{1, "-schema missing.json", "missing.json"},
		{1, "-grammar bad.gbnf", "bad.gbnf: GBNF: 2:3: rule other is not defined"},
		{1, "-regex (", "-regex: regular expression: "},
		{1, "-tools cut.json", "cut.json:2:6: "},
		{1, "-tools five.json", "five.json: expected a JSON array of tools"},
		{1, "-tools empty.json", "empty.json: expected a JSON array of tools"},
		{1, "-tools noname.json", "noname.json: tool 2: no name"},
		{1, "-tools missing.json", "missing.json"},
		{1, "-tools tools.json -tool-choice nobody", `no tool is named "nobody"`},
		{1, "-tool-choice required", "there are no tools"},
		{2, "-regex a -schema schema.json", "-regex and -schema: an answer has one form"},
		{2, "-free-calls -regex a -tools tools.json", "-free-calls and -regex: "},
		{2, "-raw -tools tools.json", "-raw has no turns"},
		{2, "-raw -tool-choice none", "-raw has no turns"},
	} {
		run.Fails(t, test.status, test.want, "", append(words(test.flags, f), "Hello")...)
	}
	run.Fails(t, 2, "expected an expression", "", "-regex", "", "Hello")
	run.Fails(t, 2, "expected auto, required", "", "-tool-choice", "", "Hello")
}
