package measure

import "runtime/metrics"

// Asleep tells whether no goroutine but the caller's runs or could run. The
// runtime counts only roughly: ask again after a moment.
func Asleep() bool {
	s := []metrics.Sample{
		{Name: "/sched/goroutines/runnable:goroutines"},
		{Name: "/sched/goroutines/running:goroutines"},
	}
	metrics.Read(s)
	return s[0].Value.Uint64() == 0 && s[1].Value.Uint64() <= 1
}
