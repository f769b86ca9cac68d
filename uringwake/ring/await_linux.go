package ring

import (
	"math"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A wait is one call that waits, by as many enters as it takes: the kernel ends an
// enter at a signal, and returns EINTR only if it took no entries and there are no
// completions at all.
type wait struct {
	ring    *Ring
	o       *WaitOptions
	flags   uint32        // of the enters
	head, n uint32        // the goal: n completions from that one on
	end     time.Duration // of a Timeout, by now
	content time.Duration // when MinWait is over: one completion is enough then
	tail    uint32        // at which the last enter was to end
	left    time.Duration // until end
	minLeft time.Duration // until content
}

// wait begins one for n completions from head on.
func (r *Ring) wait(head, n uint32, o *WaitOptions) (w wait, err error) {
	flags, err := o.flags(r.features)
	if err != nil {
		return w, err
	}
	w = wait{ring: r, o: o, flags: flags | EnterGetEvents, head: head, n: min(n, r.cq.entries)}
	if !o.bounded() {
		return w, nil
	}
	now := w.now()
	if o.Timeout != nil {
		if w.left = o.Timeout.duration(); o.Absolute {
			w.left = max(w.left-now, 0)
		}
		w.end = later(now, w.left)
	}
	w.minLeft = max(o.MinWait, 0)
	w.content = later(now, w.minLeft)
	return w, nil
}

// epoch is what now counts from.
var epoch = time.Now()

// now returns the time by the ring's clock. If Timeout is a point in time, it counts
// as that clock does in this process's time namespace; otherwise its zero has no
// meaning.
func (w *wait) now() time.Duration {
	clock := int32(w.ring.clock.Load())
	if d := time.Since(epoch); d >= 0 && clock == 0 && !w.o.Absolute { // before it: a synctest bubble's time
		return d
	}
	if clock == 0 {
		clock = unix.CLOCK_MONOTONIC
	}
	var t unix.Timespec
	if err := unix.ClockGettime(clock, &t); err != nil {
		panic("ring: clock_gettime: " + err.Error()) // the kernel accepted the clock
	}
	return time.Duration(t.Nano())
}

// later returns t+d, or the longest duration if that overflows.
func later(t, d time.Duration) time.Duration {
	if d > math.MaxInt64-t {
		return math.MaxInt64
	}
	return t + d
}

// set fills in the argument of the next enter, if it has one.
func (w *wait) set(a *waitArg) uintptr {
	if w.flags&EnterExtArg == 0 {
		return 0
	}
	*a = waitArg{minWait: microseconds(w.minLeft)}
	if w.o.Timeout != nil {
		a.time = TimespecOf(w.left)
		a.timeout = address(unsafe.Pointer(&a.time))
	}
	if w.o.Sigmask != nil {
		a.mask = *w.o.Sigmask
		a.sigmask, a.maskSize = address(unsafe.Pointer(&a.mask)), uint32(unsafe.Sizeof(a.mask))
	}
	return uintptr(unsafe.Pointer(a))
}

// microseconds rounds up, since 0 means no time at all.
func microseconds(d time.Duration) uint32 {
	us := d / time.Microsecond
	if d%time.Microsecond > 0 {
		us++
	}
	return uint32(min(us, math.MaxUint32))
}

// ask returns how many entries of the completion queue the next enter waits for, or
// 0 if the goal is reached, or as nearly as the queue allows. In a queue of mixed
// completions the kernel counts entries, and each missing completion takes at least
// one.
func (w *wait) ask() uint32 {
	q := &w.ring.cq
	came, held := q.since(w.head)
	switch {
	case came >= w.n, q.mixed && held+1 >= q.entries: // a large one may not fit
		return 0
	case held > 0 && w.ring.flags&(SetupIOPoll|SetupSQPoll) == SetupIOPoll: // the kernel polls for no more
		return 0
	}
	ask := held + w.n - came
	w.tail = atomic.LoadUint32(q.khead) + ask
	return ask
}

// again reports, after an enter, that the wait continues. Otherwise err is its
// result: ETIME at the end of the time, even if the kernel did not say so.
func (w *wait) again(err error) (more bool, result error) {
	e := errnoOf(err)
	if e != 0 && e != unix.EINTR && e != unix.ETIME {
		return false, err
	}
	early := e == unix.EINTR || w.early()
	if w.ask() == 0 {
		return false, nil
	}
	if w.o.bounded() {
		w.tick()
	}
	switch {
	case w.ask() == 0:
		return false, nil
	case e == unix.ETIME, w.o.Timeout != nil && w.left == 0:
		return false, wrap("io_uring_enter", unix.ETIME)
	case w.o.Sigmask != nil && early:
		return false, wrap("io_uring_enter", unix.EINTR)
	}
	return true, nil
}

// early reports whether the last enter ended with fewer entries than it waited for,
// because of a signal or, where the caller polls, for no reason.
func (w *wait) early() bool {
	return int32(atomic.LoadUint32(w.ring.cq.ktail)-w.tail) < 0 && w.ring.flags&SetupIOPoll == 0
}

// tick looks at the clock.
func (w *wait) tick() {
	now := w.now()
	w.left = max(w.end-now, 0)
	if w.minLeft > 0 {
		if w.minLeft = max(w.content-now, 0); w.minLeft == 0 {
			w.n = min(w.n, 1)
		}
	}
}

// since counts the completions that came from head on, and the entries of the queue
// that hold those that were not seen. Unlike Ready, the submitting goroutine may
// call it too. It loads the head before the tail, which never lies before the head,
// and once more after it: if the head did not move, what lies between them did not
// change.
func (q *CompletionQueue) since(head uint32) (came, held uint32) {
	for {
		from := atomic.LoadUint32(q.khead)
		to := atomic.LoadUint32(q.ktail)
		came, held = to-from, to-from
		if q.mixed {
			came = q.completions(from, to)
		}
		if atomic.LoadUint32(q.khead) == from {
			return from - head + came, held
		}
	}
}

// completions counts them in a part of a mixed queue.
func (q *CompletionQueue) completions(from, to uint32) (n uint32) {
	for left := int64(to - from); left > 0; {
		slots := uint32(1)
		switch flags := atomic.LoadUint32(&q.at(from).Flags); {
		case flags&CQESkip != 0:
		case flags&CQE32 != 0:
			slots = 2
			fallthrough
		default:
			n++
		}
		from += slots
		left -= int64(slots)
	}
	return n
}
