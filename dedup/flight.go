package dedup

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/internal/yield"
	"github.com/vigil-go/vigil/waitmap"
)

// flights are the loads under way that can be joined, by key. It is the engine
// of Group and Cache.
//
// A flight's mutex guards what phase it is in and who is in its line:
//
//	flying --land------------------> landed   the load ended: publish, then
//	   |                               ^      give the result to the line
//	   +--detach, leave, close-> adrift       its result is not stored
//
// Its result is settled once: by the load's end, or before by Close. Between
// that and landing run the functions of the user's that say how long it is kept;
// they may ask for the key, and find it. See land.go.
//
// One that is flying is in the map. Who moves it on does so under its mutex,
// unlocks, and only then takes it out of the map. Who finds one there that is
// not flying any more takes it out, too, and looks again. So a newcomer joins
// neither one that has landed nor one that is being canceled.
//
// There is no gap between two flights: who makes one has it locked when it
// appears in the map, and looks at the shelf before unlocking it. The flight
// before it is out of the map by then, so what that one published is seen.
//
// What must find neither an old flight nor room for a new one (Put, Invalidate)
// holds the key by Compute. The rest needs no more than the flight's mutex,
// which costs no allocation.
type flights[K comparable, V any] struct {
	m    waitmap.Map[K, *flight[K, V]]
	host host[K, V] // nil in a Group
	most int        // callers in a flight's line; 0: no bound

	mu     sync.Mutex // comes after a flight's own
	strays map[*flight[K, V]]struct{}
}

// A host is a cache, as its flights see it.
type host[K comparable, V any] interface {
	// look answers for a key from the shelf, if it can. The flight that
	// would be made otherwise is locked.
	look(key K, why purpose) (answer[V], bool)
	// load fetches the value.
	load(ctx *loadContext, key K) (V, error)
	// epoch is how often all was invalidated.
	epoch() uint32
	// instead is an old value that is better than a load's error, if there
	// is one of that epoch. The key's flight is flying and locked.
	instead(key K, gen uint32) (V, bool)
	// asks reports whether prepare calls functions of the user's.
	asks() bool
	// prepare makes an entry of what a load gave, nil if it is not to be
	// kept. Like load it may panic, or exit.
	prepare(key K, v V, err error) *entry[V]
	// publish stores the result of a flight, which is flying and locked.
	publish(f *flight[K, V])
	// landed counts a load that is over. Nothing is locked.
	landed(f *flight[K, V])
	// report tidies up, and tells the user of it. It may panic, or exit.
	report(f *flight[K, V])
}

// A request is what a flight is asked for, and made of.
type request[K comparable, V any] struct {
	key   K
	why   purpose
	do    func(ctx context.Context) (V, error) // nil: the host's load
	batch *batch[K, V]                         // whose load this one's is to be, or nil
}

// A purpose is what a flight is made for.
type purpose uint8

const (
	forValue     purpose = iota // somebody misses the value
	forFreshness                // somebody was served a stale one
	forced                      // whatever is there
)

// An answer is what there is without a load.
type answer[V any] struct {
	v       V
	err     error
	loadErr error // of the load that gave it, which may have failed though err is nil
	stale   bool
	renew   bool // a load in the background is due
	closed  bool // err is ErrClosed, of this cache
}

type phase uint8

const (
	flying phase = iota
	adrift
	landed
)

// A progress tells how far the result of a flight has come.
type progress uint8

const (
	pending   progress = iota
	settled            // it is known
	delivered          // the line has it, which may be before the load ended
)

// A stage tells how far the load's goroutine has come.
type stage uint8

const (
	running  stage = iota // or the load has panicked or exited
	returned              // the load has returned
	prepared              // so has prepare; not for the flights of a batch
)

// A flight is one load. None is used twice: its context may be kept. Its size is
// what a load costs most; a test holds it.
type flight[K comparable, V any] struct {
	key     K
	do      func(ctx context.Context) (V, error) // nil: the host's load
	batch   *batch[K, V]                         // whose load this one's is, or nil
	all     *flights[K, V]
	ctx     loadContext
	started int64 // on the clock

	mu       sync.Mutex
	phase    phase
	progress progress
	stage    stage  // the load's goroutine's
	pinned   bool   // nobody need wait for it
	astray   bool   // it is one of strays, until it is forgotten
	canceled bool   // its context has ended early
	early    bool   // callers that come have the result, though it has not landed
	stale    bool   // v is an old value, in place of loadErr
	gen      uint32 // the host's epoch when it was made
	got      int32  // callers that the result is for
	line     waitq.Queue[struct{}]

	// The result is written under mu before the line is detached.
	v       V
	err     error
	loadErr error     // the load's own
	entry   *entry[V] // what is to be stored
	took    time.Duration

	first caller
}

// load is the context of the load that a flight is, or is a part of.
func (f *flight[K, V]) load() *loadContext {
	if f.batch != nil {
		return &f.batch.ctx
	}
	return &f.ctx
}

