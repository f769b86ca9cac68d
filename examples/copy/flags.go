package main

import (
	"errors"
	"flag"
	"fmt"
	"strings"

	"github.com/vigil-go/vigil/internal/cli"
	"github.com/vigil-go/vigil/uringwake"
)

// config is what the flags and arguments say.
type config struct {
	from, to string
	tasks    int
	piece    int // KiB
	sync     bool
	compare  bool
	rounds   int
	size     int // MiB
	plain    bool

	// supported tells why there is no loop here, if so.
	supported func() error
}

func flagSet(c *config) *flag.FlagSet {
	f := cli.NewFlagSet("copy")
	f.IntVar(&c.tasks, "tasks", 8, "how many tasks, each with one piece, 1 to 256")
	f.IntVar(&c.piece, "piece", 256, "KiB of a piece, 4 to 65536")
	f.BoolVar(&c.sync, "sync", false, "wait until the copy is on the device")
	f.BoolVar(&c.compare, "compare", false, "copy by io.Copy too, and print all times")
	f.IntVar(&c.rounds, "rounds", 3, "how often each way is measured, 1 to 100")
	f.IntVar(&c.size, "size", 256, "without FROM and TO: MiB of the file, 1 to 65536")
	f.BoolVar(&c.plain, "plain", false, "no bar that is drawn over, only a line per second")
	return f
}

// parse reads the flags and arguments. Its errors are one line that says what is wrong.
func parse(args []string) (*config, error) {
	c := &config{supported: uringwake.Supported}
	f := flagSet(c)
	if err := f.Parse(args); err != nil {
		return nil, cli.OneLine(err)
	}
	switch f.NArg() {
	case 0:
		c.compare = true
	case 2:
		c.from, c.to = f.Arg(0), f.Arg(1)
		if c.from == "" || c.to == "" {
			return nil, errors.New("FROM and TO must not be empty")
		}
	default:
		return nil, errors.New("want FROM and TO, or neither")
	}
	return c, c.check()
}

func (c *config) check() error {
	switch {
	case c.tasks < 1 || c.tasks > 256:
		return fmt.Errorf("-tasks %d: must be from 1 to 256", c.tasks)
	case c.piece < 4 || c.piece > 65536:
		return fmt.Errorf("-piece %d: must be from 4 to 65536", c.piece)
	case c.rounds < 1 || c.rounds > 100:
		return fmt.Errorf("-rounds %d: must be from 1 to 100", c.rounds)
	case c.size < 1 || c.size > 65536:
		return fmt.Errorf("-size %d: must be from 1 to 65536", c.size)
	}
	return nil
}

func help() string {
	var b strings.Builder
	b.WriteString(`copy copies a file by tasks of an io_uring loop, and shows how far it is.

  go run ./examples/copy FROM TO
      copies a file.

  go run ./examples/copy -compare FROM TO
      copies it by io.Copy too, and prints how long each took.

  go run ./examples/copy
      makes a temporary file, compares, and removes it.

Flags:
`)
	flagSet(new(config)).VisitAll(func(f *flag.Flag) { cli.WriteFlags(&b, f) })
	b.WriteString("\nExit status: 0 done, 1 failed, 2 bad flags.\n")
	return b.String()
}
