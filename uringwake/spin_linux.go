package uringwake

import (
	"runtime"
	"runtime/metrics"
	"time"
)

// spinner decides whether a loop looks for mail before it sleeps. The loop does so while
// looks have found mail often enough lately, and otherwise tries it from time to time.
type spinner struct {
	limit  time.Duration
	paid   int // of spinFull: a moving average of how often mail came in time
	idle   int // sleeps since the last look
	sample []metrics.Sample
}

const (
	defaultSpin = 50 * time.Microsecond

	spinFull  = 1024
	spinWorth = spinFull / 2 // a failed look costs about what a successful one saves
	spinTry   = 64           // sleeps between attempts while it does not pay
)

func newSpinner(limit time.Duration) spinner {
	if limit == 0 {
		limit = defaultSpin
	}
	return spinner{
		limit:  limit,
		paid:   spinFull,
		sample: []metrics.Sample{{Name: "/sched/goroutines/runnable:goroutines"}},
	}
}

// worth reports whether to look now.
func (s *spinner) worth() bool {
	if s.limit < 0 || s.goroutineWaits() || runtime.GOMAXPROCS(0) == 1 {
		return false
	}
	if s.paid < spinWorth {
		if s.idle++; s.idle < spinTry {
			return false
		}
	}
	s.idle = 0
	return true
}

// goroutineWaits reports whether a goroutine is ready to run. It may need this
// processor, which the loop releases only by blocking.
func (s *spinner) goroutineWaits() bool {
	metrics.Read(s.sample)
	return s.sample[0].Value.Kind() == metrics.KindUint64 && s.sample[0].Value.Uint64() > 0
}

// note records how a look ended.
func (s *spinner) note(hit bool) {
	s.paid -= s.paid / 8
	if hit {
		s.paid += spinFull / 8
	}
}

// lookForMail looks for mail and completions for a while, and reports whether there
// are any.
func (l *Loop) lookForMail() bool {
	if !l.spin.worth() {
		return false
	}
	l.count.Spins++
	const between = 256 // looks for mail between two at the clock
	hit := false
	for start := time.Now(); !hit && time.Since(start) < l.spin.limit && !l.spin.goroutineWaits(); {
		for i := 0; i < between && !hit; i++ {
			hit = !l.mailbox.empty() || l.sq.TaskRun() || l.cq.Peek() != nil
		}
	}
	if hit {
		l.count.SpinHits++
	}
	l.spin.note(hit)
	return hit
}
