package uringwake

import (
	"log/slog"
	"runtime"
	"strings"
	"time"
)

// watch reports a turn that lasts longer than limit, once each, with the stack
// of what holds the loop.
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
			log.Warn("uringwake: a task holds its loop", "longer than", limit, "stack", stackOfRunning())
		}
		seen = epoch
	}
}

// stackOfRunning is the stacks of what runs on loops now: coroutines that are
// not suspended, and posted functions. One of them is l's.
func stackOfRunning() string {
	var found []string
	for trace := range strings.SplitSeq(traces(), "\n\n") {
		head, _, _ := strings.Cut(trace, "\n")
		onLoop := strings.Contains(trace, "uringwake.runTask(") || strings.Contains(trace, "uringwake.(*Loop).call(")
		if onLoop && !strings.Contains(head, "[coroutine") {
			found = append(found, trace)
		}
	}
	return strings.Join(found, "\n\n")
}

// traces is the stacks of all goroutines.
func traces() string {
	for size := 1 << 20; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size == 1<<28 {
			return string(buf[:n])
		}
	}
}
