package grammar

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func BenchmarkNewVocabulary(b *testing.B) {
	t := gemma(b).tokenizer
	for b.Loop() {
		NewVocabulary(t)
	}
}

// properties returns a schema of n properties of the usual kinds.
func properties(n int, description string) string {
	kinds := []string{`{"type":"string"%s}`, `{"type":"integer","minimum":0%s}`, `{"type":"array","items":{"type":"string"}%s}`,
		`{"enum":["low","medium","high"]%s}`,
		`{"type":"object","properties":{"id":{"type":"string"},"on":{"type":"boolean"}},"required":["id"]%s}`}
	var b strings.Builder
	b.WriteString(`{"type":"object","properties":{`)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"property_%d":`+kinds[i%len(kinds)], i, `,"description":"`+description+`"`)
	}
	b.WriteString(`},"required":["property_0"]}`)
	return b.String()
}

func BenchmarkFirstMask(b *testing.B) {
	v := gemma(b)
	schema := []byte(properties(50, "what it is"))
	b.Run("50 properties", func(b *testing.B) {
		for b.Loop() {
			v.cache = newCache()
			must(Schema(v, schema, SchemaOptions{}))(b).Start().Mask()
		}
	})
	b.Run("50 properties again", func(b *testing.B) {
		for b.Loop() {
			must(Schema(v, schema, SchemaOptions{}))(b).Start().Mask()
		}
	})
	var tools []Tool
	size := 0
	for i := range 100 {
		p := properties(30, strings.Repeat("what it is, at length ", 5))
		size += len(p)
		tools = append(tools, Tool{Name: fmt.Sprintf("tool_%d", i), Parameters: json.RawMessage(p)})
	}
	b.Run("100 tools", func(b *testing.B) {
		for b.Loop() {
			v.cache = newCache()
			must(Calls(v, tools, CallOptions{}))(b).Start().Mask()
		}
		b.ReportMetric(float64(size), "bytes")
	})
	b.Run("100 tools again", func(b *testing.B) {
		for b.Loop() {
			must(Calls(v, tools, CallOptions{}))(b).Start().Mask()
		}
	})
}

// BenchmarkMask times masks that are known and masks that are not, within a string of a schema, between its members and in a pattern.
func BenchmarkMask(b *testing.B) {
	v := gemma(b)
	g := must(Schema(v, []byte(properties(50, "")), SchemaOptions{}))(b)
	p := must(Schema(v, []byte(`{"type":"string","pattern":"^[a-z0-9_-]+$","maxLength":1000}`), SchemaOptions{}))(b)
	for _, c := range []struct {
		name string
		g    *Grammar
		text string
	}{
		{"string", g, `{"property_0": "ab`},
		{"key", g, `{"property_0": "ab", "`},
		{"integer", g, `{"property_0": "ab", "property_1": 1`},
		{"pattern", p, `"ab`},
	} {
		s, ok := c.g.Start().AcceptText(c.text)
		if !ok {
			b.Fatal(c.text)
		}
		b.Run(c.name+" new", func(b *testing.B) {
			for b.Loop() {
				s.s.mask = nil
				s.Mask()
			}
		})
		b.Run(c.name+" within", func(b *testing.B) {
			for b.Loop() {
				s.s.dearest = 0
				s.MaskWithin(5)
			}
		})
		b.Run(c.name+" known", func(b *testing.B) {
			for b.Loop() {
				s.Mask()
			}
		})
	}
}