// A seat is a caller's place on a flight, or the answer that made one needless.
type seat[K comparable, V any] struct {
	f      *flight[K, V] // nil: see answer
	c      *caller
	edge   *edge // from the caller's load, if it is one, to the flight's
	made   bool  // by this caller, who has to start it
	answer *answer[V]
}

// board gets a caller into the line of the key's flight. If there is none it
// makes one.
func (fs *flights[K, V]) board(ctx context.Context, r request[K, V]) (seat[K, V], error) {
	if ctx.Err() != nil {
		return seat[K, V]{}, waitq.ContextError(ctx)
	}
	from := loadOf(ctx)
	for {
		f, ok := fs.m.Load(r.key)
		if !ok {
			yield.At(yield.FlightMissed)
			s, other := fs.open(ctx, r)
			if s.made {
				s.edge, _ = waitFor(from, s.f.load()) // it waits for nobody yet
			}
			if other == nil {
				return s, nil
			}
			f = other
		}
		if s, ok, err := f.join(ctx, from); ok || err != nil {
			return s, err
		}
		fs.remove(f)
	}
}

// open makes a flight, with its first caller in line, unless the shelf has an
// answer, or another one is there.
func (fs *flights[K, V]) open(ctx context.Context, r request[K, V]) (s seat[K, V], other *flight[K, V]) {
	f := &flight[K, V]{key: r.key, do: r.do, batch: r.batch, all: fs, started: clock()}
	f.ctx.values = valuesOf(ctx)
	f.pinned = r.why == forFreshness
	if !f.pinned {
		f.first.arm(ctx)
	}
	f.mu.Lock() // none of ctx's methods runs from here on: they may be anybody's

	if r.key != r.key { // NaN: nobody could find it, not even to remove it
		f.stray()
	} else if other, ok := fs.m.LoadOrStore(r.key, f); ok {
		return s, other
	}
	yield.At(yield.FlightOpened)
	if fs.host != nil {
		f.gen = fs.host.epoch() // its partner is InvalidateAll: it finds f in the map, or f finds its epoch
		if a, ok := fs.host.look(r.key, r.why); ok {
			f.phase, f.progress = landed, delivered
			f.mu.Unlock()
			fs.forget(f)
			return answered[K](a), nil
		}
	}
	if !f.pinned {
		f.line.Push(&f.first.w)
	}
	if r.batch != nil {
		r.batch.join()
	}
	f.mu.Unlock()
	return seat[K, V]{f: f, c: &f.first, made: true}, nil
}

// launch makes a flight that nobody waits for, which is to be started, unless one
// is there.
func (fs *flights[K, V]) launch(ctx context.Context, r request[K, V]) *flight[K, V] {
	if _, ok := fs.m.Load(r.key); ok {
		return nil
	}
	s, _ := fs.open(ctx, r)
	return s.f
}

// join gets in line, unless there is an answer already. It reports false if
// there is nothing to join any more.
func (f *flight[K, V]) join(ctx context.Context, from *loadContext) (s seat[K, V], ok bool, err error) {
	c := new(caller)
	c.arm(ctx)
	yield.At(yield.FlightFound)
	if a, ok, err := f.push(c); !ok || a != nil || err != nil {
		return seat[K, V]{answer: a}, ok, err
	}
	e, err := waitFor(from, f.load())
	if err != nil && f.leave(c) {
		return s, false, err
	}
	return seat[K, V]{f: f, c: c, edge: e}, true, nil
}

// answered is apart to keep what boards small: callers sleep with those frames.
func answered[K comparable, V any](a answer[V]) seat[K, V] { return seat[K, V]{answer: &a} }

func (f *flight[K, V]) push(c *caller) (early *answer[V], ok bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.phase != flying:
		return nil, false, nil
	case f.early: // a copy: if prepare fails, the result changes
		return &answer[V]{v: f.v, err: f.err, loadErr: f.loadErr, stale: f.stale}, true, nil
	case f.all.most > 0 && f.line.Len() >= f.all.most:
		return nil, false, ErrTooManyWaiters
	}
	f.line.Push(&c.w)
	return nil, true, nil
}

// wait waits for the result. It fails if ctx ends before; then the caller has
// left.
func (s *seat[K, V]) wait(ctx context.Context) error {
	defer s.abandon() // if Park panics or ends the goroutine
	for c := s.c; !c.w.Done(); {
		err := c.parker.Park(ctx)
		yield.At(yield.FlightParked)
		if err != nil && s.f.leave(c) {
			return waitq.ParkError(ctx, err)
		} else if err != nil {
			return nil // the result is there, the wake on its way
		}
	}
	return nil
}

// abandon is the end of a call: it gets out of line, if it is still there.
func (s *seat[K, V]) abandon() {
	if !s.c.w.Done() {
		s.f.leave(s.c)
	}
	if s.edge != nil {
		s.edge.end()
		s.edge = nil
	}
}

