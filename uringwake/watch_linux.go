package uringwake

import (
	"log/slog"
	"runtime"
	"strings"
	"time"
)

// watch reports a task, or a posted function, that holds the loop for longer than
// limit, once each, with its stack.
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
		hold := l.holds.Load()
		if hold == seen && hold != reported {
			if stack := l.holder(hold); stack != "" {
				reported = hold
				log.Warn("uringwake: a task holds its loop", "longer than", limit, "stack", stack)
			}
		}
		seen = hold
	}
}

// held counts the loop's changes of hands, if it is watched: the number is odd
// while a task or a posted function has the loop.
func (l *Loop) held() {
	if l.watched {
		l.holds.Add(1)
	}
}

// holder returns the stack of what has the loop, and has had it since the count of
// holds was that; or "".
func (l *Loop) holder(hold uint64) string {
	if hold%2 == 0 {
		return ""
	}
	stack := stackOfRunning()
	if l.holds.Load() != hold {
		return "" // they were taken after its end, and show others
	}
	return stack
}

// stackOfRunning is the stacks of what runs on loops now: coroutines that are
// not suspended, and posted functions; or what they pull from (iter.Pull).
func stackOfRunning() string {
	all := strings.Split(traces(), "\n\n")
	own, maker := make(map[string]bool), make(map[string]string) // by the goroutine's number
	for _, trace := range all {
		n := number(trace)
		own[n] = strings.Contains(trace, "uringwake.runTask(") || strings.Contains(trace, "uringwake.(*Loop).call(")
		_, by, _ := strings.Cut(trace, "created by iter.Pull")
		_, by, _ = strings.Cut(by, " in ")
		maker[n] = number(by)
	}
	var found []string
	for _, trace := range all {
		n := number(trace)
		for n != "" && !own[n] {
			n = maker[n]
		}
		head, _, _ := strings.Cut(trace, "\n")
		if n != "" && !strings.Contains(head, "[coroutine") {
			found = append(found, trace)
		}
	}
	return strings.Join(found, "\n\n")
}

// number is that of the goroutine in "goroutine 7 [running]:" or "goroutine 7\n",
// or "".
func number(s string) string {
	s, ok := strings.CutPrefix(s, "goroutine ")
	if !ok {
		return ""
	}
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
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
