package waitmap_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
)

// A script is bytes, two for each step: what to do, and with which key. A map and its
// reference run it in a bubble. After a step all goroutines run until they block, and the
// two are compared: which waits have returned, their results, the entries of the map, and
// the waits in line. A step may also be followed by the next one at once: then waits that
// have their value have not run yet.

// steps, by number. Those that are there twice come twice as often.
var steps = []func(s *script, arg int){
	(*script).store, (*script).store, (*script).swap, (*script).loadOrStore, (*script).loadAndDelete, (*script).delete,
	(*script).compareAndSwap, (*script).compareAndDelete, (*script).load, (*script).loadOrCompute, (*script).compute,
	(*script).clear, (*script).wait, (*script).waitNext, (*script).waitFor, (*script).waitCompute, (*script).take, (*script).take,
	(*script).register, (*script).register, (*script).stop, (*script).futureWait, (*script).end, (*script).end, (*script).cancel,
	(*script).cancelCause, (*script).cancelAll, (*script).close, (*script).deadTake, (*script).deadWait, (*script).tick,
	(*script).loadWhileDeleted,
}

const scriptKeys = 4

// wait is one wait of a script, on both sides.
type scriptWait struct {
	ref    *refWait
	res    result[int]
	over   bool
	cancel context.CancelFunc
	future *waitmap.Future[int] // if ref is a Future, or this waits on one
	waker  counter
	ended  bool // the context of a wait on a Future
}

type script struct {
	t       *testing.T
	m       *waitmap.Map[int, int]
	r       *reference
	waits   []*scriptWait // calls that block
	futures []*scriptWait
	n       int // of the step: a fresh value
	settled bool
	log     []string
}

// runScript runs one script on a map. It must be called in a bubble.
func runScript(t *testing.T, m *waitmap.Map[int, int], data []byte) {
	s := &script{t: t, m: m, r: newReference(), settled: true}
	whole := data
	defer func() {
		if t.Failed() {
			t.Logf("script: %q", whole)
			for _, line := range s.log {
				t.Log(line)
			}
		}
		for _, w := range s.waits { // end them, also after a failure
			w.cancel()
		}
		s.m.CancelAll()
		synctest.Wait()
	}()
	for len(data) >= 2 {
		s.n += 10
		hurry := data[0]&0x80 != 0 && !s.mustSettle()
		steps[int(data[0]&0x7f)%len(steps)](s, int(data[1]))
		data = data[2:]
		if hurry && !s.mustSettle() {
			s.settled = false
			continue
		}
		s.settle()
	}
	s.settle()
	for _, w := range s.waits {
		if w.future == nil {
			s.r.end(w.ref)
		} else {
			w.ended = true
		}
		w.cancel()
	}
	synctest.Wait()
	for _, f := range s.futures {
		require.Equal(t, s.r.stop(f.ref), f.future.Stop())
	}
	s.settle()
	requireIdle(t, m)
}

// mustSettle reports whether a waiter in line has to run before the next step.
func (s *script) mustSettle() bool {
	for _, w := range s.r.line {
		if w.kind == kindFor || w.kind == kindCompute {
			return true
		}
	}
	return false
}

// settle lets all goroutines run until they block, and then compares.
func (s *script) settle() {
	synctest.Wait()
	s.settled = true
	for i, w := range s.waits {
		s.compareWait(i, w)
	}
	for i, f := range s.futures {
		v, done, err := f.future.Result()
		if f.ref.done != done || f.ref.woken != f.waker.woken() {
			require.Equal(s.t, f.ref.done, done, "future %d is done", i)
			require.Equal(s.t, f.ref.woken, f.waker.woken(), "future %d: waker", i)
		}
		s.requireSame(f.ref, v, err, "future", i)
	}
	if !maps.Equal(s.r.vals, maps.Collect(s.m.All())) || len(s.r.vals) != s.m.Len() {
		requireContents(s.t, s.r.vals, s.m)
	}
	s.compareWaiting()
}

func (s *script) compareWait(i int, w *scriptWait) {
	if w.ended && (!w.ref.done || errors.Is(w.res.err, context.Canceled)) {
		// A wait on a Future that failed before the Future was done.
		require.True(s.t, w.over, "wait %d on a future", i)
		require.ErrorIs(s.t, w.res.err, context.Canceled)
		require.Zero(s.t, w.res.v, "wait %d on a future", i)
		return
	}
	if w.ref.done != w.over {
		require.Equal(s.t, w.ref.done, w.over, "wait %d is over", i)
	}
	if w.over {
		s.requireSame(w.ref, w.res.v, w.res.err, "wait", i)
	}
}

