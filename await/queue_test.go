package await_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/wake"
)

// A queueCall is a call of a method of a Queue in a goroutine of its own.
type queueCall struct {
	cancel context.CancelFunc // of its context, if that can end
	ended  chan struct{}
	v      int
	err    error
}

func startQueueCall(ctx context.Context, cancel context.CancelFunc, f func(ctx context.Context) (int, error)) *queueCall {
	c := &queueCall{cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		c.v, c.err = f(ctx)
	}()
	return c
}

func (c *queueCall) waits() bool {
	select {
	case <-c.ended:
		return false
	default:
		return true
	}
}

// requireWaits requires that the call has not returned. It is for bubbles, where it
// cannot be early.
func (c *queueCall) requireWaits(t testing.TB) {
	t.Helper()
	synctest.Wait()
	require.True(t, c.waits(), "it has returned: %v, %v", c.v, c.err)
}

// requireEnded requires that the call has returned v and err.
func (c *queueCall) requireEnded(t testing.TB, v int, err error) {
	t.Helper()
	synctest.Wait()
	require.False(t, c.waits(), "it waits")
	require.ErrorIs(t, c.err, err)
	require.Equal(t, v, c.v)
}

// A queueWay makes a context for one of the ways to sleep.
type queueWay func() (context.Context, context.CancelFunc)

func queueAsleep() (context.Context, context.CancelFunc) { return context.Background(), nil }

func queueSelecting() (context.Context, context.CancelFunc) {
	return context.WithCancel(context.Background())
}

func queueParked() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	return wake.WithParker(ctx, wake.NewParker()), cancel
}

var queueWays = map[string]queueWay{"asleep": queueAsleep, "selecting": queueSelecting, "parked": queueParked}

// queueLeavers are those whose context can end.
var queueLeavers = map[string]queueWay{"selecting": queueSelecting, "parked": queueParked}

// put starts a Put that waits, or has returned, when it returns. It is for bubbles.
func (way queueWay) put(q *await.Queue[int], v int) *queueCall {
	ctx, cancel := way()
	c := startQueueCall(ctx, cancel, func(ctx context.Context) (int, error) { return 0, q.Put(ctx, v) })
	synctest.Wait()
	return c
}

// take is put for Take.
func (way queueWay) take(q *await.Queue[int]) *queueCall {
	ctx, cancel := way()
	c := startQueueCall(ctx, cancel, q.Take)
	synctest.Wait()
	return c
}

// inQueueBubbles runs f in a bubble for each of the ways.
func inQueueBubbles(t *testing.T, ways map[string]queueWay, f func(t *testing.T, way queueWay)) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { f(t, way) })
		})
	}
}

// queueOf returns a Queue that is filled with the values.
func queueOf(t testing.TB, values ...int) *await.Queue[int] {
	q := await.NewQueue[int](max(1, len(values)))
	for _, v := range values {
		require.True(t, q.TryPut(v))
	}
	return q
}

// requireQueue requires that the Queue holds just these values, and takes them. No waiter
// may be in line.
func requireQueue(t testing.TB, q *await.Queue[int], values ...int) {
	t.Helper()
	putters, takers := q.Waiters()
	require.Zero(t, putters)
	require.Zero(t, takers)
	require.Equal(t, len(values), q.Len())
	for _, want := range values {
		v, ok := q.TryTake()
		require.True(t, ok)
		require.Equal(t, want, v)
	}
	v, ok := q.TryTake()
	require.False(t, ok)
	require.Zero(t, v)
}

func queueDoneContext() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errQueueCause)
	return ctx
}

var errQueueCause = errors.New("the cause")

func TestQueueNeedsACapacity(t *testing.T) {
	for _, capacity := range []int{0, -1} {
		require.PanicsWithValue(t, "await: a Queue needs a capacity of at least 1", func() { await.NewQueue[int](capacity) })
	}
	require.Equal(t, 3, await.NewQueue[int](3).Cap())
}

func TestQueueNilContextPanics(t *testing.T) {
	var none context.Context
	q := queueOf(t, 1)
	for name, f := range map[string]func(){
		"Put":    func() { _ = q.Put(none, 2) },
		"Take":   func() { _, _ = q.Take(none) },
		"All":    func() { q.All(none) },
		"Select": func() { _, _ = await.Select(none, q.OnTake(nil)) },
	} {
		require.PanicsWithValue(t, "await: nil context", f, name)
	}
	requireQueue(t, q, 1)
}

