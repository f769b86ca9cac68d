package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

// A progress shows a line while something runs: in place on a terminal, about
// once a second elsewhere.
type progress struct {
	out      io.Writer
	terminal bool
	width    int // of the line on the terminal
}

func newProgress(out io.Writer) *progress {
	return &progress{out: out, terminal: isTerminal(out)}
}

// isTerminal reports whether out is a device that shows characters and knows
// what a carriage return is.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// during runs work and shows line until it is done, and a last time then.
func (p *progress) during(work func(), line func() string) {
	done := make(chan struct{})
	go func() { defer close(done); work() }()

	every := time.Second
	if p.terminal {
		every = 100 * time.Millisecond
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-done:
			p.show(line())
			p.finish()
			return
		case <-tick.C:
			p.show(line())
		}
	}
}

func (p *progress) show(line string) {
	if !p.terminal {
		fmt.Fprintln(p.out, line)
		return
	}
	p.width = max(p.width, len(line))
	fmt.Fprintf(p.out, "\r%-*s", p.width, line)
}

func (p *progress) finish() {
	if p.terminal {
		fmt.Fprintln(p.out)
		p.width = 0
	}
}

// bar draws how much of all is done.
func bar(part float64) string {
	const width = 8
	full := int(min(1, part) * width)
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}
