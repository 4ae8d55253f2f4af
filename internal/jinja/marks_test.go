package jinja

import (
	"context"
	"slices"
	"strings"
	"testing"
)

// What comes from variables stays literal through every way of handling text; ^ stands before a literal '<'.
func TestLiteralTextStaysLiteral(t *testing.T) {
	tests := []struct{ source, want string }{
		{"<{{ s }}>", "<^<a>x^<b>>"},
		{"{{ s.swapcase() }}{{ s | title }}{{ s.title() }}", "^<A>X^<B>^<A>x^<B>^<A>X^<B>"},
		{"{{ s | truncate(5, true, '<', 0) }}", "^<a>x<"},
		{"{{ 'xxxxxxxxx' | truncate(3, true, s[0], 0) }}", "xx^<"},
		{"{{ '%.1s<%5s' % (s, s[:1]) }}", "^<<    ^<"},
		{"{{ s[:1] % () }}{{ '%a' % s[:1] }}", "^<'^<'"},
		{"{{ '{:<^3}{:>3}{!r}'.format('x', s[:1], s[:1]) }}", "<x<  ^<'^<'"},
		{"{{ ('{:' ~ s[0] ~ '>3}').format('x') }}", "^<^<x"},
		{"{{ '{a}{b[c]}'.format(a=s[0], b={'c': s[0]}) }}{{ '{x}'.format_map({'x': s[0]}) }}", "^<^<^<"},
		{"{{ (s[0] ~ '{}').format('<') }}", "^<<"},
		{"{% for k, l in [{'k': s[0]}, {'k': '<'}] | groupby('k') %}{{ k }}{{ l | length }}{% endfor %}", "^<2"},
		{"{{ {s[0]: 1} }}{{ {s[0]: s[0]} | pprint }}{{ {'<': 2}[s[0]] }}", "{'^<': 1}{'^<': '^<'}2"},
		{"{{ {s[0]: s[0]} | tojson(indent=s[0]) }}", "{\n^<\"^<\": \"^<\"\n}"},
		{"{% set j = joiner(s[0]) %}{{ j() ~ j() }}{% set c = cycler('<', s[0]) %}{{ c.next() ~ c.next() }}", "^<<^<"},
		{"{{ (s[0] ~ '\t<').expandtabs(2) | indent(1) }}{{ '<\n<' | indent(s[0]) }}", "^< <<\n^<<"},
		{"{{ [s] | batch(1) | list }}{{ [s] | slice(1) | list }}", "[['^<a>x^<b>']][['^<a>x^<b>']]"},
		{"{% macro m() %}{{ varargs[0] }}{{ kwargs.k }}{{ caller() }}{% endmacro %}{% call m(s[0], k=s[0]) %}<{% endcall %}", "^<^<<"},
		{"{{ '{}{}'.format(*s[:2]) }}{{ dict(**{s[0]: s[0]}) }}", "^<a{'<': '^<'}"},
		{"{{ s.ljust(9, '<') }}{{ '>'.rjust(2, s[0]) }}{{ s | center(9) }}", "^<a>x^<b><<^<> ^<a>x^<b> "},
		{"{{ own }}{{ d.k }}{{ d.own }}{{ d }}", "<^<<{'k': '^<', 'own': '<'}"},
		{"{{ s | urlencode }}", "%3Ca%3Ex%3Cb%3E"},
	}
	variables := Object{{"s", "<a>x<b>"}, {"own", Safe("<")}, {"d", Object{{"k", "<"}, {"own", Safe("<")}}}}
	for _, test := range tests {
		tpl, err := Parse(test.source)
		if err != nil {
			t.Fatal(err)
		}
		text, literal, err := tpl.Run(context.Background(), variables, "<")
		var b strings.Builder
		from := 0
		for _, at := range literal {
			b.WriteString(text[from:at] + "^")
			from = at
		}
		b.WriteString(text[from:])
		if b.String() != test.want || err != nil {
			t.Errorf("%s:\n got %q, %v\nwant %q", test.source, b.String(), err, test.want)
		}
	}
}

// What is written for a literal character is literal, too: the & of &lt;.
func TestEscapedTextStaysLiteral(t *testing.T) {
	tpl, err := Parse("&{{ s | escape }}")
	if err != nil {
		t.Fatal(err)
	}
	text, literal, err := tpl.Run(context.Background(), Object{{"s", "<&"}}, "<&")
	if text != "&&lt;&amp;" || !slices.Equal(literal, []int{1, 5}) || err != nil {
		t.Errorf("%q with literal places %v, %v; want the second and the third &", text, literal, err)
	}
}
