package jinja

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"strings"
	"testing"
	"time"
)

// grow wraps a body in a loop of n rounds with a namespace ns whose s is a list or a text.
func grow(n, first, body string) string {
	return "{% set ns = namespace(s=" + first + ") %}{% for i in range(" + n + ") %}" + body + "{% endfor %}{{ ns.s | length }}"
}

// numbered lists name0, name1 … with commas between them, each with an ending.
func numbered(name string, n int, ending ...string) string {
	var list []string
	for i := range n {
		list = append(list, fmt.Sprint(name, i, strings.Join(ending, "")))
	}
	return strings.Join(list, ", ")
}

// hostile is a template and the error that it is, "" for none.
type hostile struct{ source, want string }

func hostileTemplates() map[string]hostile {
	all := map[string]hostile{}
	for _, templates := range []map[string]hostile{forbidden, greedy, deep, malformed} {
		maps.Copy(all, templates)
	}
	return all
}

// often looks ten million times at a text s of ten million bytes.
func often(expression string) string {
	return "{% set s = 'a' * 10000000 %}{% for i in range(100000) %}{% for j in range(100) %}{{ " + expression +
		" }}{% endfor %}{% endfor %}"
}

func nest(open, inside, end string, n int) string {
	return strings.Repeat(open, n) + inside + strings.Repeat(end, n)
}

// forbidden templates want what no template may have.
var forbidden = map[string]hostile{
	"include":            {"{% include '/etc/passwd' %}", `"include": a template cannot use other templates or files`},
	"import":             {"{% import 'x' as y %}", `"import": a template cannot`},
	"from":               {"{% from 'x' import y %}", `"from": a template cannot`},
	"extends":            {"\n\n{% extends 'x' %}", `line 3: refused: "extends": a template cannot`},
	"block":              {"{% block x %}{% endblock %}", `"block": a template cannot`},
	"include in a macro": {"{% macro f() %}\n{% include 'x' %}{% endmacro %}", `line 2: refused: "include": a template cannot`},
	"unknown tag":        {"{% exec 'ls' %}", `unknown tag "exec"`},
	"unknown filter":     {"{{ 'x' | file }}", `unknown filter "file"`},
	"unknown test":       {"{{ 'x' is safe }}", `unknown test "safe"`},
	"unknown mapped":     {"{{ messages | map('file') | list }}", `map: unknown filter "file"`},
	"Python's insides":   {"{{ ''.__class__.__mro__ }}", "__class__, which is undefined, and has no attribute __mro__"},
	"open":               {"{{ open('/etc/passwd').read() }}", "open, which is undefined, and cannot be called"},
	"change a message":   {"{{ messages.append(1) }}", "append, which is undefined, and cannot be called"},
	"refusal":            {"\n{{ raise_exception('Roles must alternate') }}", "line 2: refused by the template: Roles must alternate"},
	"huge refusal":       {"{{ raise_exception('x' * 10**7) }}", "refused by the template: xxx"},
	"clock":              {"{{ strftime_now('%Q') }}", "strftime_now: unknown directive %Q"},
}

