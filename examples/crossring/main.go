// Command crossring measures what it takes to wake a goroutine or a task, from a
// goroutine or a task, on one io_uring loop or across two.
//
//	go run ./examples/crossring
//
// runs ping-pong and fan-out along every path, for each way that a sleeping loop
// can be woken: its doorbell. It shows a table while it runs, and draws a plot at
// the end. Where there is no io_uring it says why, and measures goroutines alone.
//
// # Where to look
//
// workloads.go is what this example is about: the two workloads, written once, for
// goroutines and tasks alike. All workers of all measurements share one
// waitmap.Map, one notify.Notify and one waitgroup.Group. measurement.go says which
// workers a measurement has and starts them; benchmark.go makes the loops and lets
// the measurements take turns. results.go, table.go, progress.go and plot.go add up
// and show.
//
// # What is measured
//
// Ping-pong: two workers store the time under each other's key, in turns. A wake
// is a store that reached its taker; its latency goes from before the Store to
// after the Take. Between a goroutine and a task one measurement has both
// directions, and the system calls are shared out by the wakes.
//
// Fan-out: one worker notes the time and wakes all others by NotifyWaiters. Each
// of them gets back in line and counts itself off by Done, which wakes the first
// worker when all have. Only the wakes on the way out are counted, and timed until
// each of the woken runs: so the last of many has a large latency.
//
// The system calls are those that loops make and that are made to wake them, as
// LoopStats counts them. Go's scheduler wakes its threads by calls of its own,
// which are not counted here.
//
// The measurements take turns, some hundredths of a second each, one at a time, so
// that other programs of the machine affect all of them alike.
package main

import "github.com/vigil-go/vigil/internal/cli"

func main() { program.Main() }

var program = cli.Program[*config]{Name: "crossring", Help: help, Parse: parse, Work: work}