// leave gets out of line. It reports false if the result is there. The last to
// leave takes the flight along, unless its load is over: nobody joins it from
// then on, and the load is canceled.
func (f *flight[K, V]) leave(c *caller) bool {
	f.mu.Lock()
	left := f.line.Remove(&c.w)
	last := left && f.line.Len() == 0 && !f.pinned && !f.canceled && f.progress == pending
	if last {
		f.phase, f.canceled = adrift, true
	}
	f.mu.Unlock()
	if last {
		f.all.forget(f)
		f.cancel(ErrAbandoned)
	}
	return left
}

// cancel ends the load, or its part of one. It is called once.
func (f *flight[K, V]) cancel(cause error) {
	f.ctx.cancel(cause)
	if f.batch != nil {
		f.batch.leave(cause)
	}
}

// detach keeps newcomers from joining, and the result from being stored. It
// reports true if that leaves nobody to load for: then the flight is to be
// canceled, once the caller holds nothing.
func (f *flight[K, V]) detach() (idle bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.phase != flying {
		return false
	}
	f.pinned = false
	if idle = f.line.Len() == 0; idle {
		f.phase, f.canceled = adrift, true
	} else {
		f.stray()
	}
	return idle
}

// cutOffAll detaches the flights of an older epoch.
func (fs *flights[K, V]) cutOffAll(gen uint32) {
	for f := range fs.m.Values() {
		if !f.since(gen) {
			fs.cutOff(f)
		}
	}
}

// since reports whether the flight is of that epoch, or a later one.
func (f *flight[K, V]) since(gen uint32) bool {
	f.mu.Lock() // held until a new flight has its epoch
	defer f.mu.Unlock()
	return int32(f.gen-gen) >= 0 // epochs wrap
}

// cutOff detaches a flight and takes it out of the map.
func (fs *flights[K, V]) cutOff(f *flight[K, V]) {
	idle := f.detach()
	fs.remove(f)
	if idle {
		f.cancel(ErrAbandoned)
	}
}

// stray sets adrift a flight that has callers, who are to hear of Close. mu is
// locked.
func (f *flight[K, V]) stray() {
	f.phase = adrift
	if fs := f.all; fs.host != nil {
		f.astray = true
		fs.mu.Lock()
		defer fs.mu.Unlock()
		if fs.strays == nil {
			fs.strays = make(map[*flight[K, V]]struct{})
		}
		fs.strays[f] = struct{}{}
	}
}

// forget removes every trace of a flight that is not flying. No lock is held.
func (fs *flights[K, V]) forget(f *flight[K, V]) {
	fs.remove(f)
	if f.astray { // it was so before it stopped flying, or never will be
		fs.forgetStray(f)
	}
}

func (fs *flights[K, V]) forgetStray(f *flight[K, V]) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	delete(fs.strays, f)
}

// remove takes a flight that is not flying out of the map.
func (fs *flights[K, V]) remove(f *flight[K, V]) {
	yield.At(yield.FlightLeft)
	waitmap.CompareAndDelete(&fs.m, f.key, f)
}

// end gives err to all callers, if there is no result yet, and cancels the load.
// The callers are returned, to be released.
func (f *flight[K, V]) end(err error) (line waitq.List[struct{}]) {
	f.mu.Lock()
	if f.progress == delivered {
		f.mu.Unlock()
		f.all.forget(f) // who ended it may not have come so far
		return line
	}
	if f.progress == pending {
		f.err, f.loadErr = err, err
	}
	f.phase, f.progress = adrift, delivered
	cancel := !f.canceled
	f.canceled = true
	line = f.detachLine()
	f.mu.Unlock()
	f.all.forget(f)
	if cancel {
		f.cancel(err)
	}
	return line
}

func (f *flight[K, V]) detachLine() waitq.List[struct{}] {
	f.got = int32(f.line.Len())
	return f.line.Detach()
}

// endAll is end for every flight. Who makes one sees, after it is in the map
// or astray, that there are to be no more.
func (fs *flights[K, V]) endAll(err error) (lines waitq.List[struct{}]) {
	for f := range fs.m.Values() {
		lines.Join(f.end(err))
	}
	yield.At(yield.FlightSweep)
	fs.mu.Lock() // after the map: a flight is a stray before it leaves that
	strays := slices.Collect(maps.Keys(fs.strays))
	fs.mu.Unlock()
	for _, f := range strays {
		lines.Join(f.end(err))
	}
	return lines
}

// len is how many loads are under way, but for those that nobody waits for.
func (fs *flights[K, V]) len() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.m.Len() + len(fs.strays)
}

// inFlight yields those that can be joined.
func (fs *flights[K, V]) inFlight(yield func(K, FlightInfo) bool) {
	for key, f := range fs.m.All() {
		f.mu.Lock()
		live, n := f.phase == flying, f.line.Len()
		f.mu.Unlock()
		if live && !yield(key, FlightInfo{Waiters: n, Started: timeOf(f.started)}) {
			return
		}
	}
}
