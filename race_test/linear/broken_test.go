package linear_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// Subjects that are broken on purpose, each in one way. They are the types of this
// module with one method that overlooks concurrent calls.

// A fault records histories of a subject with that fault.
type fault struct {
	name   string
	spec   *spec
	record func(t *testing.T, seed int64) []op
}

func recorder(p func() plan) func(*testing.T, int64) []op {
	return func(t *testing.T, seed int64) []op { return inBubble(t, p(), seed) }
}

func onMap(name, mix string, breakIt func(store) store) fault {
	return fault{name, mapSpec, recorder(func() plan { return mapPlan(breakIt(stores[1].make()), mapMixes[mix]) })}
}

func onNotify(name, mix string, breakIt func(ringer) bell) fault {
	return fault{name, notifySpec, recorder(func() plan { return notifyPlan(breakIt(ringer{new(notify.Notify)}), notifyMixes[mix]) })}
}

func onGroup(name, mix string, breakIt func(*waitgroup.Group) counter) fault {
	return fault{name, groupSpec, recorder(func() plan { return groupPlan(breakIt(new(waitgroup.Group)), groupMixes[mix]) })}
}

func onFlights(name, mix string, g func() coalescer) fault {
	return fault{name, flightSpec, func(t *testing.T, seed int64) []op {
		u := newFlights(g())
		return u.history(inBubble(t, u.plan(flightMixes[mix]), seed))
	}}
}

var faults = []fault{
	onMap("Wait without the second look", "waits", func(m store) store { return oneLook{m} }),
	onMap("Take looks, then deletes", "takes", func(m store) store { return peekTake{m} }),
	onMap("Take: the context wins over the value", "takes", func(m store) store { return politeTake{m} }),
	onMap("Load from a cache that is told too late", "changes", func(m store) store { return &cachedLoad{store: m} }),
	onMap("Load gives what was there, and false", "changes", func(m store) store { return &staleLoad{store: m} }),
	onMap("LoadAndDelete gives what was there, and false", "takes", func(m store) store { return &staleDelete{staleLoad{store: m}} }),
	onMap("Take gives a value and an error", "takes", func(m store) store { return staleTake{m} }),
	onMap("WaitFor gives a value and an error", "waits", func(m store) store { return staleFor{m} }),
	onMap("CompareAndSwap in two steps", "changes", func(m store) store { return twoSteps{m} }),
	onMap("Swap in two steps", "changes", func(m store) store { return twoSwaps{m} }),
	onMap("LoadOrStore in two steps", "changes", func(m store) store { return twoFirsts{m} }),
	onMap("Compute that holds nothing", "changes", func(m store) store { return looseCompute{m} }),
	onMap("WaitFor without a look at what is there", "waits", func(m store) store { return nextFor{m} }),
	onMap("WaitFor stands in no line between two looks", "waits", func(m store) store { return gapFor{m} }),
	onMap("Cancel counts one at most", "waits", func(m store) store { return guess{m} }),
	onMap("Clear of one key only", "changes", func(m store) store { return oneClear{m} }),
	onMap("LoadOrCompute in two steps", "changes", func(m store) store { return twoComputes{m} }),
	onMap("Future: the context wins over the value", "waits", func(m store) store { return politeRegister{m} }),
	onMap("CancelAll of two keys", "waits", func(m store) store { return twoCancels{m} }),
	onMap("Close releases nobody who is in line", "closing", func(m store) store { return &lateClose{store: m} }),
	onMap("Range of a copy", "changes", func(m store) store { return &oldRange{store: m} }),
	onNotify("Wait: the context wins over the wake", "permits", func(n ringer) bell { return politeWait{n} }),
	onNotify("NotifyOne keeps nothing", "permits", func(n ringer) bell { return forgetful{n} }),
	onNotify("NotifyOne wakes two", "permits", func(n ringer) bell { return generous{n} }),
	onNotify("NotifyOne wakes the newest", "everything", func(n ringer) bell { return lastFirst{n} }),
	onNotify("NotifyWaiters keeps a permit", "everything", func(n ringer) bell { return keepsAll{n} }),
	onNotify("Stop of a picked Listener drops the wake", "listeners", func(n ringer) bell { return dropper{n} }),
	onNotify("Stop hands on what NotifyN gave", "listeners", func(n ringer) bell { return passer{n} }),
	onNotify("Listen gets in line late", "listeners", func(n ringer) bell { return late{n} }),
	onGroup("Wait ends at one", "waits", func(g *waitgroup.Group) counter { return hasty{g} }),
	onGroup("Wait for a count that is zero when it looks", "waits", func(g *waitgroup.Group) counter { return looker{g} }),
	onGroup("Wait: the context wins over the zero", "waits", func(g *waitgroup.Group) counter { return eager{g} }),
	onGroup("Idle counts itself while it gets in line", "everything", func(g *waitgroup.Group) counter { return slowIdle{g} }),
	onGroup("Add in two steps", "everything", func(g *waitgroup.Group) counter { return &twoAdds{Group: g} }),
	onFlights("Do joins nobody", "calls", func() coalescer { return lonely{} }),
	onFlights("Do gives the value of a load that is over", "calls", func() coalescer { return &keeper{} }),
	onFlights("Do does not say that others got it too", "calls", func() coalescer { return &silent{} }),
	onFlights("Do gives a value and an error", "calls", func() coalescer { return &staleDo{} }),
	onFlights("Forget forgets nothing", "everything", func() coalescer { return &faithful{} }),
	onFlights("DoChan does not say that others got it too", "channels", func() coalescer { return &silentChan{} }),
	onFlights("ForgetUnshared forgets what is shared", "channels", func() coalescer { return &forgetsAll{} }),
	onFlights("ForgetUnshared says that it forgot, and did not", "channels", func() coalescer { return &liar{} }),
}

