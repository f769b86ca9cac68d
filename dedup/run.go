package dedup

import (
	"runtime/debug"
	"sync"
)

// fly runs the load and lands, whatever the load does: nobody could recover a
// panic of this goroutine, and nobody would wake the callers.
//
// A goroutine begins with a stack of 2 KB, and a larger one costs as much as all
// the rest. So a load that returns lands outside of the deferred call.
func (f *flight[K, V]) fly() {
	defer f.crash()
	v, err := f.run()
	f.stage = returned
	f.settle(v, err)
	f.prepare()
	f.stage = prepared
	f.finish()
}

// crash does what is left if the load, or prepare, did not return. It is deferred.
func (f *flight[K, V]) crash() {
	switch f.stage {
	case running:
		var v V
		f.settle(v, panicked(recover()))
		f.finish()
	case returned:
		f.finish()
	}
}

func (f *flight[K, V]) run() (V, error) {
	if f.do != nil {
		return f.do(&f.ctx)
	}
	return f.all.host.load(&f.ctx, f.key)
}

// panicked is the error of a load that did not return; value is what recover
// gave, nil for a Goexit.
func panicked(value any) *PanicError {
	if value == nil {
		value = ErrGoexit
	}
	return &PanicError{Value: value, Stack: debug.Stack()}
}

// A runner is what a goroutine is started for: a flight, or a batch.
type runner interface{ fly() }

// A starter starts goroutines. A go statement with a receiver would allocate a
// closure each time; this one is made once.
type starter struct {
	r  runner
	fn func()
}

var starters sync.Pool

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
	r.fly()
}
