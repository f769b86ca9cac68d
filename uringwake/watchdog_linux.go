package uringwake

import (
	"log/slog"
	"runtime"
	"strings"
	"time"
)

// watch reports a task or a posted function that has the loop's thread for longer than
// limit, once, with its stack.
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
		count := l.switches.Load()
		if count == seen && count != reported {
			if stack := l.stalledStack(count); stack != "" {
				reported = count
				log.Warn("uringwake: a task stalls its loop", "longer than", limit, "stack", stack)
			}
		}
		seen = count
	}
}

// noteSwitch counts, if the loop is watched, each time that the thread goes to a task or
// a posted function and back: the number is odd while one of those has it.
func (l *Loop) noteSwitch() {
	if l.watched {
		l.switches.Add(1)
	}
}

// stalledStack returns the stack of the code that has used the thread since the number of
// switches was count, or "".
func (l *Loop) stalledStack(count uint64) string {
	if count%2 == 0 {
		return ""
	}
	stack := stackOfRunning()
	if l.switches.Load() != count {
		return "" // the stacks were taken after its end, and are of others
	}
	return stack
}

// stackOfRunning returns the stacks of what runs on loops now: coroutines that are not
// suspended, posted functions, and the iterators that these pull from (iter.Pull).
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

// number returns the number of the goroutine in "goroutine 7 [running]:" or
// "goroutine 7\n", or "".
func number(s string) string {
	s, ok := strings.CutPrefix(s, "goroutine ")
	if !ok {
		return ""
	}
	return s[:len(s)-len(strings.TrimLeft(s, "0123456789"))]
}

// traces returns the stacks of all goroutines.
func traces() string {
	for size := 1 << 20; ; size *= 2 {
		buf := make([]byte, size)
		if n := runtime.Stack(buf, true); n < size || size == 1<<28 {
			return string(buf[:n])
		}
	}
}