// requireSame compares what a wait returned. It looks before it calls require,
// which is slow.
func (s *script) requireSame(want *refWait, v int, err error, what string, i int) {
	if want.v == v && want.err == err {
		return
	}
	require.Equal(s.t, want.v, v, "%s %d", what, i)
	require.ErrorIs(s.t, err, want.err, "%s %d", what, i)
	if want.err == errRefCause {
		require.ErrorIs(s.t, err, waitmap.ErrCanceled, "%s %d", what, i)
	}
}

func (s *script) compareWaiting() {
	got := maps.Collect(s.m.Waiting())
	for k := range scriptKeys {
		ws := s.r.waiters(k)
		info, listed := got[k]
		delete(got, k)
		if n := s.m.Waiters(k); n != len(ws) || info.Waiters != len(ws) || listed != (len(ws) > 0) {
			require.Failf(s.t, "waiters", "key %d: want %d, Waiters says %d, Waiting %d", k, len(ws), n, info.Waiters)
		}
		if listed && !s.r.has(k, kindFor) && !s.r.has(k, kindCompute) && !ws[0].since.Equal(info.Oldest) {
			require.Failf(s.t, "oldest waiter", "key %d: want %v, got %v", k, ws[0].since, info.Oldest)
		}
	}
	if len(got) > 0 {
		require.Empty(s.t, got)
	}
}

func (s *script) logf(format string, args ...any) {
	s.log = append(s.log, fmt.Sprintf(format, args...))
}

func (s *script) store(arg int) {
	k := arg % scriptKeys
	s.logf("Store(%d, %d)", k, s.n)
	s.m.Store(k, s.n)
	s.r.store(k, s.n)
}

func (s *script) load(arg int) {
	k := arg % scriptKeys
	v, ok := s.m.Load(k)
	want, present := s.r.vals[k]
	s.logf("Load(%d) = %d, %t", k, v, ok)
	require.Equal(s.t, present, ok)
	require.Equal(s.t, want, v)
}

// loadWhileDeleted deletes the key while Load looks at it, in builds that can delay Load,
// and otherwise before.
func (s *script) loadWhileDeleted(arg int) {
	k := arg % scriptKeys
	want := s.r.vals[k]
	v, ok := loadWhile(s.m, k, func() { s.m.Delete(k) })
	delete(s.r.vals, k)
	s.logf("Load(%d), and Delete meanwhile = %d, %t", k, v, ok)
	if !ok {
		want = 0
	}
	require.Equal(s.t, want, v)
}

// compareOld compares what a call returned with what was there.
func (s *script) compareOld(name string, k, v int, ok bool) {
	s.logf("%s(%d) = %d, %t", name, k, v, ok)
	want, present := s.r.vals[k]
	require.Equal(s.t, present, ok, name)
	require.Equal(s.t, want, v, name)
}

func (s *script) swap(arg int) {
	k := arg % scriptKeys
	v, ok := s.m.Swap(k, s.n)
	s.compareOld("Swap", k, v, ok)
	s.r.store(k, s.n)
}

func (s *script) loadAndDelete(arg int) {
	k := arg % scriptKeys
	v, ok := s.m.LoadAndDelete(k)
	s.compareOld("LoadAndDelete", k, v, ok)
	delete(s.r.vals, k)
}

func (s *script) delete(arg int) {
	k := arg % scriptKeys
	s.logf("Delete(%d)", k)
	s.m.Delete(k)
	delete(s.r.vals, k)
}

func (s *script) clear(arg int) {
	if arg%4 != 0 {
		return // not too often
	}
	s.logf("Clear")
	s.m.Clear()
	clear(s.r.vals)
}

func (s *script) loadOrStore(arg int) {
	k := arg % scriptKeys
	v, loaded := s.m.LoadOrStore(k, s.n)
	s.requireLoadOr(k, v, loaded)
}

// requireLoadOr checks a call that stored s.n unless the key was there.
func (s *script) requireLoadOr(k, v int, loaded bool) {
	s.logf("LoadOr...(%d, %d) = %d, %t", k, s.n, v, loaded)
	want, present := s.r.vals[k]
	require.Equal(s.t, present, loaded)
	if !present {
		want = s.n
		s.r.store(k, s.n)
	}
	require.Equal(s.t, want, v)
}

