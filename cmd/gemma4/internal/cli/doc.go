// Package cli is what the commands of gemma4 share: flags that look the same, models opened from them, output that is
// checked, and one way to end.
//
// A command is a function of its arguments and its three streams, so that tests can call it:
//
//	func greet(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
//		p := cli.New(cli.Usage{Name: "gemma4 greet", Args: "[flags] [name]", …}, stdin, stdout, stderr)
//		model := p.ModelFlags()
//		return p.Run(args, func() error {
//			m, err := model.Open()
//			if err != nil {
//				return err
//			}
//			defer m.Close()
//			fmt.Fprintf(p.Out, "Hello, %s, I am %s.\n", p.Arg(0), m.Info().Name)
//			return nil
//		})
//	}
//
// Run parses the flags, runs the body and returns the exit status: 0, or 1 after an error, which is printed as one line
// on stderr, 2 if the flags are wrong, 130 if Ctrl-C ended it.
package cli