// greedy templates want too much.
var greedy = map[string]hostile{
	"range":                {"{{ range(10**12) | length }}", "a range of 1000000000000 numbers, more than 100000"},
	"range backwards":      {"{{ range(10**12, 0, -1) | length }}", "a range of 1000000000000 numbers"},
	"text times":           {"{{ 'a' * 10**9 }}", "a text of 1000000000 bytes, more than"},
	"times text":           {"{{ 10**9 * 'ab' }}", "a text of 2000000000 bytes, more than"},
	"list times":           {"{{ ([0] * 10**9) | length }}", "a list of 1000000000 items, more than"},
	"empty list times":     {"{{ ([[]] * 10**18) | length }}", "a list of 2147483647 items, more than"},
	"power":                {"{{ 9 ** 9 ** 9 }}", "an integer beyond 64 bits"},
	"doubling with +":      {grow("60", "'x'", "{% set ns.s = ns.s + ns.s %}"), "more than"},
	"doubling with ~":      {grow("60", "'x'", "{% set ns.s = ns.s ~ ns.s %}"), "more than"},
	"doubling lists":       {grow("60", "[0]", "{% set ns.s = ns.s + ns.s %}"), "bytes of memory"},
	"doubling with join":   {grow("60", "'x'", "{% set ns.s = [ns.s, ns.s] | join %}"), "more than"},
	"doubling by replace":  {grow("60", "'x'", "{% set ns.s = ns.s.replace('x', 'xx') %}"), "more than"},
	"inserting by replace": {grow("60", "'x'", "{% set ns.s = ns.s | replace('', 'xx') %}"), "bytes, more than 16777"},
	"doubling by format":   {grow("60", "'x'", "{% set ns.s = '{0}{0}'.format(ns.s) %}"), "more than"},
	"doubling by %":        {grow("60", "'x'", "{% set ns.s = '%s%s' % (ns.s, ns.s) %}"), "more than"},
	"doubling by set":      {grow("60", "'x'", "{% set ns.s %}{{ ns.s }}{{ ns.s }}{% endset %}"), "more than"},
	"doubling by tojson":   {grow("60", "'\"'", "{% set ns.s = ns.s | tojson %}"), "more than"},
	"doubling by escape":   {grow("60", "'&'", "{% set ns.s = (ns.s ~ '&') | replace('&', '&&') | e %}"), "more than"},
	"doubling by indent":   {grow("60", "'\n'", "{% set ns.s = (ns.s ~ '\n') | indent(100) ~ ns.s %}"), "more than"},
	"center":               {"{{ 'a' | center(10**9) }}", "more than 16777"},
	"ljust":                {"{{ 'a'.ljust(10**18) }}", "a text of 1000000000000000000 characters, more than"},
	"rjust":                {"{{ 'a'.rjust(2**62, 'é') }}", "more than 16777"},
	"zfill":                {"{{ '1'.zfill(10**9) }}", "more than 16777"},
	"indent":               {"{{ 'a\nb' | indent(10**9) }}", "a text of 1000000000 bytes, more than"},
	"width of %":           {"{{ '%1000000000d' % 1 }}", "a text of 1000000000 characters, more than"},
	"endless width of %":   {"{{ '%99999999999999999999d' % 1 }}", "a width of 99999999999999999999 characters"},
	"precision of %":       {"{{ '%.1000000000f' % 1 }}", "a precision of 1000000000 digits, more than 100"},
	"width of format":      {"{{ '{:>1000000000}'.format(1) }}", "a text of 1000000000 characters, more than"},
	"width of tojson":      {"{{ messages | tojson(indent=10**9) }}", "an indent of 1000000000, more than 100"},
	"batch":                {"{{ [1] | batch(10**9, 'x') | list }}", "a list of 999999999 items, more than"},
	"nested loops": {
		"{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}", "more than",
	},
	"sums of many numbers": {
		"{% set l = range(100000) | list %}{% for a in range(100000) %}{% set x = l | sum %}{% endfor %}", "steps",
	},
	"wide value": {grow("60", "[0]", "{% set ns.s = [ns.s, ns.s] %}") + "{{ ns.s }}", "more than"},
	"wide value compared": {"{% set m = namespace(s=[0]) %}" +
		grow("60", "[0]", "{% set ns.s = [ns.s, ns.s] %}{% set m.s = [m.s, m.s] %}") + "{{ ns.s == m.s }}", "steps"},
	"wide value as JSON": {grow("60", "[0]", "{% set ns.s = [ns.s, ns.s] %}") + "{{ ns.s | tojson }}", "more than"},
	"much output":        {"{% set s = 'x' * 100000 %}{% for i in range(100000) %}{{ s }}{% endfor %}", "output of more than 16777"},
	"much data":          {"{% for i in range(100000) %}" + strings.Repeat("x", 10000) + "{% endfor %}", "output of more than 16777"},
	"many texts":         {grow("100000", "[]", "{% set ns.s = ns.s + ['x' * 1000000 ~ i] %}"), "bytes of memory"},
	"many macros": {grow("100000", "[]",
		"{% macro f() %}{% endmacro %}{% for j in range(100000) %}{% macro f() %}{% endmacro %}{% endfor %}"), "bytes of memory"},
	"many pieces":     {"{{ ('a ' * 8000000).split(' ') | length }}", "bytes of memory"},
	"many lines":      {"{{ ('\n' * 16000000).splitlines() | length }}", "bytes of memory"},
	"many characters": {"{{ ('a' * 16000000) | list | length }}", "bytes of memory"},
	"searching":       {"{% set s = 'a' * 8000000 %}{% for i in range(100000) %}{{ 'b' in s }}{% endfor %}", "steps"},
	"sorting":         {"{% for i in range(100) %}{{ range(100000) | sort(reverse=true) | first }}{% endfor %}", "more than"},
	"unique":          {"{{ range(100000) | unique | list | length }}", "steps"},
	"stripping": {"{% set s = 'a' * 1000000 %}" +
		"{% for i in range(100000) %}{{ s.strip('abcdefgh' * 100) }}{% endfor %}", "steps"},
	"measuring":               {often("s | length"), "more than"},
	"numbers":                 {often("s | int"), "more than"},
	"padding":                 {often("s | center(5)"), "more than"},
	"testing":                 {often("s is upper"), "more than"},
	"looking up":              {often("messages[0].get(s)"), "more than"},
	"indexing":                {often("s[0]"), "more than"},
	"comparing":               {often("s == 'b'"), "more than"},
	"beginning":               {often("s.startswith(s)"), "more than"},
	"counting":                {often("'b'.count(s)"), "more than"},
	"numbering":               {often("s is sequence and s is iterable"), ""},
	"splitting":               {often("s.split('b') | length"), "more than"},
	"joining":                 {often("[] | join(s)"), "more than"},
	"following":               {often("messages | map(attribute=s) | first"), "more than"},
	"stripping by a long set": {"{% set s = 'a' * 4000000 %}{{ s.strip('b' * 4000000 ~ 'a') | length }}", ""},
	"a long path":             {"{{ messages | map(attribute='.' * 10**7) | first }}", "undefined"},
	"many parameters":         {"{% macro f(" + numbered("a", 101) + ") %}{% endmacro %}", "more than 100 parameters"},
	"many named arguments":    {"{{ dict(" + numbered("a", 200, "=1") + ") }}", "more than 100 named arguments"},
	"many variables": {"{% set " + numbered("a", 5000) + " = range(5000) %}{% for i in range(100000) %}{{ a4999 }}{% endfor %}",
		""},
	"formatting by many names": {"{% set l %}{% for i in range(60000) %}k{{ i }},{% endfor %}{% endset %}" +
		"{% set d = dict(l.split(',')[:60000] | batch(2)) %}{{ ('{k59998}' * 20000).format_map(d) | length }}", ""},
	"many pieces of text": {"{{ " + strings.Repeat("'a' ", 250000) + " }}", ""},
}