func (s *script) loadOrCompute(arg int) {
	k := arg % scriptKeys
	_, present := s.r.vals[k]
	if arg/scriptKeys%3 == 0 && !present {
		v, loaded, err := s.m.LoadOrCompute(k, func() (int, error) { return s.n, errRefCause })
		s.logf("LoadOrCompute(%d) fails: %v", k, err)
		require.False(s.t, loaded)
		require.Zero(s.t, v)
		require.ErrorIs(s.t, err, errRefCause)
		return
	}
	v, loaded, err := s.m.LoadOrCompute(k, func() (int, error) { return s.n, nil })
	require.NoError(s.t, err)
	s.requireLoadOr(k, v, loaded)
}

func (s *script) compareAndSwap(arg int) {
	k := arg % scriptKeys
	old, present := s.r.vals[k]
	if wrong := arg/scriptKeys%3 == 0; wrong {
		old, present = -7, false
	}
	ok := waitmap.CompareAndSwap(s.m, k, old, s.n)
	s.logf("CompareAndSwap(%d, %d, %d) = %t", k, old, s.n, ok)
	require.Equal(s.t, present, ok)
	if present {
		s.r.store(k, s.n)
	}
}

func (s *script) compareAndDelete(arg int) {
	k := arg % scriptKeys
	old, present := s.r.vals[k]
	if wrong := arg/scriptKeys%3 == 0; wrong {
		old, present = -7, false
	}
	ok := waitmap.CompareAndDelete(s.m, k, old)
	s.logf("CompareAndDelete(%d, %d) = %t", k, old, ok)
	require.Equal(s.t, present, ok)
	if present {
		delete(s.r.vals, k)
	}
}

func (s *script) compute(arg int) {
	k, how := arg%scriptKeys, arg/scriptKeys
	want, present := s.r.vals[k]
	f := func(old int, loaded bool) (int, waitmap.Op) {
		require.Equal(s.t, want, old)
		require.Equal(s.t, present, loaded)
		return change(how, s.n)
	}
	v, ok := s.m.Compute(k, f)
	s.logf("Compute(%d) %d = %d, %t", k, how%3, v, ok)
	switch to, op := change(how, s.n); op {
	case waitmap.StoreOp:
		require.Equal(s.t, to, v)
		if s.r.store(k, to) {
			require.True(s.t, ok)
		}
	case waitmap.DeleteOp:
		require.Equal(s.t, want, v)
		require.False(s.t, ok)
		delete(s.r.vals, k)
	default:
		require.Equal(s.t, want, v)
		require.Equal(s.t, present, ok)
	}
}

// block starts a call that may block, on both sides.
func (s *script) block(kind refKind, arg int, f func(ctx context.Context, k, arg int) (int, error)) {
	if !s.settled {
		s.settle()
	}
	k := arg % scriptKeys
	// Whether WaitFor sees a value before or after WaitCompute changed it is
	// open, and so is the order of two WaitComputes: scripts avoid both.
	if (kind == kindFor || kind == kindCompute) && s.r.has(k, kindCompute) || kind == kindCompute && s.r.has(k, kindFor) {
		return
	}
	s.logf("wait %d: kind %d of key %d, %d", len(s.waits), kind, k, arg/scriptKeys%3)
	ctx, cancel := context.WithCancel(bg)
	w := &scriptWait{cancel: cancel}
	w.ref = &refWait{kind: kind, key: k, arg: arg / scriptKeys, since: time.Now()}
	s.waits = append(s.waits, w)
	go func() {
		w.res.v, w.res.err = f(ctx, k, arg/scriptKeys)
		w.over = true
	}()
	synctest.Wait()
	s.r.start(w.ref)
}

func (s *script) wait(arg int) {
	s.block(kindWait, arg, func(ctx context.Context, k, _ int) (int, error) { return s.m.Wait(ctx, k) })
}

func (s *script) waitNext(arg int) {
	s.block(kindNext, arg, func(ctx context.Context, k, _ int) (int, error) { return s.m.WaitNext(ctx, k) })
}

func (s *script) waitFor(arg int) {
	s.block(kindFor, arg, func(ctx context.Context, k, how int) (int, error) {
		return s.m.WaitFor(ctx, k, (&refWait{arg: how}).satisfied)
	})
}

