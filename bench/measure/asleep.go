package measure

import "runtime/metrics"

// Asleep reports whether the caller's goroutine is the only one that runs or could
// run. The runtime counts only roughly, so ask again after a moment.
func Asleep() bool {
	s := []metrics.Sample{
		{Name: "/sched/goroutines/runnable:goroutines"},
		{Name: "/sched/goroutines/running:goroutines"},
	}
	metrics.Read(s)
	return s[0].Value.Uint64() == 0 && s[1].Value.Uint64() <= 1
}