// TestQueueThatNewQueueHasNotMade: it panics where it would wait for ever.
func TestQueueThatNewQueueHasNotMade(t *testing.T) {
	const text = "await: a Queue that NewQueue has not made"
	var q await.Queue[int]
	require.PanicsWithValue(t, text, func() { _ = q.Put(context.Background(), 1) })
	require.PanicsWithValue(t, text, func() { _, _ = q.Take(context.Background()) })
	require.PanicsWithValue(t, text, func() { q.OnPut(1) })
	require.PanicsWithValue(t, text, func() { q.OnTake(nil) })
}

// TestQueueWithoutWaiting moves values in order, round and round the buffer.
func TestQueueWithoutWaiting(t *testing.T) {
	for capacity := 1; capacity <= 4; capacity++ {
		q := await.NewQueue[int](capacity)
		put, taken := 0, 0
		for round := range 20 {
			for range 1 + round%capacity {
				if round%2 == 0 {
					require.NoError(t, q.Put(context.Background(), put))
				} else {
					require.True(t, q.TryPut(put))
				}
				put++
			}
			require.Equal(t, put-taken, q.Len())
			require.Equal(t, put-taken < capacity, q.TryPut(put))
			put = taken + q.Len()
			for ; taken < put; taken++ {
				v, err := q.Take(context.Background())
				require.NoError(t, err)
				require.Equal(t, taken, v)
			}
			requireQueue(t, q)
		}
	}
}

// TestQueueFirstComeFirstServed, on both sides, whatever the ways in which they wait.
func TestQueueFirstComeFirstServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 9
		ways := []queueWay{queueAsleep, queueSelecting, queueParked}
		q := queueOf(t, 0)
		var calls []*queueCall
		for i := range n {
			calls = append(calls, ways[i%len(ways)].put(q, 1+i))
		}
		for i := range n {
			calls[i].requireWaits(t)
			v, ok := q.TryTake()
			require.True(t, ok)
			require.Equal(t, i, v)
			calls[i].requireEnded(t, 0, nil)
			require.False(t, q.TryPut(100), "it would overtake the putters")
		}
		requireQueue(t, q, n)

		for i := range n {
			calls[i] = ways[i%len(ways)].take(q)
		}
		for i := range n {
			calls[i].requireWaits(t)
			require.True(t, q.TryPut(i))
			calls[i].requireEnded(t, i, nil)
			_, ok := q.TryTake()
			require.False(t, ok)
		}
		requireQueue(t, q)
	})
}

// TestQueueClosedTwice: the second Close changes nothing and returns nil.
func TestQueueClosedTwice(t *testing.T) {
	q := queueOf(t, 1, 2)
	for range 2 {
		require.NoError(t, q.Close())
		require.False(t, q.TryPut(3))
		require.Equal(t, await.ErrClosed, q.Put(context.Background(), 3))
	}
	v, err := q.Take(context.Background())
	require.NoError(t, err)
	require.Equal(t, 1, v)
	requireQueue(t, q, 2)
	_, err = q.Take(context.Background())
	require.Equal(t, await.ErrClosed, err)
	require.NoError(t, q.Close())
}

// TestQueueAll ends without a pair when the Queue is closed and empty, and with a zero
// value and the error when ctx ends. What the body does not get stays there.
func TestQueueAll(t *testing.T) {
	type pair struct {
		v   int
		err error
	}
	collect := func(q *await.Queue[int], ctx context.Context, until int) (pairs []pair) {
		for v, err := range q.All(ctx) {
			pairs = append(pairs, pair{v, err})
			q.Waiters() // would hang if a lock was held
			if v == until {
				break
			}
		}
		return pairs
	}
	q := queueOf(t, 1, 2, 3)
	require.NoError(t, q.Close())
	require.Equal(t, []pair{{1, nil}, {2, nil}}, collect(q, context.Background(), 2))
	require.Equal(t, []pair{{3, nil}}, collect(q, context.Background(), -1))
	require.Empty(t, collect(q, context.Background(), -1))

	q = queueOf(t, 1)
	got := collect(q, queueDoneContext(), -1)
	require.Len(t, got, 1)
	require.Zero(t, got[0].v)
	require.ErrorIs(t, got[0].err, errQueueCause)
	require.ErrorIs(t, got[0].err, context.Canceled)
	requireQueue(t, q, 1)
}

