package dedup

import (
	"context"

	"github.com/vigil-go/vigil/internal/load"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/waitq"
)

// A request says what a caller asks for, and how a new flight is made.
type request[K comparable, V any] struct {
	key    K
	why    purpose
	mayRun bool                                 // the caller can run the load: it has nothing else to do
	do     func(ctx context.Context) (V, error) // nil: the backend's load
	batch  *batch[K, V]                         // the batch that is to load the key, or nil
}

// A joinResult is what join did for a caller: the flight that it joined and its place in
// the line of that flight, or the answer that was there.
type joinResult[K comparable, V any] struct {
	f       *flight[K, V]           // nil: see answer
	c       *caller                 // nil: the caller runs the load
	created *backgroundFlight[K, V] // by this caller, which has to start it unless it has a batch, or nil
	edge    *load.Edge              // from the load that made the call, if one did, to the flight's
	answer  *answer[V]
}

// runsLoad reports whether the caller runs the load.
func (j *joinResult[K, V]) runsLoad() bool { return j.f != nil && j.c == nil }

// coalesced reports whether the caller joined the load of another one.
func (j *joinResult[K, V]) coalesced() bool { return j.c != nil && j.created == nil }

// join puts a caller in the line of the flight of r.key. If there is no flight, it
// creates one.
func (fs *flights[K, V]) join(ctx context.Context, r *request[K, V], j *joinResult[K, V]) (err error) {
	if ctx.Err() != nil {
		return waitq.ContextError(ctx)
	}
	var info load.Caller
	info.Read(ctx) // without the lock: the methods of ctx may be user code
	home := fs.home(r.key)
	schedpoint.At(schedpoint.FlightMissed)
	home.mu.Lock()
	if f := home.find(r.key); f != nil {
		err = f.addCaller(&info, j)
	} else {
		home.create(&info, r, j)
	}
	home.mu.Unlock()
	if info.Load == nil || j.f == nil {
		return err
	}
	return j.link(info.Load)
}

// link adds the edge of a call that was made by a load.
func (j *joinResult[K, V]) link(from *load.Context) (err error) {
	j.edge, err = load.WaitFor(from, j.f.load()) // a new flight waits for no other yet
	if err == nil || !j.f.leave(j.c) {           // or the result is there
		return nil
	}
	*j = joinResult[K, V]{}
	return err
}

// create makes a flight with its first caller, unless the store has an answer. The
// shard is locked until the flight is complete.
func (s *shard[K, V]) create(info *load.Caller, r *request[K, V], j *joinResult[K, V]) {
	var epoch uint32
	backend := s.all.backend
	if backend != nil {
		epoch = backend.epoch() // its partner is InvalidateAll, which finds f, or f has the new epoch
		schedpoint.At(schedpoint.FlightOpened)
		if hit, ok := backend.lookup(r.key, r.why); ok {
			j.answer = &hit
			return
		}
	}
	var f *flight[K, V]
	gathers := r.batch == nil && backend != nil && backend.gathers(r.key)
	if r.mayRun && info.Endless && !gathers {
		f = s.newFlight()
	} else {
		j.created = newBackgroundFlight(s, r.do)
		f = &j.created.flight
		f.canHandOff = r.mayRun && info.Parker == nil && backend != nil && backend.needsDeepStack()
	}
	j.f = f
	f.key, f.batch, f.epoch, f.ctx.Values = r.key, r.batch, epoch, info.Values()
	f.started = clock()
	s.add(f)
	switch {
	case f.callerRuns:
	case r.why == forFreshness:
		f.pinned = true
	default:
		j.c = &j.created.first
		f.push(j.c, info)
	}
	switch {
	case gathers:
		backend.gather(f)
	case r.batch != nil:
		r.batch.join()
	}
}

// createBackground makes a flight that nobody waits for and returns it. The caller has
// to start it. It returns nil if the key has a flight.
func (fs *flights[K, V]) createBackground(ctx context.Context, r request[K, V]) *backgroundFlight[K, V] {
	var info load.Caller
	info.Read(ctx)
	home := fs.home(r.key)
	home.mu.Lock()
	defer home.mu.Unlock()
	if home.find(r.key) != nil {
		return nil
	}
	var j joinResult[K, V]
	home.create(&info, &r, &j)
	return j.created
}

// addCaller puts a caller in line, unless there is an answer already. The shard is
// locked.
func (f *flight[K, V]) addCaller(info *load.Caller, j *joinResult[K, V]) error {
	fs := f.home.all
	switch {
	case f.progress == settled && fs.backend != nil && fs.backend.hasCallbacks(): // a copy: the result changes if prepare fails
		j.answer = &answer[V]{v: f.v, err: f.err(), loadErr: f.loadErr, stale: f.stale, at: f.started + int64(f.took)}
		return nil
	case fs.maxWaiters > 0 && f.callers() >= fs.maxWaiters:
		return ErrTooManyWaiters
	}
	j.f, j.c = f, new(caller)
	f.push(j.c, info)
	j.c.ensureParker()
	return nil
}

// push adds c to the line.
func (f *flight[K, V]) push(c *caller, info *load.Caller) {
	c.chooseParker(info)
	f.joined = true
	f.foreign = f.foreign || info.Parker != nil
	f.line.Push(&c.w)
}
