// Package cli has what the example programs and demos share as commands: exit statuses,
// flags whose errors are one line, and a screen that shows how the work goes.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// Exit statuses.
const (
	OK = iota
	Failed
	Usage
)

// A Program is a command whose flags are a config.
type Program[config any] struct {
	Name  string
	Help  func() string
	Parse func(args []string) (config, error)
	// Work is the program after its flags. The end of ctx is the signal to stop.
	Work func(ctx context.Context, c config, stdout, stderr io.Writer) error
}

// Main runs the program as a process, which SIGINT and SIGTERM stop, and exits.
func (p Program[config]) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(p.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Run runs the program and returns its exit status. An error is one line.
func (p Program[config]) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	c, err := p.Parse(args)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(stdout, p.Help())
		return OK
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v (-h for help)\n", p.Name, err)
		return Usage
	}
	if err := p.Work(ctx, c, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
		return Failed
	}
	return OK
}