// TestConvictsBrokenSubjects checks that each fault is found under load.
func TestConvictsBrokenSubjects(t *testing.T) {
	const enough = 20000
	var table strings.Builder
	for _, f := range slices.Concat(faults, valueFaults) {
		n, seed := 0, int64(0)
		for verdict := porcupine.Ok; verdict == porcupine.Ok; n++ {
			require.Less(t, n, enough, "acquitted: %s, seed %d", f.name, *seedFlag)
			seed = *seedFlag + int64(n)
			verdict, _ = f.spec.judge(f.record(t, seed))
		}
		fmt.Fprintf(&table, "%-50s history %5d, seed %d\n", f.name, n, seed)
	}
	t.Logf("convicted\n%s", &table)
}

type oneLook struct{ store }

func (m oneLook) Wait(ctx context.Context, k int) (int, error) {
	if v, ok := m.Load(k); ok {
		return v, nil
	}
	runtime.Gosched()
	return m.WaitNext(ctx, k)
}

type peekTake struct{ store }

func (m peekTake) Take(ctx context.Context, k int) (int, error) {
	v, err := m.Wait(ctx, k)
	if err == nil {
		m.Delete(k)
	}
	return v, err
}

type politeTake struct{ store }

func (m politeTake) Take(ctx context.Context, k int) (int, error) {
	v, err := m.store.Take(ctx, k)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return v, err
}

type cachedLoad struct {
	store
	cache [mapKeys + 1]atomic.Int64
}

func (m *cachedLoad) Load(k int) (int, bool) {
	if v := m.cache[k].Load(); v != 0 {
		return int(v), true
	}
	v, ok := m.store.Load(k)
	return v, ok
}

func (m *cachedLoad) Store(k, v int) {
	m.store.Store(k, v)
	runtime.Gosched()
	if k < len(m.cache) {
		m.cache[k].Store(int64(v))
	}
}

func (m *cachedLoad) Delete(k int) {
	m.store.Delete(k)
	if k < len(m.cache) {
		m.cache[k].Store(0)
	}
}

type staleLoad struct {
	store
	last [mapKeys + 1]atomic.Int64
}

func (m *staleLoad) Load(k int) (int, bool) {
	v, ok := m.store.Load(k)
	if ok {
		m.last[k].Store(int64(v))
	}
	return int(m.last[k].Load()), ok
}

type staleDelete struct{ staleLoad }

func (m *staleDelete) LoadAndDelete(k int) (int, bool) {
	v, _ := m.staleLoad.Load(k)
	_, ok := m.store.LoadAndDelete(k)
	return v, ok
}

type staleTake struct{ store }

func (m staleTake) Take(ctx context.Context, k int) (int, error) {
	v, _ := m.Load(k)
	if got, err := m.store.Take(ctx, k); err == nil {
		return got, nil
	} else {
		return v, err
	}
}

type staleFor struct{ store }

func (m staleFor) WaitFor(ctx context.Context, k int, ok func(int) bool) (last int, err error) {
	v, err := m.store.WaitFor(ctx, k, func(v int) bool { last = v; return ok(v) })
	if err == nil {
		last = v
	}
	return last, err
}

type twoSteps struct{ store }

func (m twoSteps) CompareAndSwap(k, old, new int) bool {
	v, ok := m.Load(k)
	if !ok || v != old {
		return false
	}
	runtime.Gosched()
	m.Store(k, new)
	return true
}