// TestQueueAllWaits for values, and ends with the context.
func TestQueueAllWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
		defer cancel()
		q := await.NewQueue[int](1)
		go func() {
			for i := 1; i <= 3; i++ {
				time.Sleep(time.Minute)
				_ = q.Put(ctx, i)
			}
		}()
		sum, start := 0, time.Now()
		for v, err := range q.All(ctx) {
			if sum += v; err != nil {
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Zero(t, v)
				sum += 100
			}
		}
		require.Equal(t, 106, sum)
		require.Equal(t, time.Hour, time.Since(start))
		requireQueue(t, q)
	})
}

// TestQueueOfAnySize: values of no bytes, of a kilobyte, and of an interface.
func TestQueueOfAnySize(t *testing.T) {
	t.Run("none", func(t *testing.T) { queueSizes(t, func(int) struct{} { return struct{}{} }) })
	t.Run("1 KiB", func(t *testing.T) { queueSizes(t, func(i int) [128]int { return [128]int{0: i, 127: ^i} }) })
	t.Run("interface", func(t *testing.T) {
		queueSizes(t, func(i int) any {
			if i%2 == 0 {
				return nil
			}
			return []int{i} // cannot be compared
		})
	})
}

func queueSizes[T any](t *testing.T, value func(i int) T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		for _, capacity := range []int{1, 3} {
			q := await.NewQueue[T](capacity)
			go func() {
				for i := range n {
					if i%2 == 0 {
						_ = q.Put(context.Background(), value(i))
					} else {
						_, _ = await.Select(context.Background(), q.OnPut(value(i)))
					}
				}
				_ = q.Close()
			}()
			i := 0
			for v, err := range q.All(context.Background()) {
				require.NoError(t, err)
				require.Equal(t, value(i), v)
				if i++; i%3 == 0 && i < n {
					var v T
					_, err := await.Select(context.Background(), q.OnTake(&v))
					require.NoError(t, err)
					require.Equal(t, value(i), v)
					i++
				}
			}
			require.Equal(t, n, i)
		}
	})
}

// queuePackageLevel is used outside of bubbles, and in one bubble after the other.
var queuePackageLevel = await.NewQueue[int](1)

// TestQueueOfPackageLevelInBubbles: all waits block durably there, so hours of the
// bubble's clock pass.
func TestQueueOfPackageLevelInBubbles(t *testing.T) {
	use := func(t *testing.T, hour time.Duration) {
		q, bg := queuePackageLevel, context.Background()
		ctx, cancel := context.WithTimeout(bg, hour)
		defer cancel()
		_, err := q.Take(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		for _, way := range []queueWay{queueAsleep, queueSelecting, queueParked} {
			ctx, cancel := way()
			put := func(v int) { _ = q.Put(bg, v) }
			take := func() { _, _ = q.Take(bg) }
			time.AfterFunc(hour, func() { put(1) })
			v, err := q.Take(ctx)
			require.NoError(t, err)
			require.Equal(t, 1, v)
			put(1)
			time.AfterFunc(hour, take)
			require.NoError(t, q.Put(ctx, 2))
			take()
			time.AfterFunc(hour, func() { put(3) })
			_, err = await.Select(ctx, q.OnTake(&v))
			require.NoError(t, err)
			require.Equal(t, 3, v)
			if cancel != nil {
				cancel()
			}
		}
		requireQueue(t, q)
	}
	for range 2 {
		use(t, time.Millisecond)
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			use(t, time.Hour)
			require.Equal(t, 10*time.Hour, time.Since(start))
		})
	}
}

// TestQueueErrors match the context's error and its cause.
func TestQueueErrors(t *testing.T) {
	full, empty := queueOf(t, 1), await.NewQueue[int](1)
	synctest.Test(t, func(t *testing.T) {
		for name, f := range map[string]func(ctx context.Context) (int, error){
			"Put":  func(ctx context.Context) (int, error) { return 0, full.Put(ctx, 2) },
			"Take": empty.Take,
			"OnPut": func(ctx context.Context) (int, error) {
				chosen, err := await.Select(ctx, full.OnPut(2))
				return chosen + 1, err
			},
			"OnTake": func(ctx context.Context) (v int, err error) {
				_, err = await.Select(ctx, empty.OnTake(&v))
				return v, err
			},
		} {
			ctx, cancel := context.WithCancelCause(context.Background())
			c := startQueueCall(ctx, nil, f)
			c.requireWaits(t)
			cancel(fmt.Errorf("%s: %w", name, errQueueCause))
			c.requireEnded(t, 0, errQueueCause)
			require.ErrorIs(t, c.err, context.Canceled)
		}
	})
	requireQueue(t, full, 1)
	requireQueue(t, empty)
}