// deep templates nest too deep.
var deep = map[string]hostile{
	"loop over itself":   {"{% for a in [1] recursive %}{{ loop([1]) }}{% endfor %}", "calls nested deeper than 100"},
	"macro calls itself": {"{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "calls nested deeper than 100"},
	"macros call each other": {
		"{% macro f() %}{{ g() }}{% endmacro %}{% macro g() %}{{ f() }}{% endmacro %}{{ f() }}", "calls nested deeper than 100",
	},
	"macro calls itself twice": {
		"{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}", "steps",
	},
	"default calls itself": {"{% macro f(a=f()) %}{% endmacro %}{{ f() }}", "calls nested deeper than 100"},
	"caller calls itself": {
		"{% macro f() %}{% call f() %}{{ caller() }}{% endcall %}{{ caller is defined }}{% endmacro %}{{ f() }}",
		"calls nested deeper than 100",
	},
	"map of map":            {"{{ " + nest("[", "", "]", 50) + "|map('map','map','map','map') | list }}", ""},
	"deep brackets":         {"{{ " + nest("(", "1", ")", 20000) + " }}", "brackets nested deeper than 100"},
	"deep lists":            {"{{ " + nest("[", "", "]", 101) + " }}", "brackets nested deeper than 100"},
	"deep not":              {"{{ " + nest("not ", "1", "", 20000) + " }}", "operators nested deeper than 100"},
	"deep minus":            {"{{ " + nest("- ", "1", "", 20000) + " }}", "operators nested deeper than 100"},
	"deep if expressions":   {"{{ " + nest("1 if 1 else ", "1", "", 10000) + " }}", "operators nested deeper than 100"},
	"long sum":              {"{{ " + nest("1+", "1", "", 20000) + " }}", "operators nested deeper than 200"},
	"long chain of filters": {"{{ 1" + nest("|string", "", "", 10000) + " }}", "operators nested deeper than 200"},
	"long chain of items":   {"{{ a" + nest("[0]", "", "", 20000) + " }}", "operators nested deeper than 200"},
	"long chain of names":   {"{{ a" + nest(".a", "", "", 20000) + " }}", "operators nested deeper than 200"},
	"long chain of calls":   {"{{ a" + nest("()", "", "", 20000) + " }}", "operators nested deeper than 200"},
	"deep targets":          {"{% for " + nest("(", "a", ")", 101) + " in b %}{% endfor %}", "nested deeper than 100"},
	"deep ifs":              {nest("{% if 1 %}", "", "{% endif %}", 5000), "blocks nested deeper than 100"},
	"deep fors":             {nest("{% for a in b %}", "", "{% endfor %}", 2500), "blocks nested deeper than 100"},
	"deep macros":           {nest("{% macro f() %}", "", "{% endmacro %}", 2500), "blocks nested deeper than 100"},
	"open ifs":              {nest("{% if 1 %}", "", "", 5000), "blocks nested deeper than 100"},
	"deep value":            {grow("1000", "[]", "{% set ns.s = [ns.s] %}") + "{{ ns.s }}", "a value nested deeper than 100"},
	"deep value compared":   {grow("1000", "[]", "{% set ns.s = [ns.s] %}") + "{{ ns.s == [ns.s] }}", "a value nested deeper than 100"},
	"deep value in order":   {grow("1000", "[]", "{% set ns.s = [ns.s] %}") + "{{ ns.s < [ns.s] }}", "a value nested deeper than 100"},
	"deep value as JSON":    {grow("1000", "[]", "{% set ns.s = [ns.s] %}") + "{{ ns.s | tojson }}", "a value nested deeper than 100"},
	"value in itself":       {"{% set ns = namespace() %}{% set ns.a = [ns] %}{{ ns.a }}", ""},
	"deep scopes": {"{% set x = 1 %}" + nest("{% for a in [1] %}{% set b, c, d, e, f = 'abcde' %}",
		"{% for i in range(100000) %}"+strings.Repeat("{{ x }}", 10)+"{% endfor %}", "{% endfor %}", 98), "steps"},
	"long source": {strings.Repeat("x", maxSource+1), "1048577 bytes, more than 1048576"},
}

// malformed templates are none.
var malformed = map[string]hostile{
	"source not UTF-8":     {"ab\xff", "source: invalid UTF-8"},
	"half a character":     {`{{ '\ud800' }}`, `escape "\\ud800" is no character`},
	"open tag":             {"a\n{{ 'b", "line 2: a string that does not end"},
	"open comment":         {"{# a", "a comment that does not end, expected #}"},
	"open raw":             {"{% raw %}a", "a raw block that does not end, expected endraw"},
	"open block":           {"{% if true %}a", `"if" does not end, expected endif`},
	"break without a loop": {"{% break %}", `"break" outside of a loop`},
	"break out of a macro": {"{% for a in [1] %}{% macro f() %}{% break %}{% endmacro %}{% endfor %}", `"break" outside of a loop`},
}

func TestHostileTemplatesAreErrors(t *testing.T) {
	for name, c := range hostileTemplates() {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			began := time.Now()
			tpl, err := Parse(c.source)
			if err == nil {
				_, _, err = tpl.Run(context.Background(), Object{{"messages", []any{Object{{"content", "Hi <b>"}}}}}, "<|turn>")
			}
			took := time.Since(began)
			runtime.ReadMemStats(&after)
			if c.want == "" {
				if err != nil && !errors.Is(err, ErrLimit) && strings.Contains(err.Error(), "internal") {
					t.Errorf("error %v", err)
				}
			} else if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %.300v, want one with %q", err, c.want)
			}
			if err != nil && len(err.Error()) > 2000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			if took > time.Minute {
				t.Errorf("took %v", took)
			}
			if made := after.TotalAlloc - before.TotalAlloc; made > 1<<30 {
				t.Errorf("allocated %d MB", made>>20)
			}
			t.Logf("%v, %d MB: %.200v", took.Round(time.Millisecond), (after.TotalAlloc-before.TotalAlloc)>>20, err)
		})
	}
}

func TestARunEndsWithItsContext(t *testing.T) {
	tpl, err := Parse("{% for i in range(10000) %}{{ i }}{% endfor %}")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, _, err := tpl.Run(ctx, nil, ""); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
}
