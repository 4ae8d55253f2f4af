package jinja

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
)

// golden are templates and what Jinja 3.1.6 makes of them; testdata/record.py writes them. Error says that it makes an error,
// Differs that it is an error here, and which.
type golden struct {
	Variables Object
	Cases     []struct {
		Template, Text, Differs string
		Error                   bool
	}
}

func readGolden(t testing.TB) golden {
	t.Helper()
	data, err := os.ReadFile("testdata/jinja.json")
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

// UnmarshalJSON keeps the order of keys.
func (o *Object) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	*o = decode(d).(Object)
	return nil
}

// decode reads the next value; the JSON is valid.
func decode(d *json.Decoder) any {
	t, _ := d.Token()
	switch t {
	case json.Delim('['):
		l := []any{}
		for d.More() {
			l = append(l, decode(d))
		}
		d.Token()
		return l
	case json.Delim('{'):
		o := Object{}
		for d.More() {
			key, _ := d.Token()
			o = append(o, Entry{key.(string), decode(d)})
		}
		d.Token()
		return o
	}
	return t
}

func TestTemplatesMeanWhatTheyMeanInJinja(t *testing.T) {
	g := readGolden(t)
	// Whatever is traced, the text stays the same.
	for _, trace := range []string{"", "<|turn>", "H<l't "} {
		for _, c := range g.Cases {
			var text string
			tpl, err := Parse(c.Template)
			if err == nil {
				text, _, err = tpl.Run(context.Background(), g.Variables, trace)
			}
			switch {
			case (c.Error || c.Differs != "") && (err == nil || !strings.HasSuffix(err.Error(), c.Differs)):
				t.Errorf("%s tracing %q: %q, %v, want the error %q", c.Template, trace, text, err, c.Differs)
			case err != nil && !strings.HasPrefix(err.Error(), "line "):
				t.Errorf("%s: %v, want an error that names its line", c.Template, err)
			case !c.Error && c.Differs == "" && (err != nil || text != c.Text):
				t.Errorf("%s tracing %q:\n got %q, %v\nwant %q", c.Template, trace, text, err, c.Text)
			}
		}
	}
}

// Integers of JSON beyond 64 bits are compared as they are, and calculated with not at all.
func TestWideIntegersAreExactOrErrors(t *testing.T) {
	variables := Object{
		{"a", json.Number("123456789012345678901234567890")}, {"b", json.Number("123456789012345678901234567891")},
		{"c", json.Number("100000000000000000000")}, {"d", json.Number("-123456789012345678901234567890")},
	}
	for source, want := range map[string]string{
		"a == b": "False", "a < b": "True", "a == a": "True", "d < a": "True", "a > 5": "True", "a > 1.5": "True", "c == 1e20": "True",
		"[b, a]|min": variables[0].Value.(json.Number).String(), "{a: 1, b: 2}|length": "2", "{a: 1, b: 2}[b]": "2", "{c: 1}[1e20]": "1",
		"[a, b]|unique|list|length": "2", "a is sameas b": "False", "a is integer": "True", "a in [b]": "False",
		"a|float": "1.2345678901234568e+29",
		"a + 1":   "", "1 - a": "", "-a": "", "a * 2": "", "a / 2": "", "a // 2": "", "a % 7": "", "a ** 2": "", "a is odd": "",
		"a is even":          "",
		"a is divisibleby 2": "", "d|abs": "", "a|round": "", "a|int": "", "[a]|sum": "", "'%d' % a": "",
	} {
		tpl, err := Parse("{{ " + source + " }}")
		if err != nil {
			t.Fatal(err)
		}
		text, _, err := tpl.Run(context.Background(), variables, "")
		if text != want || (err != nil) != (want == "") {
			t.Errorf("%s: %q, %v, want %q", source, text, err, want)
		}
	}
}
