package dedup

import (
	"context"
	"time"

	"github.com/vigil-go/vigil/internal/load"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

// A phase says what the flight means to callers; see flights.
type phase uint8

const (
	joinable phase = iota
	detached
	done
)

// A progress says how far the result of a flight has come.
type progress uint8

const (
	pending   progress = iota
	settled            // the result is known
	delivered          // the callers have it, maybe before the load has ended
)

// A flight is one load, without its context, which user code may keep. A flight that
// its first caller runs and nobody joined is used again: only a caller in its line, and
// the one that runs it, may hold a flight while its shard is not locked.
type flight[K comparable, V any] struct {
	key     K
	home    *shard[K, V]
	started int64 // on the clock
	loading[K, V]

	// home.mu guards the rest. The result is written before the line is detached.
	phase      phase
	progress   progress
	pinned     bool   // the load continues even if no caller waits for it
	callerRuns bool   // the first caller runs or finishes the load, and is in no line
	canHandOff bool   // the first caller is a goroutine that could finish it; see handOff
	handedOff  bool   // the first caller has to finish it
	joined     bool   // a caller is in line, or was
	foreign    bool   // there are wakers in line that are not of this package
	canceled   bool   // the context has ended early
	gone       bool   // the load's error matches ErrGone
	epoch      uint32 // the backend's epoch when the flight was created
	line       waitq.Queue[struct{}]
	result[V]
}

// A loading is the part of a flight that can be canceled.
type loading[K comparable, V any] struct {
	ctx   *load.Context
	batch *batch[K, V] // the batch that loads the key, or nil
}

// A result is what a load returned.
type result[V any] struct {
	v       V
	loadErr error
	took    time.Duration // by the load
	got     int32         // the number of callers that the result is for
	stale   bool          // v is an old value, instead of loadErr
}

// A backgroundFlight is a flight whose load has a goroutine of its own, with what only
// such a load needs. Most of the cost of the load is its size, which TestLayout checks.
type backgroundFlight[K comparable, V any] struct {
	flight[K, V]
	own   load.Context
	do    func(ctx context.Context) (V, error) // nil: the backend's load
	first caller
}

// stales returns the number of callers that got an old value.
func (r *result[V]) stales() int32 {
	if r.stale {
		return r.got
	}
	return 0
}

// load returns the context of the load that the flight is, or is a part of.
func (l loading[K, V]) load() *load.Context {
	if l.batch != nil {
		return &l.batch.ctx
	}
	return l.ctx
}

// err returns the error that the callers get with v.
func (r *result[V]) err() error {
	if r.stale {
		return nil
	}
	return r.loadErr
}

// callers returns the number of callers that wait for the result.
func (f *flight[K, V]) callers() int {
	if f.callerRuns {
		return f.line.Len() + 1
	}
	return f.line.Len()
}

// leave takes c out of line. It reports false if the result is there. When the last
// caller leaves before the load has ended, the flight is detached and the load is
// canceled.
func (f *flight[K, V]) leave(c *caller) bool {
	f.home.mu.Lock()
	left := f.line.Remove(&c.w)
	last := left && f.callers() == 0 && !f.pinned && !f.canceled && f.progress == pending
	if last {
		f.home.remove(f)
		f.phase, f.canceled = detached, true
	}
	f.home.mu.Unlock()
	schedpoint.At(schedpoint.FlightLeft)
	if last {
		f.cancel(ErrAbandoned)
	}
	return left
}

// cancel cancels the load, or its part of a batch. It is called once, with nothing
// locked.
func (l loading[K, V]) cancel(cause error) {
	l.ctx.Cancel(cause)
	if l.batch != nil {
		l.batch.leave(cause)
	}
}

// detach makes a joinable flight one that callers do not join any more and whose result
// is not stored. It reports whether nobody waits for the load: then the caller of detach
// must cancel it once it holds no lock. The shard is locked.
func (f *flight[K, V]) detach() (idle bool) {
	f.pinned = false
	f.home.remove(f)
	if f.callers() > 0 {
		f.home.addDetached(f)
		return false
	}
	f.phase, f.canceled = detached, true
	return true
}

// close sets err as the result for all callers, unless there is one, and returns the
// callers. It reports whether the load is not canceled yet: then the caller of close must
// cancel it once it holds no lock. The shard is locked.
func (f *flight[K, V]) close(err error) (line waitq.List[struct{}], cancel bool) {
	f.home.remove(f)
	if f.progress == pending {
		f.loadErr = err
	}
	f.phase, f.progress = detached, delivered
	cancel = !f.canceled
	f.canceled = true
	return f.detachLine(), cancel
}

// detachLine counts the callers and returns those in line.
func (f *flight[K, V]) detachLine() waitq.List[struct{}] {
	f.got = int32(f.callers())
	return f.line.Detach()
}