type twoSwaps struct{ store }

func (m twoSwaps) Swap(k, v int) (int, bool) {
	old, ok := m.Load(k)
	runtime.Gosched()
	m.Store(k, v)
	return old, ok
}

type twoFirsts struct{ store }

func (m twoFirsts) LoadOrStore(k, v int) (int, bool) {
	if old, ok := m.Load(k); ok {
		return old, true
	}
	runtime.Gosched()
	m.Store(k, v)
	return v, false
}

type looseCompute struct{ store }

func (m looseCompute) Compute(k int, f func(int, bool) (int, waitmap.Op)) (int, bool) {
	old, ok := m.Load(k)
	v, op := f(old, ok)
	runtime.Gosched()
	switch op {
	case waitmap.StoreOp:
		m.Store(k, v)
		return v, true
	case waitmap.DeleteOp:
		m.Delete(k)
		return old, false
	default:
		return old, ok
	}
}

type nextFor struct{ store }

func (m nextFor) WaitFor(ctx context.Context, k int, ok func(int) bool) (int, error) {
	for {
		if v, err := m.WaitNext(ctx, k); err != nil || ok(v) {
			return v, err
		}
	}
}

type gapFor struct{ store }

func (m gapFor) WaitFor(ctx context.Context, k int, ok func(int) bool) (int, error) {
	for {
		if v, there := m.Load(k); there && ok(v) {
			return v, nil
		}
		if v, err := m.WaitNext(ctx, k); err != nil || ok(v) {
			return v, err
		}
		runtime.Gosched()
	}
}

type guess struct{ store }

func (m guess) Cancel(k int) int { return min(m.store.Cancel(k), 1) }

type twoComputes struct{ store }

func (m twoComputes) LoadOrCompute(k int, f func() (int, error)) (int, bool, error) {
	if v, ok := m.Load(k); ok {
		return v, true, nil
	}
	v, err := f()
	runtime.Gosched()
	if err == nil {
		m.Store(k, v)
	}
	return v, false, err
}

type politeRegister struct{ store }

type politeFuture struct{ future }

func (m politeRegister) Register(k int, w wake.Waker) future {
	return politeFuture{m.store.Register(k, w)}
}

func (f politeFuture) Wait(ctx context.Context) (int, error) {
	v, err := f.future.Wait(ctx)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	return v, err
}

func (f politeFuture) Stop() bool {
	f.future.Stop()
	return true
}

type twoCancels struct{ store }

func (m twoCancels) CancelAll() int { return m.Cancel(1) + m.Cancel(2) }

type lateClose struct {
	store
	closed atomic.Bool
}

func (m *lateClose) Close() error {
	m.closed.Store(true)
	return nil
}

func (m *lateClose) Wait(ctx context.Context, k int) (int, error) {
	if v, ok := m.Load(k); ok {
		return v, nil
	}
	if m.closed.Load() {
		return 0, waitmap.ErrClosed
	}
	return m.store.Wait(ctx, k)
}

type oneClear struct{ store }

func (m oneClear) Clear() { m.Delete(1) }

type oldRange struct {
	store
	copied atomic.Pointer[map[int]int]
}

func (m *oldRange) Range(f func(k, v int) bool) {
	if m.copied.Load() == nil {
		copied := map[int]int{}
		m.store.Range(func(k, v int) bool { copied[k] = v; return true })
		m.copied.Store(&copied)
	}
	for k, v := range *m.copied.Load() {
		f(k, v)
	}
}

type politeWait struct{ ringer }

