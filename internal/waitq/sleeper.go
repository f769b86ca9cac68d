package waitq

import (
	"sync"
	"sync/atomic"
)

// A Sleeper is the waker of a goroutine whose wait cannot be canceled: only Wake
// ends it. The zero value is ready.
//
// After a sleep it can be used for another one, by any goroutine, so it can be
// kept in a pool: unlike a channel, a sync.Cond belongs to no testing/synctest
// bubble, and a goroutine that waits for it in a bubble is durably blocked.
type Sleeper struct {
	cond  sync.Cond
	wakes atomic.Uint32 // tells the race detector, which does not know sync.Cond, that Wake happens before Sleep's return
}

// Sleep unlocks mu and returns after Wake was called; it does not lock mu again.
// The notifier must have found the Sleeper in a later critical section of mu, and
// must call Wake once for each Sleep. After that it must not use the Sleeper, or
// the struct that contains it: they may be in use for the next sleep.
func (s *Sleeper) Sleep(mu *sync.Mutex) {
	s.cond.L = (*left)(mu)
	s.cond.Wait() // counts itself in, then unlocks: no Signal comes too early
	s.cond.L = nil
	if raceEnabled {
		s.wakes.Load()
	}
}

// Wake ends the one Sleep that was begun, even if that has not yet fallen asleep.
func (s *Sleeper) Wake() {
	if raceEnabled {
		s.wakes.Add(1)
	}
	s.cond.Signal()
}

// left is a lock that sync.Cond unlocks before the sleep, but does not lock
// after it.
type left sync.Mutex

func (*left) Lock()     {}
func (l *left) Unlock() { (*sync.Mutex)(l).Unlock() }
