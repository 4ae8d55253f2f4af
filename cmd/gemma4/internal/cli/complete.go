package cli

import (
	"embed"
	"flag"
	"fmt"
	"slices"
	"strings"
)

// Values are what a flag or an argument may be, for completion: one of the list, or a file.
type Values struct {
	List  []string
	Names func() []string // more of them, which are looked up; nil: none
	Files string          // a pattern of files, such as *.gguf; empty: none
}

// scripts complete command lines in a shell: each hands the words to the completion command and shows what it answers.
//
//go:embed completion.*
var scripts embed.FS

// shells are those that a script is there for, with what makes it known there.
var shells = []struct{ name, file, how string }{
	{"bash", "completion.bash", `eval "$(gemma4 completion bash)"   # in ~/.bashrc`},
	{"zsh", "completion.zsh", "source <(gemma4 completion zsh)    # in ~/.zshrc, after compinit"},
	{"fish", "completion.fish", "gemma4 completion fish > ~/.config/fish/completions/gemma4.fish"},
	{"powershell", "completion.ps1", "gemma4 completion powershell | Out-String | Invoke-Expression   # in $PROFILE"},
}

func (t *Tool) completion() Command {
	var names, examples []string
	for _, s := range shells {
		names, examples = append(names, s.name), append(examples, s.how)
	}
	last := len(names) - 1
	return Command{
		Name: "completion", Group: t.Commands[len(t.Commands)-1].Group, Does: "print a script that completes command lines in your shell",
		Args: strings.Join(names, "|"), Operands: Values{List: names}, Examples: "\n" + strings.Join(examples, "\n"),
		About: `
Prints a script for a shell that completes commands, flags, their values and files with the Tab key. Each example makes it known to
one shell. The script asks this program: behind the shell's name it gives the words of a command line, and gets what the last may be.`,
		Define: func(p *Program) func() error {
			return func() error {
				i := slices.Index(names, p.Arg(0))
				if i < 0 {
					return Wrong("expected %s or %s", strings.Join(names[:last], ", "), names[last])
				}
				if words := p.Args()[1:]; len(words) > 0 {
					for _, c := range t.complete(p.Arg(0), words) {
						fmt.Fprintln(p.Out, c)
					}
					return nil
				}
				script, err := scripts.ReadFile(shells[i].file)
				p.Out.Write(script)
				return err
			}
		},
	}
}

// complete returns what the last of a command line's words, the first of which is a command, may be: one of these, each with a tab and
// what it means if that is known, and behind them ":files" and a pattern, since shells know best how files are completed.
func (t *Tool) complete(shell string, words []string) (found []string) {
	typed := words[len(words)-1]
	if shell == "bash" { // replaces no more than what stands behind the last = or :
		words = rejoin(words)
		keep := len(words[len(words)-1]) - len(strings.TrimLeft(typed, "=:"))
		defer func() {
			for i, c := range found {
				if !strings.HasPrefix(c, ":files") {
					found[i] = c[keep:]
				}
			}
		}()
	}
	last := words[len(words)-1]
	if last == `""` { // how PowerShell has to write an empty word
		last = ""
	}
	matching := func(head string, list []string) (found []string) {
		for _, c := range list {
			if strings.HasPrefix(head+c, last) {
				found = append(found, head+c)
			}
		}
		return found
	}
	among := func(head string, v Values) []string {
		list := v.List
		if v.Names != nil {
			list = append(slices.Clip(list), v.Names()...)
		}
		found := matching(head, list)
		if v.Files != "" {
			found = append(found, ":files "+v.Files)
		}
		return found
	}
	var commands []string
	for _, c := range t.commands() {
		commands = append(commands, c.Name+"\t"+c.Does)
	}
	if len(words) == 1 {
		return matching("", commands)
	}
	c := t.find(words[0])
	if c == nil {
		return nil
	}
	p := New(t.Name, *c, nil, nil, nil)
	c.Define(p)
	flags := true
	for rest := words[1 : len(words)-1]; flags && len(rest) > 0; rest = rest[1:] {
		name, value := p.flag(rest[0])
		switch {
		case !strings.HasPrefix(rest[0], "-") || rest[0] == "-" || rest[0] == "--":
			flags = false
		case name == nil || value || IsBool(name):
		case len(rest) == 1:
			return among("", p.values[name.Name])
		default:
			rest = rest[1:]
		}
	}
	switch f, value := p.flag(last); {
	case !flags || !strings.HasPrefix(last, "-"):
		if c.Name == "help" {
			return matching("", commands)
		}
		return among("", c.Operands)
	case value && f != nil && IsBool(f):
		return among(last[:strings.Index(last, "=")+1], Values{List: []string{"true", "false"}})
	case value && f != nil:
		return among(last[:strings.Index(last, "=")+1], p.values[f.Name])
	}
	dashes := "-"
	if strings.HasPrefix(last, "--") {
		dashes = "--"
	}
	var names []string
	p.VisitAll(func(f *flag.Flag) {
		_, usage := flag.UnquoteUsage(f)
		names = append(names, f.Name+"\t"+usage)
	})
	return matching(dashes, append(names, "h\texplain the command"))
}

// flag returns the flag that a word names, nil if there is none, and whether its value stands in the same word.
func (p *Program) flag(word string) (f *flag.Flag, value bool) {
	name, _, value := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
	return p.Lookup(name), value
}

// IsBool reports whether a flag is true or false, and so needs no value.
func IsBool(f *flag.Flag) bool {
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return ok && b.IsBoolFlag()
}

// rejoin puts together what bash takes apart: it makes words of each = and :.
func rejoin(words []string) (joined []string) {
	glue := false
	for i, w := range words {
		separator := i > 0 && w != "" && strings.Trim(w, "=:") == ""
		if (separator || glue) && len(joined) > 0 {
			joined[len(joined)-1] += w
		} else {
			joined = append(joined, w)
		}
		glue = separator
	}
	return joined
}