func (n politeWait) Wait(ctx context.Context) error {
	err := n.ringer.Wait(ctx)
	runtime.Gosched()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

type forgetful struct{ ringer }

func (n forgetful) NotifyOne() { n.NotifyN(1) }

type generous struct{ ringer }

func (n generous) NotifyOne() {
	n.ringer.NotifyOne()
	n.NotifyN(1)
}

type lastFirst struct{ ringer }

func (n lastFirst) NotifyOne() { n.NotifyLast() }

type keepsAll struct{ ringer }

func (n keepsAll) NotifyWaiters() int {
	woken := n.ringer.NotifyWaiters()
	if woken == 0 {
		n.NotifyOne()
	}
	return woken
}

type dropper struct{ ringer }

func (n dropper) Listen() ear { return droppingEar{n.ringer.Listen()} }

type droppingEar struct{ ear }

func (e droppingEar) Stop() bool {
	e.Ready()
	return e.ear.Stop()
}

// passer hands on every wake that was not consumed, of any notification.
type passer struct{ ringer }

func (n passer) Listen() ear { return &passingEar{n.ringer.Listen(), n.ringer, false} }

type passingEar struct {
	ear
	n    ringer
	used bool
}

func (e *passingEar) Ready() bool {
	e.used = e.ear.Ready() || e.used
	return e.used
}

func (e *passingEar) Wait(ctx context.Context) error {
	err := e.ear.Wait(ctx)
	e.used = err == nil || e.used
	return err
}

func (e *passingEar) Stop() bool {
	if e.used || !e.ear.Ready() {
		return e.ear.Stop()
	}
	e.n.NotifyOne()
	return false
}

// late is a Listener that gets in line when it is first used.
type late struct{ ringer }

func (n late) Listen() ear { return &lateEar{n: n.ringer} }

type lateEar struct {
	n ringer
	e ear
}

func (l *lateEar) ear() ear {
	if l.e == nil {
		l.e = l.n.Listen()
	}
	return l.e
}

func (l *lateEar) Wait(ctx context.Context) error { return l.ear().Wait(ctx) }
func (l *lateEar) Ready() bool                    { return l.ear().Ready() }
func (l *lateEar) Stop() bool                     { return l.ear().Stop() }

type hasty struct{ *waitgroup.Group }

func (g hasty) Wait(ctx context.Context) error {
	if g.Count() == 1 {
		return nil
	}
	return g.Group.Wait(ctx)
}

type looker struct{ *waitgroup.Group }

func (g looker) Wait(ctx context.Context) error {
	for {
		if err := g.Group.Wait(ctx); err != nil || g.Count() == 0 {
			return err
		}
	}
}

type eager struct{ *waitgroup.Group }

func (g eager) Wait(ctx context.Context) error {
	err := g.Group.Wait(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

type slowIdle struct{ *waitgroup.Group }

func (g slowIdle) Idle() <-chan struct{} {
	g.Add(1)
	defer g.Done()
	runtime.Gosched()
	return g.Group.Idle()
}

type twoAdds struct {
	*waitgroup.Group
	n atomic.Int64
}

func (g *twoAdds) Add(n int) {
	was := g.n.Load()
	runtime.Gosched()
	g.n.Store(was + int64(n))
	g.Group.Add(n)
}

func (g *twoAdds) Done() { g.n.Add(-1); g.Group.Done() }

func (g *twoAdds) Count() int { return int(g.n.Load()) }

type lonely struct{}

func (lonely) Do(ctx context.Context, _ int, f func(context.Context) (int, error)) (int, bool, error) {
	v, err := f(ctx)
	if err != nil {
		return 0, false, context.Canceled
	}
	return v, false, nil
}

func (lonely) Forget(int) {}

func (lonely) ForgetUnshared(int) bool { return true }

func (lonely) DoChan(context.Context, int, func(context.Context) (int, error)) <-chan dedup.Result[int] {
	return nil // not in the mix
}

type keeper struct {
	dedup.Group[int, int]
	kept atomic.Int64
}

func (g *keeper) Do(ctx context.Context, key int, f func(context.Context) (int, error)) (int, bool, error) {
	if v := g.kept.Swap(0); v != 0 && key == 1 {
		return int(v), true, nil
	}
	v, shared, err := g.Group.Do(ctx, key, f)
	if shared && key == 1 {
		g.kept.Store(int64(v))
	}
	return v, shared, err
}

type silent struct{ dedup.Group[int, int] }

func (g *silent) Do(ctx context.Context, key int, f func(context.Context) (int, error)) (int, bool, error) {
	v, _, err := g.Group.Do(ctx, key, f)
	return v, false, err
}

type staleDo struct{ dedup.Group[int, int] }

func (g *staleDo) Do(ctx context.Context, key int, f func(context.Context) (int, error)) (int, bool, error) {
	v, shared, err := g.Group.Do(ctx, key, f)
	if err != nil {
		v = 1
	}
	return v, shared, err
}

type silentChan struct{ dedup.Group[int, int] }

func (g *silentChan) DoChan(ctx context.Context, key int, f func(context.Context) (int, error)) <-chan dedup.Result[int] {
	c := make(chan dedup.Result[int], 1)
	r := <-g.Group.DoChan(ctx, key, f)
	r.Shared = false
	c <- r
	return c
}

type forgetsAll struct{ dedup.Group[int, int] }

func (g *forgetsAll) ForgetUnshared(key int) bool { g.Forget(key); return true }

type liar struct{ dedup.Group[int, int] }

func (g *liar) ForgetUnshared(int) bool { return true }

type faithful struct{ dedup.Group[int, int] }

func (g *faithful) Forget(int) {}
