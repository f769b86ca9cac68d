package uringwake

import (
	"bytes"
	"fmt"
	"log/slog"
	"runtime"
	"time"
)

// watch reports a turn that lasts longer than limit, once each, with the stack
// of the task that holds the loop.
func (l *Loop) watch(limit time.Duration, log *slog.Logger) {
	tick := time.NewTicker(limit)
	defer tick.Stop()
	var seen, reported uint64
	for {
		select {
		case <-l.end.done:
			return
		case <-tick.C:
		}
		epoch := l.epoch.Load()
		held := epoch == seen && l.door.word.Load()&phaseMask == awake
		if held && epoch != reported {
			reported = epoch
			log.Warn("uringwake: a task holds its loop", "longer than", limit, "stack", l.stackOfRunning())
		}
		seen = epoch
	}
}

// stackOfRunning is the stack of the coroutine of l that is not suspended. The
// traces of all goroutines name each coroutine by its address.
func (l *Loop) stackOfRunning() string {
	mark := fmt.Appendf(nil, "uringwake.runTask(%p", l)
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for trace := range bytes.SplitSeq(buf, []byte("\n\n")) {
		head, _, _ := bytes.Cut(trace, []byte("\n"))
		if bytes.Contains(head, []byte("[coroutine")) || !bytes.Contains(trace, mark) {
			continue
		}
		return string(trace)
	}
	return "not found"
}
