package rows

import (
	"fmt"
	"slices"

	"github.com/vigil-go/vigil/bench/load"
	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/server"
)

func echoRow() Row {
	return Row{
		Name:  "io/echo",
		Title: "Echo over loopback",
		About: "Each server is a process of its own; one thread with an epoll is the client of all of them, in turns. A message is " +
			"echoed before the next one is sent on its connection, or 16 are sent by one write and the next 16 once all are back " +
			"(x16; the latency is that of the 16). Bytes and order are checked. CPU is what the server process used, in the kernel " +
			"as well: messages per CPU second are its inverse. Objects are those that the server allocated. System calls are all " +
			"of the process, with those of Go's scheduler, counted by a tracepoint in a run of their own. Tasks " +
			"have a loop for each processor, or one; the server in C has one ring, multishot accepts and receives, and a buffer " +
			"ring. Rates and latencies depend on a client that shares the processors.",
		Base: byNet,
		jobs: func(set *Settings) []Job { return contestJobs(set, serverFigures("message"), echoContests(set)) },
	}
}

const (
	byNet        = "net"
	inTasks      = "tasks"
	onOneLoop    = "tasks, one loop"
	inGoroutines = "goroutines"
)

func echoContests(set *Settings) (contests []contest) {
	if set.Quick {
		return []contest{echoContest(set, 1, 64, 1), echoContest(set, 8, 4096, 16)}
	}
	for _, size := range []int{64, 4096} {
		for _, batch := range []int{1, 16} {
			for _, conns := range []int{1, 64, 1024} {
				contests = append(contests, echoContest(set, conns, size, batch))
			}
		}
	}
	return contests
}

func echoContest(set *Settings, conns, size, batch int) contest {
	name := map[int]string{64: "64B", 4096: "4KiB"}[size]
	if batch > 1 {
		name += fmt.Sprint("x", batch)
	}
	of := crowd{conns: conns, batch: batch, buffer: max(size*batch, 4096), script: func(string) load.Script { return load.Echo(size * batch) }}
	return contest{
		name: fmt.Sprint(name, "/", conns),
		measure: func() (scores, []string) {
			return of.measure(set, []rival{
				set.inGo(byNet, server.EchoNet),
				set.inGo(inTasks, server.EchoTasks),
				set.inGo(onOneLoop, server.EchoOneLoop),
				set.inGo(inGoroutines, server.EchoGoroutines),
				{name: inC, start: server.StartC, inC: true},
			})
		},
		aims: func(figure string, series []measure.Series) []string { return echoAims(conns, figure, series) },
	}
}

func echoAims(conns int, figure string, series []measure.Series) (notes []string) {
	switch {
	case figure == allocsFigure:
		notes = append(notes, goal("objects a message of tasks", find(series, inTasks).Median(), 0.01))
	case figure == cpuFigure && conns >= 8:
		notes = append(notes, share{inTasks, byNet, 1.3}.note(series))
		if slices.ContainsFunc(series, func(s measure.Series) bool { return s.Name == inC }) {
			notes = append(notes, share{inTasks, inC, 0.85}.note(series))
		}
	}
	return notes
}
