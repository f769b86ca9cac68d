// Command scale writes docs/scale.md: how far one bucket of package cluster goes, by a simulation whose
// inputs were measured.
//
//	go run -C bench ./cmd/scale -measure      # measures ../docs/scale.json first
//	go run -C bench ./cmd/scale               # writes ../docs/scale.md and ../docs/scale.svg
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/vigil-go/vigil/bench/scale"
)

func main() {
	opt, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(2)
	}
	if err := run(opt); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

type options struct {
	measure bool
	rounds  int
	slice   time.Duration
	dir     string
}

// parse parses the command line. An error is one line.
func parse(args []string, help io.Writer) (*options, error) {
	opt := &options{}
	fs := flag.NewFlagSet("scale", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.BoolVar(&opt.measure, "measure", false, "measure the inputs on this machine and write them")
	fs.IntVar(&opt.rounds, "rounds", 7, "rounds of each measurement")
	fs.DurationVar(&opt.slice, "slice", time.Second, "time of one measurement")
	fs.StringVar(&opt.dir, "dir", "../docs", "folder of scale.json, scale.md and scale.svg")
	err := fs.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fs.SetOutput(help)
		fs.Usage()
		return nil, err
	case err != nil:
		return nil, err
	case fs.NArg() > 0:
		return nil, fmt.Errorf("unexpected argument %q", fs.Arg(0))
	case opt.rounds < 1:
		return nil, fmt.Errorf("-rounds is %d, not 1 or more", opt.rounds)
	case opt.slice <= 0:
		return nil, fmt.Errorf("-slice is %v, not more than 0", opt.slice)
	}
	return opt, nil
}

func run(opt *options) error {
	inputs := filepath.Join(opt.dir, "scale.json")
	if opt.measure {
		in, err := scale.Measure(scale.Settings{Slice: opt.slice, Rounds: opt.rounds, Followers: []int{1, 2, 4, 8, 16}, Keys: 100_000})
		if err != nil {
			return err
		}
		if err := in.Write(inputs); err != nil {
			return err
		}
	}
	in, err := scale.Read(inputs)
	if err != nil {
		return err
	}
	page, plot, err := in.Page()
	if err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(opt.dir, "scale.md"), []byte(page), 0o644),
		os.WriteFile(filepath.Join(opt.dir, "scale.svg"), []byte(plot), 0o644))
}
