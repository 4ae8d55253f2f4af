package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Command is one of a tool's.
type Command struct {
	Name     string
	Group    string // the title that the overview lists it under
	Does     string // in one line
	Args     string // what stands behind the name
	About    string // what it does, for people
	Examples string // command lines, one each, that may be copied
	Operands Values // what its arguments may be, for completion

	// Define defines the flags of the command in p and returns what it does when they are parsed.
	Define func(p *Program) (body func() error)
}

// Tool is a program of several commands. Help and completion come with it.
type Tool struct {
	Name     string
	About    string
	Notes    string // what stands below the commands in the overview
	Commands []Command
}

// Run runs the command that args begin with and returns the exit status.
func (t *Tool) Run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		io.WriteString(stderr, t.overview())
		return wrongUsage
	}
	name, args := args[0], args[1:]
	switch strings.TrimLeft(name, "-") { // -h, --help, -version: only what is asked before there is a command
	case "h", "help":
		name = "help"
	case "version":
		name = "version"
	}
	if c := t.find(name); c != nil {
		return t.run(c, args, stdin, stdout, stderr)
	}
	hint := meant(name, t.names())
	if strings.HasPrefix(name, "-") {
		hint = ": flags come after the command"
	}
	fmt.Fprintf(stderr, "%s: %q is not a command%s\nusage: %[1]s COMMAND …\n%[1]s help lists the commands\n", t.Name, name, hint)
	return wrongUsage
}

func (t *Tool) run(c *Command, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	p := New(t.Name, *c, stdin, stdout, stderr)
	return p.Run(args, c.Define(p))
}

// commands returns all commands, those that come with every tool at the end.
func (t *Tool) commands() []Command {
	return append(slices.Clip(t.Commands), t.completion(), Command{
		Name: "help", Group: t.Commands[len(t.Commands)-1].Group, Does: "explain a command", Args: "[command]",
		About:    "\nExplains a command and its flags, as COMMAND -h does, or lists all commands.",
		Examples: "\n" + t.Name + " help\n" + t.Name + " help " + t.Commands[0].Name,
		Define: func(p *Program) func() error {
			return func() error {
				if p.NArg() == 0 {
					p.Out.WriteString(t.overview())
					return nil
				}
				if p.NArg() > 1 {
					return Wrong("one command at a time")
				}
				c := t.find(p.Arg(0))
				if c == nil {
					return Wrong("%q is not a command%s", p.Arg(0), meant(p.Arg(0), t.names()))
				}
				of := New(t.Name, *c, p.In, p.stdout, p.Err)
				c.Define(of)
				of.help()
				return of.Out.Flush()
			}
		},
	})
}

// find returns the command of that name, nil if there is none.
func (t *Tool) find(name string) *Command {
	all := t.commands()
	if i := slices.IndexFunc(all, func(c Command) bool { return c.Name == name }); i >= 0 {
		return &all[i]
	}
	return nil
}

func (t *Tool) names() (names []string) {
	for _, c := range t.commands() {
		names = append(names, c.Name)
	}
	return names
}

// overview lists the commands by group.
func (t *Tool) overview() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\nusage: %s COMMAND [flags] …\n", strings.TrimSpace(t.About), t.Name)
	group := ""
	for _, c := range t.commands() {
		if c.Group != group {
			group = c.Group
			fmt.Fprintf(&b, "\n%s:\n", group)
		}
		fmt.Fprintf(&b, "  %-12s%s\n", c.Name, c.Does)
	}
	fmt.Fprintf(&b, "\n%s\n", strings.TrimSpace(t.Notes))
	return b.String()
}

// meant asks whether the one of names that is nearest to name was meant; it is empty if none is near.
func meant(name string, names []string) string {
	best, least := "", max(1, min(2, utf8.RuneCountInString(name)/2))+1
	for _, n := range names {
		if d := distance(name, n); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance counts the characters that have to be inserted, deleted, replaced or swapped with their neighbour to make b of a.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	d := make([][]int, len(x)+1) // of the first i of x and the first j of y
	for i := range d {
		d[i] = make([]int, len(y)+1)
		d[i][0] = i
	}
	for j := range y {
		d[0][j+1] = j + 1
	}
	for i := range x {
		for j := range y {
			cost := 1
			if x[i] == y[j] {
				cost = 0
			}
			d[i+1][j+1] = min(d[i][j+1]+1, d[i+1][j]+1, d[i][j]+cost)
			if i > 0 && j > 0 && x[i] == y[j-1] && x[i-1] == y[j] {
				d[i+1][j+1] = min(d[i+1][j+1], d[i-1][j-1]+1)
			}
		}
	}
	return d[len(x)][len(y)]
}
