package dedup

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/vigil-go/vigil/internal/load"
)

// A run is the load of a flight while it lasts. What other goroutines must see of it is
// in the flight.
type run[K comparable, V any] struct {
	f     *flight[K, V]
	first *caller        // a goroutine that can finish the flight, or nil
	entry *entry[V]      // what is to be stored
	left  *removal[K, V] // what has left the store for it, or nil
	late  time.Duration  // that the load took, if its result came after Close
	stage stage
	gone  bool // the load's error matches ErrGone
}

// A stage says how far a run has come.
type stage uint8

const (
	running  stage = iota // or the load has panicked or exited
	returned              // the load has returned
	prepared              // prepare has returned; not used by a batch
)

// run runs the load and finishes the flight, whatever the load does. Otherwise a panic
// would end the program, and no goroutine would wake the callers.
//
// A goroutine begins with a stack of 2 KB, and a larger one costs as much as
// everything else. So a load that returns is finished outside the deferred call.
func (r *run[K, V]) run(do func(ctx context.Context) (V, error)) {
	defer r.finishCrashed()
	v, err := r.load(do)
	r.stage = returned
	if r.handOff(v, err) {
		return
	}
	r.settleAndPrepare(v, err)
	r.stage = prepared
	r.wake(r.publishLocked())
}

// finishCrashed finishes the flight if the load, or prepare, did not return. It is
// deferred. After a Goexit in a load that its caller runs, the caller's goroutine
// exits.
func (r *run[K, V]) finishCrashed() {
	switch r.stage {
	case running:
		var v V
		r.settle(v, load.Panicked(recover()))
		r.finish()
	case returned:
		r.finish()
	}
}

// load calls do, or the backend's load. The error may run user code when it is compared,
// so this is a part of the load.
func (r *run[K, V]) load(do func(ctx context.Context) (V, error)) (V, error) {
	if do != nil {
		return do(r.f.ctx)
	}
	v, err := r.f.home.all.backend.load(r.f.ctx, r.f.key)
	if err != nil {
		r.gone = errors.Is(err, ErrGone)
	}
	return v, err
}

// run runs the load of a backgroundFlight in its goroutine.
func (t *backgroundFlight[K, V]) run() {
	r := run[K, V]{f: &t.flight}
	if t.canHandOff {
		r.first = &t.first
	}
	r.run(t.do)
}

// A runner is what a goroutine runs: a backgroundFlight or a batch.
type runner interface{ run() }

// A starter starts goroutines. A go statement with a receiver would allocate a closure
// each time. The starter's is allocated once.
type starter struct {
	r  runner
	fn func()
}

var starters sync.Pool

// start runs r in a new goroutine.
func start(r runner) {
	s, ok := starters.Get().(*starter)
	if !ok {
		s = new(starter)
		s.fn = s.run
	}
	s.r = r
	go s.fn()
}

func (s *starter) run() {
	r := s.r
	s.r = nil
	starters.Put(s)
	r.run()
}
