// Command crossring measures what it takes to wake somebody: a goroutine or a
// task, from a goroutine or a task, on one io_uring loop or across two.
//
//	go run ./examples/crossring
//
// plays ping-pong and fan-out along every path, for each way that a sleeping
// loop can be woken: its doorbell. It shows a table while it runs, and draws a
// plot at the end. Where there is no io_uring it says why, and plays between
// goroutines alone.
//
// # Where to look
//
// court.go is what this example is about: the two games, written once, for
// goroutines and tasks alike. All players of all matches share one
// waitmap.Map, one notify.Notify and one waitgroup.Group. match.go says who
// plays whom and seats the players; contest.go makes the loops and lets the
// matches take turns. histogram.go, score.go, table.go, screen.go and plot.go
// count and show.
//
// # What is measured
//
// Ping-pong: two players store the time under each other's key, in turns. A
// wake is a store that reached its taker; its latency goes from before the
// Store to after the Take. Between a goroutine and a task one game gives both
// directions, and the system calls are shared out by the wakes.
//
// Fan-out: one player notes the time and wakes all others by NotifyWaiters.
// Each of them gets back in line and counts itself off by Done, which brings
// back the first player when all have. Only the wakes on the way out are
// counted, and timed until each of the woken runs: so the last of a large crowd
// has a large latency.
//
// The system calls are those that loops make and that are made to wake them
// (LoopStats.Enters and Rings). Go's scheduler wakes its threads by calls of
// its own, which nobody counts here.
//
// The matches take turns, some hundredths of a second each, one at a time, so
// that all of them suffer alike from what else the machine does.
package main

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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Exit statuses.
const (
	exitOK = iota
	exitFailed
	exitUsage
)

// run is the program: it returns the exit status. The end of ctx is the
// signal to stop, and to show what there is by then.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		io.WriteString(stdout, help())
		return exitOK
	}
	if err != nil {
		fmt.Fprintf(stderr, "crossring: %v (-h for help)\n", err)
		return exitUsage
	}
	if err := compete(ctx, cfg, stdout); err != nil {
		fmt.Fprintf(stderr, "crossring: %v\n", err)
		return exitFailed
	}
	return exitOK
}
