package await

import (
	"context"
	"runtime"
	"sync"
	"testing"
	"weak"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

// A parcel is too large for the allocator to keep it together with others.
type parcel struct {
	i int
	_ [7]*int
}

// checkQueue requires what must hold whenever mu is not locked. Takers may wait only in
// front of an empty buffer and putters only behind a full one, and the slots without a
// value are zero.
func checkQueue(t require.TestingT, q *Queue[*parcel]) {
	q.mu.Lock()
	defer q.mu.Unlock()
	require.True(t, q.n == 0 || q.takers.Len() == 0, "takers wait and there are %d values", q.n)
	require.True(t, q.n >= q.capacity || q.putters.Len() == 0, "putters wait and there are %d of %d values", q.n, q.capacity)
	require.True(t, !q.closed || q.putters.Len()+q.takers.Len() == 0, "closed, and there are waiters")
	require.LessOrEqual(t, q.n, len(q.buf))
	require.GreaterOrEqual(t, len(q.buf), q.capacity)
	require.Less(t, q.first, len(q.buf))
	for i := range q.buf {
		at := (q.first + i) % len(q.buf)
		require.Equal(t, i < q.n, q.buf[at] != nil, "slot %d of %d, with %d values from %d", at, len(q.buf), q.n, q.first)
	}
}

// TestQueueBuffer: values that come back are the oldest, wherever the buffer begins and
// however full it is.
func TestQueueBuffer(t *testing.T) {
	for capacity := 1; capacity <= 4; capacity++ {
		for first := range capacity {
			for n := range capacity + 1 {
				q := NewQueue[*parcel](capacity)
				q.first = first
				for i := range n {
					require.True(t, q.TryPut(&parcel{i: i}))
				}
				for back := range 3 {
					q.putBack(&parcel{i: -1 - back})
					checkQueue(t, q)
				}
				for i := -3; i < n; i++ {
					v, ok := q.TryTake()
					require.True(t, ok)
					require.Equal(t, i, v.i)
					checkQueue(t, q)
				}
				for i := range 3 * capacity {
					require.Equal(t, i < capacity, q.TryPut(&parcel{i: i}))
					checkQueue(t, q)
				}
			}
		}
	}
}

// TestQueueKeepsNoValue: a value that was taken or refused is collected, although the
// Queue, the pool of its waiters and the cases that took it are still in use.
func TestQueueKeepsNoValue(t *testing.T) {
	bg := context.Background()
	endable, cancel := context.WithCancel(bg)
	defer cancel()
	parked := func() context.Context { return wake.WithParker(endable, wake.NewParker()) }
	for name, take := range map[string]func(ctx context.Context, q *Queue[*parcel], c wake.Case) error{
		"Take": func(ctx context.Context, q *Queue[*parcel], _ wake.Case) error { _, err := q.Take(ctx); return err },
		"OnTake": func(ctx context.Context, _ *Queue[*parcel], c wake.Case) error {
			_, err := Select(ctx, c)
			return err
		},
	} {
		for how, context := range map[string]func() context.Context{"asleep": func() context.Context { return bg }, "selecting": func() context.Context { return endable }, "parked": parked} {
			for _, sleeps := range []bool{false, true} {
				q := NewQueue[*parcel](1)
				c := q.OnTake(nil)
				value := putAndTake(t, q, sleeps, func() error { return take(context(), q, c) })
				runtime.GC()
				require.Nil(t, value.Value(), "%s, %s, sleeps: %v", name, how, sleeps)
				checkQueue(t, q)
				runtime.KeepAlive(c)
			}
		}
	}
}

// putAndTake puts a value before the take or, if it sleeps, when it is in line. The value
// is not on its stack when it returns.
//
//go:noinline
func putAndTake(t *testing.T, q *Queue[*parcel], sleeps bool, take func() error) weak.Pointer[parcel] {
	value := new(parcel)
	var put sync.WaitGroup
	if !sleeps {
		require.True(t, q.TryPut(value))
	} else {
		put.Go(func() {
			for _, takers := q.Waiters(); takers == 0; _, takers = q.Waiters() {
				runtime.Gosched()
			}
			require.True(t, q.TryPut(value))
		})
	}
	require.NoError(t, take())
	put.Wait()
	return weak.Make(value)
}

// TestQueueCaseKeepsNoValue: a case that was chosen before its waiter was woken, so that
// it gets in line with another waiter the next time, does not keep the value either.
func TestQueueCaseKeepsNoValue(t *testing.T) {
	q := NewQueue[*parcel](1)
	c := q.OnTake(nil)
	value := handOverUnwoken(t, q, c)
	runtime.GC()
	require.Nil(t, value.Value())
	require.True(t, q.TryPut(new(parcel)))
	_, err := Select(context.Background(), c)
	require.NoError(t, err)
	runtime.KeepAlive(c)
}

//go:noinline
func handOverUnwoken(t *testing.T, q *Queue[*parcel], c wake.Case) weak.Pointer[parcel] {
	value := new(parcel)
	var taker func()
	p := &misbehave.First{Parker: wake.NewParker(), First: func() {
		q.mu.Lock()
		done, w, err := q.putLocked(value)
		q.mu.Unlock()
		require.True(t, done)
		require.NoError(t, err)
		taker = w.Wake // later
	}, Strike: misbehave.Fail}
	_, err := Select(wake.WithParker(context.Background(), p), c)
	require.NoError(t, err)
	taker()
	return weak.Make(value)
}

// TestQueueLostCaseKeepsNoValue: a case that was offered a value after another case had
// happened does not keep it.
func TestQueueLostCaseKeepsNoValue(t *testing.T) {
	q, other := NewQueue[*parcel](1), NewQueue[*parcel](1)
	c := q.OnTake(nil)
	value := offerTooLate(t, q, other, c)
	runtime.GC()
	require.Nil(t, value.Value())
	runtime.KeepAlive(c)
}

//go:noinline
func offerTooLate(t *testing.T, q, other *Queue[*parcel], c wake.Case) weak.Pointer[parcel] {
	value := new(parcel)
	p := &misbehave.First{Parker: wake.NewParker(), First: func() {
		require.True(t, other.TryPut(new(parcel)))
		require.True(t, q.TryPut(value))
		q.TryTake()
	}}
	chosen, err := Select(wake.WithParker(context.Background(), p), c, other.OnTake(nil))
	require.NoError(t, err)
	require.Equal(t, 1, chosen)
	return weak.Make(value)
}

// TestQueuePoolKeepsNoQueue: the runtime knows a sync.Pool that was used until the second
// collection after that. It must not keep the Queue, and with it its values, for as long.
func TestQueuePoolKeepsNoQueue(t *testing.T) {
	q := usedQueue(t)
	runtime.GC()
	require.Nil(t, q.Value())
}

//go:noinline
func usedQueue(t *testing.T) weak.Pointer[Queue[*parcel]] {
	q := NewQueue[*parcel](1)
	endable, cancel := context.WithCancel(context.Background())
	defer cancel()
	for _, ctx := range []context.Context{context.Background(), endable} {
		putAndTake(t, q, true, func() error { _, err := q.Take(ctx); return err })
		putAndTake(t, q, true, func() error { _, err := Select(ctx, q.OnTake(nil), q.OnTake(nil)); return err })
	}
	require.True(t, q.TryPut(new(parcel)))
	return weak.Make(q)
}

// TestQueueWaitersAreReused: a wait that was woken, or need not wait, leaves its waiter
// clean for the next.
func TestQueueWaitersAreReused(t *testing.T) {
	endable, cancel := context.WithCancel(context.Background())
	defer cancel()
	q := NewQueue[*parcel](1)
	for _, ctx := range []context.Context{context.Background(), endable} {
		for _, sleeps := range []bool{false, true} {
			putAndTake(t, q, sleeps, func() error {
				_, err := q.wait(ctx, taking, nil)
				return err
			})
			k := q.pool.Get().(*queueWaiter[*parcel])
			require.Nil(t, k.w.Waker)
			require.Zero(t, k.w.Value)
			require.False(t, k.w.Done())
		}
	}
}
