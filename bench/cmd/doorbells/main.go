// Command doorbells measures the cost of waking a task of a loop, by
// doorbell, by what the loop does meanwhile and by what wakes it, and prints a
// Markdown table.
//
//	go run -C bench ./cmd/doorbells
//	go run -C bench ./cmd/doorbells -out ../docs/doorbells.md
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
)

func main() {
	opt, err := parse(os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err != nil:
		fmt.Fprintln(os.Stderr, "doorbells:", err)
		os.Exit(2)
	}
	if err := run(opt, os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "doorbells:", err)
		os.Exit(1)
	}
}

type options struct {
	rounds int
	slice  time.Duration
	out    string
}

// parse parses the command line. An error is one line.
func parse(args []string, help io.Writer) (*options, error) {
	opt := &options{}
	fs := flag.NewFlagSet("doorbells", flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.IntVar(&opt.rounds, "rounds", 7, "interleaved rounds")
	fs.DurationVar(&opt.slice, "slice", 200*time.Millisecond, "time of one measurement")
	fs.StringVar(&opt.out, "out", "", "write the page to this file, too")
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

// run measures and then prints or writes the table.
func run(opt *options, table, progress io.Writer) error {
	lines, missing, end, err := subjects()
	if err != nil {
		return err
	}
	defer end()
	for _, m := range missing {
		fmt.Fprintln(progress, "doorbells: left out:", m)
	}
	measure.WithProcs(2, func() { err = measureAll(lines, opt, progress) })
	if err != nil {
		return err
	}
	fmt.Fprint(table, markdown(lines))
	if opt.out == "" {
		return nil
	}
	machine := measure.ThisMachine(command(opt))
	return os.WriteFile(opt.out, []byte(page(machine, lines, missing)), 0o644)
}

// command returns the command that makes the page again.
func command(opt *options) string {
	return fmt.Sprintf("go run -C bench ./cmd/doorbells -rounds %d -slice %v -out %s", opt.rounds, opt.slice, opt.out)
}

func measureAll(lines []*line, opt *options, progress io.Writer) error {
	start := time.Now()
	for round := range opt.rounds {
		fmt.Fprintf(progress, "[%d/%d] %5.0fs\n", round+1, opt.rounds, time.Since(start).Seconds())
		for i := range lines {
			l := lines[(i+round)%len(lines)]
			sample, err := l.run(opt.slice)
			if err != nil {
				return fmt.Errorf("%s: %w", strings.Join(l.names[:], ", "), err)
			}
			l.samples = append(l.samples, sample)
		}
	}
	return nil
}
