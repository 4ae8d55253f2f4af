// Package cli is what the commands of gemma4 share: a table of them with help and completion, flags that look the same, models opened
// from them, output that is checked, and one way to end.
//
// A command defines its flags and returns what it does, so that help and completion know the flags without running it:
//
//	func greet(p *cli.Program) func() error {
//		model := p.ModelFlags()
//		return func() error {
//			m, err := model.Open()
//			if err != nil {
//				return err
//			}
//			defer m.Close()
//			fmt.Fprintf(p.Out, "Hello, %s, I am %s.\n", p.Arg(0), m.Info().Name)
//			return nil
//		}
//	}
//
//	tool := cli.Tool{Name: "gemma4", Commands: []cli.Command{{Name: "greet", Args: "[flags] [name]", Define: greet, …}}}
//	os.Exit(tool.Run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
//
// Run parses the flags, runs the command and returns the exit status: 0, or 1 after an error, which is printed as one line
// on stderr, 2 if the command line is wrong, 130 if Ctrl-C ended it.
package cli
