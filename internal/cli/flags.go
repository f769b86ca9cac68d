package cli

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// NewFlagSet returns an empty set of flags that prints nothing itself.
func NewFlagSet(name string) *flag.FlagSet {
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard) // Program.Run prints the error, in one line
	f.Usage = func() {}
	return f
}

// Parse reads flags from args, which must have nothing else. Its errors are one
// line that says what is wrong.
func Parse(f *flag.FlagSet, args []string) error {
	if err := f.Parse(args); err != nil {
		return OneLine(err)
	}
	if f.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	return nil
}

// OneLine returns err without the line breaks that a strange argument put into
// its text.
func OneLine(err error) error {
	if errors.Is(err, flag.ErrHelp) {
		return err
	}
	lines := strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' })
	return errors.New(strings.Join(lines, " "))
}

// WriteFlags writes a line of help for each flag, in two columns.
func WriteFlags(w io.Writer, flags ...*flag.Flag) {
	width := 11
	for _, f := range flags {
		width = max(width, len(f.Name))
	}
	for _, f := range flags {
		usage := f.Usage
		if f.DefValue != "" && f.DefValue != "false" {
			usage += " (default " + f.DefValue + ")"
		}
		fmt.Fprintf(w, "  -%-*s %s\n", width, f.Name, usage)
	}
}
