package race_test

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

// following checks that no Update of a Value is lost, and that no reader sees an older
// version after any reader has seen a newer one. The value is always its version.
func following(s *round, b *book) (check func()) {
	f := &followed{round: s, b: b}
	change := s.team("following").start(3, 150, operation{"Update", f.update}, operation{"Update that dies", f.die})
	s.team("following").start(6, 100, operation{"Load", f.load}, operation{"WaitNewer", f.wait}, operation{"WaitNewer, wildly", f.waitWildly},
		operation{"Watch", f.watch}, operation{"Select of a Value", f.choose}, operation{"After", f.after}).
		drain(func() { f.update(nil) }, change)
	return f.check
}

type followed struct {
	*round
	v       await.Value[uint64]
	b       *book
	version atomic.Uint64 // a version that a reader has seen
}

func (f *followed) update(*worker) {
	f.v.Update(func(old uint64) uint64 { return old + 1 })
	f.b.sent.Add(1)
}

func (f *followed) die(*worker) {
	defer func() {
		if v := recover(); v != misbehave.ErrPanic {
			panic(v)
		}
	}()
	f.v.Update(func(uint64) uint64 { panic(misbehave.ErrPanic) })
}

// saw checks what a reader got that began when version had been seen, and knew known.
func (f *followed) saw(x, version, seen, known uint64) {
	if x != version || version < seen || version <= known {
		f.t.Errorf("following: %d of version %d, when %d was seen and %d known", x, version, seen, known)
	}
	for {
		old := f.version.Load()
		if old >= version || f.version.CompareAndSwap(old, version) {
			return
		}
	}
}

func (f *followed) load(*worker) {
	seen := f.version.Load()
	if x, n := f.v.Load(); n > 0 || seen > 0 {
		f.saw(x, n, seen, 0)
	}
}

// known draws the version that a waiter knows: the present one, the one before, or the
// next.
func (f *followed) known(w *worker) uint64 {
	_, n := f.v.Load()
	return max(n+uint64(w.r.IntN(3)), 1) - 1
}

func (f *followed) wait(w *worker) {
	ctx, done := w.until()
	defer done()
	seen, known := f.version.Load(), f.known(w)
	if x, n, err := f.v.WaitNewer(ctx, known); !w.canceled(err) {
		f.saw(x, n, seen, known)
	}
}

func (f *followed) waitWildly(w *worker) {
	ctx, done := w.until()
	ctx = wake.WithParker(ctx, misbehave.DrawParker(w.r))
	selects, known := w.r.IntN(2) == 0, f.known(w)
	w.rashly(func() { // it is over before the last Update
		defer done()
		seen := f.version.Load()
		x, n, err := uint64(0), uint64(0), error(nil)
		if selects {
			_, err = await.Select(ctx, f.v.OnNewer(known, &x, &n))
		} else {
			x, n, err = f.v.WaitNewer(ctx, known)
		}
		if !errors.Is(err, misbehave.ErrOwn) && !w.canceled(err) {
			f.saw(x, n, seen, known)
		}
	})
}

func (f *followed) watch(w *worker) {
	ctx, done := w.until()
	defer done()
	most, known, seen := w.r.IntN(5), uint64(0), f.version.Load()
	for x, err := range f.v.Watch(ctx) {
		if w.canceled(err) {
			return
		}
		f.saw(x, x, seen, known)
		if known, seen = x, f.version.Load(); most == 0 {
			return
		}
		most--
		w.pause()
	}
}

func (f *followed) choose(w *worker) {
	ctx, done := w.until()
	defer done()
	var x, n uint64
	seen, known := f.version.Load(), f.known(w)
	if i, err := w.choose(ctx, f.v.OnNewer(known, &x, &n)); !w.canceled(err) && i == 0 {
		f.saw(x, n, seen, known)
	}
}

// after uses its cases again, as often as its timer is chosen.
func (f *followed) after(w *worker) {
	var x, n uint64
	seen, known := f.version.Load(), f.known(w)
	cases := []wake.Case{await.After(time.Duration(w.r.IntN(30)) * time.Microsecond), f.v.OnNewer(known, &x, &n)}
	for range 3 {
		i, err := await.Select(w.ctx, cases...)
		if err != nil {
			f.t.Errorf("following: %v", err)
			return
		}
		if i == 1 {
			f.saw(x, n, seen, known)
			return
		}
	}
	if err := await.Sleep(w.ctx, time.Microsecond); err != nil {
		f.t.Errorf("following: Sleep: %v", err)
	}
}

func (f *followed) check() {
	x, n := f.v.Load()
	f.saw(x, n, f.version.Load(), 0)
	f.b.received.Add(int64(n))
	if n := f.v.Waiters(); n != 0 {
		f.t.Errorf("following: %d still wait", n)
	}
}