func (s *script) waitCompute(arg int) {
	s.block(kindCompute, arg, func(ctx context.Context, k, how int) (int, error) {
		return s.m.WaitCompute(ctx, k, func(old int) (int, waitmap.Op) { return change(how, old) })
	})
}

func (s *script) take(arg int) {
	s.block(kindTake, arg, func(ctx context.Context, k, _ int) (int, error) { return s.m.Take(ctx, k) })
}

func (s *script) register(arg int) {
	k := arg % scriptKeys
	s.logf("future %d: key %d", len(s.futures), k)
	f := &scriptWait{ref: &refWait{kind: kindFuture, key: k, since: time.Now()}}
	f.future = s.m.Register(k, &f.waker)
	s.r.start(f.ref)
	s.futures = append(s.futures, f)
}

// pick chooses one of the latest few.
func pick(from []*scriptWait, arg int) *scriptWait {
	if len(from) == 0 {
		return nil
	}
	return from[max(0, len(from)-1-arg%6)]
}

func (s *script) stop(arg int) {
	f := pick(s.futures, arg)
	if f == nil {
		return
	}
	got := f.future.Stop()
	s.logf("Stop of a future of key %d = %t", f.ref.key, got)
	require.Equal(s.t, s.r.stop(f.ref), got)
}

func (s *script) futureWait(arg int) {
	f := pick(s.futures, arg)
	if f == nil {
		return
	}
	if !s.settled {
		s.settle()
	}
	s.logf("wait %d: on a future of key %d", len(s.waits), f.ref.key)
	ctx, cancel := context.WithCancel(bg)
	w := &scriptWait{ref: f.ref, cancel: cancel, future: f.future}
	s.waits = append(s.waits, w)
	go func() {
		w.res.v, w.res.err = f.future.Wait(ctx)
		w.over = true
	}()
}

// end ends the context of a wait.
func (s *script) end(arg int) {
	w := pick(s.waits, arg)
	if w == nil {
		return
	}
	if !s.settled {
		s.settle()
	}
	s.logf("the context of a wait of key %d ends", w.ref.key)
	w.cancel()
	synctest.Wait()
	if w.future != nil { // the Future stays in line
		w.ended = true
		return
	}
	s.r.end(w.ref)
}

func (s *script) cancel(arg int) {
	k := arg % scriptKeys
	n := s.m.Cancel(k)
	s.logf("Cancel(%d) = %d", k, n)
	require.Equal(s.t, s.r.cancel(k, waitmap.ErrCanceled), n)
}

func (s *script) cancelCause(arg int) {
	k := arg % scriptKeys
	n := s.m.CancelCause(k, errRefCause)
	s.logf("CancelCause(%d) = %d", k, n)
	require.Equal(s.t, s.r.cancel(k, errRefCause), n)
}

func (s *script) cancelAll(arg int) {
	if arg%3 != 0 {
		return // not too often
	}
	n := s.m.CancelAll()
	s.logf("CancelAll = %d", n)
	require.Equal(s.t, s.r.cancelAll(waitmap.ErrCanceled), n)
}

func (s *script) close(arg int) {
	if arg%32 != 0 {
		return // seldom: nothing waits afterwards
	}
	s.logf("Close")
	require.NoError(s.t, s.m.Close())
	s.r.close()
}

func (s *script) deadTake(arg int) {
	v, err := s.m.Take(doneCtx(), arg%scriptKeys)
	require.Zero(s.t, v)
	if !s.r.closed {
		require.ErrorIs(s.t, err, context.Canceled)
	}
	require.Error(s.t, err)
}

func (s *script) deadWait(arg int) {
	k := arg % scriptKeys
	v, err := s.m.Wait(doneCtx(), k)
	want, present := s.r.vals[k]
	require.Equal(s.t, present, err == nil)
	require.Equal(s.t, want, v)
}

func (s *script) tick(int) {
	if !s.settled {
		s.settle()
	}
	s.logf("tick")
	<-time.After(time.Second) // of the bubble
}

// TestRandomScripts runs many scripts on every construction.
func TestRandomScripts(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		rnd := rand.New(rand.NewPCG(1, 2))
		for range testkit.Scale(150, 30) {
			data := make([]byte, 2*rnd.IntN(150))
			for i := range data {
				data[i] = byte(rnd.Uint32())
			}
			synctest.Test(t, func(t *testing.T) { runScript(t, newMap(), data) })
		}
	})
}
