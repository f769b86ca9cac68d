package waitmap_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/waitmap"
	"github.com/vigil-go/vigil/wake"
)

// A ledger counts values, each of which is stored once.
type ledger struct {
	m        waitmap.Map[int, int]
	next     atomic.Int64
	stored   atomic.Int64
	mu       sync.Mutex
	received map[int]bool
}

// put stores a new value under the key, unless that has one.
func (l *ledger) put(key int) {
	if _, loaded := l.m.LoadOrStore(key, int(l.next.Add(1))); !loaded {
		l.stored.Add(1)
	}
}

func (l *ledger) receive(t *testing.T, v int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if v == 0 || l.received[v] {
		t.Errorf("value %d was received twice, or was none", v)
	}
	l.received[v] = true
}

// requireBalance requires that what was stored was received or is there.
func (l *ledger) requireBalance(t *testing.T) {
	t.Helper()
	for _, v := range l.m.All() {
		l.receive(t, v)
	}
	require.Len(t, l.received, int(l.stored.Load()))
	requireIdle(t, &l.m)
}

// choices runs Selects over the keys 1 and 2, which use their cases again and again.
func (l *ledger) choices(t *testing.T, rounds int, ctxOf func(i int) context.Context, on func(key int, v *int) wake.Case, order bool) {
	var v [2]int
	cases := []wake.Case{on(1, &v[0]), on(2, &v[1])}
	if order {
		cases[0], cases[1] = on(2, &v[0]), on(1, &v[1])
	}
	for i := range rounds {
		v = [2]int{}
		switch c, err := choose(ctxOf(i), cases...); {
		case err != nil && v != [2]int{} || err == nil && v[1-c] != 0:
			t.Errorf("case %d, %v: got %v", c, err, v)
		case err == nil:
			l.receive(t, v[c])
		}
	}
}

// someEnd returns a context. In one of four calls it ends soon, in one it has ended.
func someEnd(i int) context.Context {
	switch i % 4 {
	case 0:
		ctx, cancel := context.WithCancel(bg)
		go cancel()
		return ctx
	case 1:
		return doneCtx()
	}
	return bg
}

// disturb does to the keys what Selects have to bear, until done.
func (l *ledger) disturb(done func() bool, how func(key, i int)) {
	for i := 0; !done(); i++ {
		how(1+i%2, i)
		runtime.Gosched()
	}
}

func yielding(old int, _ bool) (int, waitmap.Op) {
	runtime.Gosched()
	return old, waitmap.KeepOp
}

// TestStressTakesInCrossedOrder: values are conserved while Selects take from two keys in
// either order, and stores, takers, cancels, computations and the ends of contexts meet
// them.
func TestStressTakesInCrossedOrder(t *testing.T) {
	for seed := range uint64(testkit.Scale(12, 6)) {
		stop := shaken(20 + seed)
		l := ledger{received: make(map[int]bool)}
		var over atomic.Int32
		done := func() bool { return over.Load() == 4 }
		testkit.Together(8, func(g int) {
			rounds := testkit.Scale(500, 150)
			switch g {
			case 0, 1, 2:
				l.choices(t, rounds, someEnd, l.m.OnTake, g%2 == 0)
				over.Add(1)
			case 3:
				for i := range rounds {
					if v, err := l.m.Take(someEnd(i), 1+i%2); err == nil {
						l.receive(t, v)
					}
				}
				over.Add(1)
			case 4:
				l.disturb(done, func(key, i int) {
					if l.m.Compute(key, yielding); i%5 == 0 {
						outlive(func() { l.m.Compute(key, func(int, bool) (int, waitmap.Op) { panic("computation") }) })
					}
				})
			case 5:
				l.disturb(done, func(key, _ int) { l.m.Cancel(key) })
			default:
				l.disturb(done, func(key, i int) { l.put(1 + (i/4+g)%2) })
			}
		})
		l.requireBalance(t)
		stop()
	}
}

// TestStressCloseMeetsSelects: all end, and each stored value was received or is there.
func TestStressCloseMeetsSelects(t *testing.T) {
	for seed := range uint64(testkit.Scale(200, 50)) {
		stop := shaken(40 + seed)
		l := ledger{received: make(map[int]bool)}
		testkit.Together(6, func(g int) {
			switch g {
			case 0:
				l.m.Close()
			case 1:
				l.put(1)
				l.m.Compute(1, yielding)
			case 2:
				l.put(2)
				l.m.Compute(2, yielding)
			default:
				var v int
				cases := []wake.Case{l.m.OnTake(1+g%2, &v), l.m.OnTake(2-g%2, &v)}
				if _, err := choose(bg, cases...); err == nil {
					l.receive(t, v)
				} else if err != waitmap.ErrClosed {
					t.Error(err)
				}
			}
		})
		l.requireBalance(t)
		stop()
	}
}

// TestStressOneStorePerSelect: Selects over two keys in crossed orders, which consume
// nothing, meet one store of each key. Each returns one of the two values.
func TestStressOneStorePerSelect(t *testing.T) {
	over(t, func(t *testing.T, newMap maker[int, int]) {
		defer shaken(7)()
		for range testkit.Scale(200, 40) {
			m := newMap()
			testkit.Together(5, func(g int) {
				switch g {
				case 0, 1:
					m.Store(g, g+10)
					m.Delete(g)
					m.Store(g, g+10)
				default:
					var v [2]int
					c, err := choose(bg, m.OnStore(g%2, &v[0]), m.OnStore(1-g%2, &v[1]))
					want := [2]int{}
					if err == nil {
						want[c] = 10 + (g+c)%2
					}
					if err != nil || v != want {
						t.Errorf("case %d, %v: got %v", c, err, v)
					}
				}
			})
			requireIdle(t, m)
		}
	})
}
