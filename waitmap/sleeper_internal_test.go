package waitmap

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/monotime"
	"github.com/vigil-go/vigil/internal/waitq"
	"github.com/vigil-go/vigil/wake"
)

// inLine puts a waiter in line, as Wait and Take do.
func inLine[K comparable, V any](m *Map[K, V], key K, takes bool) (s *sleeper[K, V], leave func() bool) {
	e := m.init()
	h := e.hash(key)
	s = e.sleeperFor(wake.WithParker(context.Background(), wake.NewParker()))
	if takes {
		s.w.SetExclusive()
	}
	e.shard(h).lockLines(e, h)
	e.enter(key, h, &s.waitNode)
	return s, func() bool { return e.shard(h).lines.leave(&s.w) }
}

// TestGoneInLine: a waiter in line has given up, and leaves only after the line was
// detached: it keeps no value and no reference to the line, which others may use by then.
func TestGoneInLine(t *testing.T) {
	for how, detach := range map[string]func(m *Map[string, *int]){
		"Store":     func(m *Map[string, *int]) { m.Store("a", new(int)) },
		"Swap":      func(m *Map[string, *int]) { m.Swap("a", new(int)) },
		"Compute":   func(m *Map[string, *int]) { m.Compute("a", func(*int, bool) (*int, Op) { return new(int), StoreOp }) },
		"Cancel":    func(m *Map[string, *int]) { m.Cancel("a") },
		"CancelAll": func(m *Map[string, *int]) { m.CancelAll() },
	} {
		for _, crowd := range []int{0, 1, 2} {
			for _, takes := range []bool{false, true} {
				t.Run(how, func(t *testing.T) {
					m := New[string, *int](&Options[string]{Shards: 1})
					for range crowd {
						inLine(m, "a", false)
					}
					s, leave := inLine(m, "a", takes)
					require.True(t, s.w.Abandon())
					detach(m)
					require.False(t, leave())
					require.Nil(t, s.w.Value.v)
					require.Nil(t, s.w.Value.line)
					require.False(t, s.w.Done())
					requireInvariants(t, m)
				})
			}
		}
	}
}

// TestBubblesClock checks what the pool of sleepers depends on: the time in a bubble is before
// the program began, and has no monotonic reading.
func TestBubblesClock(t *testing.T) {
	require.False(t, waitq.InBubble())
	require.Positive(t, monotime.Now())
	synctest.Test(t, func(t *testing.T) {
		require.True(t, waitq.InBubble())
		require.Negative(t, monotime.Now())
		e := New[int, int](nil).init()
		e.sleepers.Put(new(sleeper[int, int]))
		require.True(t, e.sleeperFor(context.Background()).discard)
		time.Sleep(100 * 365 * 24 * time.Hour)
		require.Positive(t, monotime.Now())
		require.True(t, e.sleeperFor(context.Background()).discard)
	})
}

// TestSleeperAfterEachEnd: however a wait ended, its sleeper is as new, or is
// not used again, as when others stand in its line.
func TestSleeperAfterEachEnd(t *testing.T) {
	ctx := context.Background()
	for how, end := range map[string]func(m *Map[string, *int], s *sleeper[string, *int]){
		"stored": func(m *Map[string, *int], s *sleeper[string, *int]) { m.Store("a", new(int)); <-s.channel },
		"computed": func(m *Map[string, *int], s *sleeper[string, *int]) {
			m.LoadOrCompute("a", func() (*int, error) { return new(int), nil })
			<-s.channel
		},
		"canceled": func(m *Map[string, *int], s *sleeper[string, *int]) { m.Cancel("a"); <-s.channel },
		"closed":   func(m *Map[string, *int], s *sleeper[string, *int]) { m.Close(); <-s.channel },
		"left":     func(m *Map[string, *int], s *sleeper[string, *int]) { m.lines("a").leave(&s.w) },
	} {
		for crowd := range 6 { // how many others there are, and whether the first in line is one
			t.Run(how, func(t *testing.T) {
				m := New[string, *int](nil)
				e := m.init()
				h := e.hash("a")
				first := crowd >= 3
				stand := func() {
					for i := range crowd % 3 {
						inLine(m, "a", i == 1)
					}
				}
				if first {
					stand()
				}
				s := e.sleeperFor(ctx)
				e.shard(h).lockLines(e, h)
				e.enter("a", h, &s.waitNode)
				if !first {
					stand()
				}
				end(m, s)
				e.recycle(s)
				kept := s.w.Waker == nil && s.w.Value.line == nil && s.lastUse != 0
				require.Equal(t, s.line.takers != closedLine && s.line.takers+uint32(s.line.queue.Len()) > 0, !kept, "%d others", crowd)
				require.Nil(t, s.w.Value.v)
				require.Empty(t, s.channel)
				if kept {
					require.Equal(t, sleeper[string, *int]{}.w.Value.err, s.w.Value.err)
					require.Empty(t, s.line.key)
					require.False(t, s.w.Done() || s.w.Gone() || s.w.Exclusive())
				}
				m.CancelAll()
				requireInvariants(t, m)
			})
		}
	}
}

func (m *Map[K, V]) lines(key K) *lines[K, V] {
	e := m.init()
	return &e.shard(e.hash(key)).lines
}

// TestPoolKeepsNoMap: the runtime knows a sync.Pool that was used until the second
// collection after that. It must not keep the map alive for as long.
func TestPoolKeepsNoMap(t *testing.T) {
	e := waitedIn(t)
	runtime.GC()
	require.Nil(t, e.Value())
}

//go:noinline
func waitedIn(t *testing.T) weak.Pointer[engine[int, int]] {
	m := new(Map[int, int])
	var stored sync.WaitGroup
	stored.Go(func() {
		for m.Waiters(1) == 0 {
			runtime.Gosched()
		}
		m.Store(1, 1)
	})
	_, err := m.Wait(context.Background(), 1)
	require.NoError(t, err)
	stored.Wait()
	return weak.Make(m.init())
}
