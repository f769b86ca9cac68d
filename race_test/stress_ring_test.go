package race_test

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitmap"
)

// ringing checks that bytes, wakes, messages, posts and tasks that go into a ring
// come out of it, while loops close and contexts end.
func ringing(s *round, b *book) (check func()) {
	if s.rings == nil {
		return func() {}
	}
	r := &ringed{round: s, b: b}
	r.open()
	write := s.team("rings").start(3, 100, operation{"Write", r.write}, operation{"EventFD.Wake", r.wake}, operation{"FutexWake", r.futexWake})
	read := s.team("rings").start(3, 100, operation{"Read", r.read}, operation{"EventFD.Wait", r.wait}, operation{"FutexWait", r.futexWait},
		operation{"Sleep", r.sleep}, operation{"Nop", r.nop})
	read.drain(func() { r.write(nil); r.wake(nil); r.futexWake(nil) }, write)
	s.team("rings").start(2, 5, operation{"a loop's life", r.life})
	s.team("rings").start(2, 200, operation{"MsgRing.Wake", r.message}, operation{"Post", r.post})
	return r.check
}

type ringed struct {
	*round
	b       *book
	in, out *os.File
	fd      [2]int // of the pipe; they block
	event   *uringwake.EventFD
	word    atomic.Uint32
	loop    *uringwake.Loop // has the smallest queues
	ring    *uringwake.MsgRing
}

func (r *ringed) must(err error) {
	if err != nil {
		r.t.Error(err)
	}
}

func (r *ringed) open() {
	var errs [4]error
	r.out, r.in, errs[0] = os.Pipe()
	r.event, errs[1] = uringwake.NewEventFD()
	r.loop, errs[2] = uringwake.NewLoop(&uringwake.LoopOptions{Entries: 1, CQEntries: 2, OnMessage: func(uint64, int32) { r.b.received.Add(1) }})
	if err := errors.Join(errs[:]...); err != nil {
		r.t.Fatal(err)
	}
	r.fd = [2]int{int(r.out.Fd()), int(r.in.Fd())}
	if uringwake.HaveMsgRing() == nil {
		r.ring, errs[3] = uringwake.NewMsgRing(r.loop.FD(), 7, 0)
		r.must(errs[3])
	}
}

// of returns a worker's context for one call. A worker that drains gets one that
// ends.
func (r *ringed) of(w *worker) (ctx context.Context, done func()) {
	if w == nil {
		return context.WithTimeoutCause(context.Background(), time.Second, errEnd)
	}
	return w.until()
}

// count adds n, unless err is that of an ended context.
func (r *ringed) count(n int, err error, of *atomic.Int64) {
	if err == nil {
		of.Add(int64(n))
	} else if !errors.Is(err, errEnd) {
		r.t.Errorf("rings: %v", err)
	}
}

func (r *ringed) write(w *worker) {
	ctx, done := r.of(w)
	defer done()
	n, err := uringwake.Write(ctx, r.fd[1], make([]byte, 8), -1)
	r.count(n, err, &r.b.sent)
}

func (r *ringed) read(w *worker) {
	ctx, done := r.of(w)
	defer done()
	n, err := uringwake.Read(ctx, r.fd[0], make([]byte, 5), -1)
	r.count(n, err, &r.b.received)
}

func (r *ringed) wake(*worker) {
	r.b.sent.Add(1)
	r.event.Wake()
}

func (r *ringed) wait(w *worker) {
	ctx, done := r.of(w)
	defer done()
	n, err := r.event.Wait(ctx)
	r.count(int(n), err, &r.b.received)
}

func (r *ringed) futexWake(w *worker) {
	if uringwake.HaveFutex() != nil {
		return
	}
	r.word.Add(1)
	ctx, done := r.of(w)
	defer done()
	_, err := uringwake.FutexWake(ctx, &r.word, 100)
	r.count(0, err, &r.b.sent)
}

func (r *ringed) futexWait(w *worker) {
	if uringwake.HaveFutex() != nil {
		return
	}
	ctx, done := r.of(w)
	defer done()
	r.count(0, uringwake.FutexWait(ctx, &r.word, r.word.Load()), &r.b.received)
}

func (r *ringed) sleep(w *worker) {
	ctx, done := r.of(w)
	defer done()
	r.count(0, uringwake.Sleep(ctx, time.Duration(w.r.IntN(200))*time.Microsecond), &r.b.received)
}

func (r *ringed) nop(w *worker) {
	ctx, done := r.of(w)
	defer done()
	r.count(0, uringwake.Nop(ctx), &r.b.received)
}

func (r *ringed) message(*worker) {
	if r.ring != nil {
		r.b.sent.Add(1)
		r.ring.Wake()
		r.must(r.ring.Err())
	}
}

func (r *ringed) post(*worker) {
	r.b.sent.Add(1)
	r.must(r.loop.Post(func() { r.b.received.Add(1) }))
}

// life creates and closes a loop without waiting for its tasks, and checks that all
// that the loop accepted runs and that every sleeping task is released.
func (r *ringed) life(w *worker) {
	l, err := uringwake.NewLoop(&uringwake.LoopOptions{Entries: 2, Doorbell: uringwake.Doorbell(w.r.IntN(3))})
	if err != nil {
		r.t.Error(err)
		return
	}
	var m waitmap.Map[int, int]
	w.aside(func() {
		for i := range 50 {
			accepted := l.Go(context.Background(), func(ctx context.Context) {
				r.b.received.Add(1)
				if i%8 == 0 {
					runtime.Goexit()
				}
				if _, err := m.Wait(ctx, i); err != nil && !errors.Is(err, uringwake.ErrClosed) {
					r.t.Error(err)
				}
			})
			if accepted == nil {
				r.b.sent.Add(1)
				m.Store(i-i%2, i) // the others sleep until the end
			} else if !errors.Is(accepted, uringwake.ErrClosed) {
				r.t.Error(accepted)
			}
		}
	})
	for range w.r.IntN(20) {
		w.pause()
	}
	r.must(l.Close(w.ctx))
}

// check empties the pipe and the eventfd, and waits for what is still under way.
func (r *ringed) check() {
	r.must(r.in.Close())
	rest, err := io.ReadAll(r.out)
	r.must(err)
	r.must(r.out.Close())
	r.b.received.Add(int64(len(rest)))
	r.wake(nil)
	n, err := r.event.Wait(context.Background()) // it was just signaled
	r.count(int(n), err, &r.b.received)
	for start := time.Now(); r.b.balance() != nil && time.Since(start) < *patience; {
		runtime.Gosched()
	}
	r.must(r.event.Close())
	if r.ring != nil {
		r.must(r.ring.Close())
	}
	r.must(r.loop.Close(context.Background()))
}
