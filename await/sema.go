package await

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

// A sema is a weighted semaphore that serves its line strictly in order. It carries
// Mutex, RWMutex and Semaphore: a Mutex is one permit, and the writer of an RWMutex takes
// all permits, of which a reader takes one.
type sema struct {
	// The state word:
	//
	//	bits   name     meaning
	//	0      waiting  the line is not empty, or a Select is about to enter it
	//	1      slow     the limit has changed, or holders are recorded
	//	2..63  held     the permits that are held
	//
	// While neither flag is set, the word changes by compare-and-swap, without a lock.
	// Only the holder of mu sets and clears waiting, and only it changes the word while a
	// flag is set. So a permit that is released while waiters are in line goes to the
	// first of them, and what the holder of mu has found free stays free.
	word atomic.Int64

	mu     sync.Mutex // guards what follows
	line   waitq.Queue[request]
	served atomic.Uint32 // counts waiters that were served, for spin; read without mu
	limit  int64         // the permits there are, free or held; set by lock and setLimit
	holder *holding      // the holder of a Mutex, if that is recorded
}

const (
	waiting int64 = 1 << iota
	slow
	one // permit

	flags   = waiting | slow
	maxSize = 1<<61 - 1 // the most permits
)

// A request is what a waiter is in line for.
type request struct {
	n       int64
	refused bool   // the limit has become smaller than n
	by      *stack // the caller, if holders are recorded
}

type waiter = waitq.Waiter[request]

func held(word int64) int64 { return word >> 2 }

// lock locks mu. The limit is the one that holds unless setLimit has changed it: zero
// values are ready to use, so there is no earlier moment to set it.
func (s *sema) lock(limit int64) {
	s.mu.Lock()
	if s.word.Load()&slow == 0 {
		s.limit = limit
	}
}

// tryFast takes n permits if they are free, no waiter is in line and no flag is set.
func (s *sema) tryFast(n, limit int64) bool {
	for {
		word := s.word.Load()
		if word&flags != 0 || held(word) > limit-n {
			return false
		}
		schedpoint.At(schedpoint.LockTries)
		if s.word.CompareAndSwap(word, word+n*one) {
			return true
		}
	}
}

// try takes n permits if they are free and, unless barge is true, no waiter is in line.
// It does not go by waiting, which may be set for a moment only, by a Select that will
// not get in line.
func (s *sema) try(n, limit int64, barge bool) bool {
	if s.tryFast(n, limit) {
		return true
	}
	if word := s.word.Load(); word&slow == 0 && held(word) > limit-n {
		return false
	}
	s.lock(limit)
	defer s.mu.Unlock()
	return s.tryLocked(n, barge)
}

// tryLocked takes n permits if they are free and, unless barge is true, no waiter is
// in line. mu is locked.
func (s *sema) tryLocked(n int64, barge bool) bool {
	for {
		word := s.word.Load()
		if held(word) > s.limit-n || word&waiting != 0 && !barge {
			return false
		}
		if s.word.CompareAndSwap(word, word+n*one) {
			s.taken(s.caller())
			return true
		}
	}
}

// enter takes n permits, or puts w in line for them and returns true. mu is locked.
func (s *sema) enter(w *waiter) (entered bool, err error) {
	if w.Value.n > s.limit {
		return false, ErrLimit
	}
	for !s.tryLocked(w.Value.n, false) { // the second look
		schedpoint.At(schedpoint.LockEnters)
		word := s.word.Load()
		if word&waiting != 0 || held(word) > s.limit-w.Value.n && s.word.CompareAndSwap(word, word|waiting) {
			w.Value.by = s.caller()
			s.line.Push(w)
			return true, nil
		}
	}
	return false, nil
}

// releaseFast gives n permits back if no flag is set, and n to most are held.
func (s *sema) releaseFast(n, most int64) bool {
	for {
		word := s.word.Load()
		if h := held(word); word&flags != 0 || h < n || h > most {
			return false
		}
		schedpoint.At(schedpoint.LockTries)
		if s.word.CompareAndSwap(word, word-n*one) {
			return true
		}
	}
}

// release gives n permits back, and wakes the waiters that get them. It returns false, and
// changes nothing, if fewer than n or more than most are held.
func (s *sema) release(n, most, limit int64) bool {
	s.lock(limit)
	for {
		word := s.word.Load()
		if h := held(word); h < n || h > most {
			s.mu.Unlock()
			return false
		}
		if s.word.CompareAndSwap(word, word-n*one) {
			s.freed()
			s.serveAndUnlock()
			return true
		}
	}
}

// serveAndUnlock gives the free permits to the waiters in line, in order, unlocks mu,
// and then wakes these waiters.
func (s *sema) serveAndUnlock() {
	list := s.serve()
	s.mu.Unlock()
	schedpoint.At(schedpoint.LockPicked)
	list.Wake()
}

// serve takes waiters out of line and gives them what they are in line for, as long as
// there is enough for the first. A waiter of a Select in which another case has happened
// is passed over. mu is locked.
//
// A Select may return as soon as its waiter is finished, before the permits are added to
// the word. Waiting is set until then, so whatever its caller does with the lock waits for
// mu, and the calls that only look at the word find that they have to wait.
func (s *sema) serve() (list waitq.List[request]) {
	for w := s.line.Front(); w != nil && held(s.word.Load()) <= s.limit-w.Value.n; w = s.line.Front() {
		s.line.Remove(w)
		if w.Finish() {
			schedpoint.At(schedpoint.LockGrants)
			s.word.Add(w.Value.n * one)
			s.taken(w.Value.by)
			list.Add(w)
			s.served.Add(1)
		}
	}
	s.clearWaiting()
	return list
}

// clearWaiting clears the flag if the line is empty. mu is locked.
func (s *sema) clearWaiting() {
	if s.line.Len() == 0 && s.word.Load()&waiting != 0 {
		s.word.And(^waiting)
	}
}

// leave takes w out of line, and lets in the waiters behind it. It returns false if w is
// not in line any more. Either way no other goroutine uses w, except to wake it if it is
// done. The wakers of the waiters that it lets in may panic: w has left then.
func (s *sema) leave(w *waiter) bool {
	schedpoint.At(schedpoint.LockFailed)
	s.mu.Lock()
	if !s.line.Remove(w) {
		s.mu.Unlock()
		return false
	}
	s.serveAndUnlock()
	return true
}

// setLimit changes the limit. Waiters in line for more are refused.
func (s *sema) setLimit(limit int64) {
	s.mu.Lock()
	s.word.Or(slow)
	s.limit = limit
	var refused waitq.List[request]
	for w := s.line.Front(); w != nil; {
		next := w.Next()
		if w.Value.n > limit {
			s.line.Remove(w)
			w.Value.refused = true
			if w.Finish() {
				refused.Add(w)
			}
		}
		w = next
	}
	list := s.serve()
	s.mu.Unlock()
	list.Join(refused)
	list.Wake()
}

// waiters returns the number of waiters in line.
func (s *sema) waiters() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.line.Len()
}

func mustContext(ctx context.Context) { waitq.MustContext(ctx, "await") }
