package await_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/wake"
)

// TestHazardQueueClosedUnderWaitingPutters: they get ErrClosed and keep their values, and
// takers drain what was put before.
func TestHazardQueueClosedUnderWaitingPutters(t *testing.T) {
	inQueueBubbles(t, queueWays, func(t *testing.T, way queueWay) {
		q := queueOf(t, 1, 2)
		refused := []*queueCall{way.put(q, 3), way.put(q, 4), way.put(q, 5)}
		require.NoError(t, q.Close())
		for _, c := range refused {
			c.requireEnded(t, 0, await.ErrClosed)
		}
		way.take(q).requireEnded(t, 1, nil)
		requireQueue(t, q, 2)
		way.take(q).requireEnded(t, 0, await.ErrClosed)
		way.put(q, 6).requireEnded(t, 0, await.ErrClosed)
	})
}

func TestHazardQueueClosedUnderWaitingTakers(t *testing.T) {
	inQueueBubbles(t, queueWays, func(t *testing.T, way queueWay) {
		q := await.NewQueue[int](2)
		takers := []*queueCall{way.take(q), way.take(q), way.take(q)}
		require.True(t, q.TryPut(1))
		require.NoError(t, q.Close())
		takers[0].requireEnded(t, 1, nil)
		takers[1].requireEnded(t, 0, await.ErrClosed)
		takers[2].requireEnded(t, 0, await.ErrClosed)
		requireQueue(t, q)
	})
}

// TestHazardValueForATakerThatLeft: it goes to the next taker, or stays in the Queue.
func TestHazardValueForATakerThatLeft(t *testing.T) {
	inQueueBubbles(t, queueLeavers, func(t *testing.T, way queueWay) {
		q := await.NewQueue[int](1)
		first, second := way.take(q), way.take(q)
		first.cancel()
		first.requireEnded(t, 0, context.Canceled)
		require.True(t, q.TryPut(1))
		second.requireEnded(t, 1, nil)

		third := way.take(q)
		third.cancel()
		third.requireEnded(t, 0, context.Canceled)
		require.True(t, q.TryPut(2))
		requireQueue(t, q, 2)
	})
}

// TestHazardValueForATakerThatLeaves in the same instant: the taker has it, or the Queue.
func TestHazardValueForATakerThatLeaves(t *testing.T) {
	inQueueBubbles(t, queueLeavers, func(t *testing.T, way queueWay) {
		for range 200 {
			q := await.NewQueue[int](1)
			c := way.take(q)
			go c.cancel()
			require.True(t, q.TryPut(1))
			if <-c.ended; c.err == nil {
				require.Equal(t, 1, c.v)
				requireQueue(t, q)
			} else {
				require.Zero(t, c.v)
				requireQueue(t, q, 1)
			}
		}
	})
}

// TestHazardPutterThatLeftHasPut: its value is not taken, and the next putter has its
// place in line.
func TestHazardPutterThatLeftHasPut(t *testing.T) {
	inQueueBubbles(t, queueLeavers, func(t *testing.T, way queueWay) {
		q := queueOf(t, 1)
		first, second := way.put(q, 2), way.put(q, 3)
		first.cancel()
		first.requireEnded(t, 0, context.Canceled)
		way.take(q).requireEnded(t, 1, nil)
		second.requireEnded(t, 0, nil)
		requireQueue(t, q, 3)
	})
}

// TestHazardPutterThatLeaves in the instant in which there is room for it: its Put has
// succeeded just if its value is there.
func TestHazardPutterThatLeaves(t *testing.T) {
	inQueueBubbles(t, queueLeavers, func(t *testing.T, way queueWay) {
		for range 200 {
			q := queueOf(t, 1)
			c := way.put(q, 2)
			go c.cancel()
			v, ok := q.TryTake()
			require.True(t, ok)
			require.Equal(t, 1, v)
			if <-c.ended; c.err == nil {
				requireQueue(t, q, 2)
			} else {
				requireQueue(t, q)
			}
		}
	})
}

// TestHazardQueueOnADeadContext: nothing moves, although it could.
func TestHazardQueueOnADeadContext(t *testing.T) {
	q := await.NewQueue[int](2)
	require.True(t, q.TryPut(1))
	ctx, v := queueDoneContext(), 0
	require.ErrorIs(t, q.Put(ctx, 2), errQueueCause)
	_, err := q.Take(ctx)
	require.ErrorIs(t, err, errQueueCause)
	chosen, err := await.Select(ctx, q.OnPut(2), q.OnTake(&v))
	require.Equal(t, -1, chosen)
	require.ErrorIs(t, err, errQueueCause)
	require.Zero(t, v)
	requireQueue(t, q, 1)
}

// TestHazardContextEndsAfterTheHandOver: what was handed over wins, also if Park fails.
func TestHazardContextEndsAfterTheHandOver(t *testing.T) {
	type wait func(ctx context.Context, q *await.Queue[int]) (int, error)
	for park, strike := range map[string]misbehave.Strike{"parks": misbehave.None, "fails": misbehave.Fail} {
		for name, f := range map[string]wait{
			"Take": func(ctx context.Context, q *await.Queue[int]) (int, error) { return q.Take(ctx) },
			"OnTake": func(ctx context.Context, q *await.Queue[int]) (v int, err error) {
				_, err = await.Select(ctx, q.OnTake(&v))
				return v, err
			},
			"Put":   func(ctx context.Context, q *await.Queue[int]) (int, error) { return 1, q.Put(ctx, 1) },
			"OnPut": func(ctx context.Context, q *await.Queue[int]) (int, error) { return await.Select(ctx, nil, q.OnPut(1)) },
		} {
			t.Run(name+"/"+park, func(t *testing.T) {
				puts := name == "Put" || name == "OnPut"
				q := await.NewQueue[int](1)
				if puts {
					require.True(t, q.TryPut(0))
				}
				ctx, cancel := context.WithCancel(context.Background())
				p := &misbehave.First{Parker: wake.NewParker(), Strike: strike, First: func() {
					if puts {
						v, ok := q.TryTake()
						require.True(t, ok)
						require.Zero(t, v)
					} else {
						require.True(t, q.TryPut(1))
					}
					cancel()
				}}
				v, err := f(wake.WithParker(ctx, p), q)
				require.NoError(t, err)
				require.Equal(t, 1, v)
				if puts {
					requireQueue(t, q, 1)
				} else {
					requireQueue(t, q)
				}
			})
		}
	}
}

// TestHazardWakerThatCallsTheQueue: no lock is held while a waker runs.
func TestHazardWakerThatCallsTheQueue(t *testing.T) {
	q := await.NewQueue[int](1)
	back := func() {
		q.Len()
		q.Waiters()
		q.TryPut(7)
		q.TryTake()
		require.NoError(t, q.Close())
	}
	for range 2 {
		p := &misbehave.First{Parker: wake.NewParker(), End: back}
		p.First = func() { require.True(t, q.TryPut(1)) }
		v, err := q.Take(wake.WithParker(context.Background(), p))
		require.NoError(t, err)
		require.Equal(t, 1, v)
		require.Equal(t, 1, p.Wakes)

		q = queueOf(t, 1)
		p = &misbehave.First{Parker: wake.NewParker(), End: back}
		p.First = func() { q.TryTake() }
		require.NoError(t, q.Put(wake.WithParker(context.Background(), p), 2))
		require.Equal(t, 1, p.Wakes)
		q = await.NewQueue[int](1)
	}
}

// A lookingContext calls a function when it is first asked for its parker: after the first
// look at the Queue, and before the second.
type lookingContext struct {
	context.Context
	looks func()
}

func (c *lookingContext) Value(key any) any {
	if f := c.looks; f != nil {
		c.looks = nil
		f()
	}
	return c.Context.Value(key)
}

// TestHazardQueueChangesBeforeTheLine: a waiter that is about to get in line looks again.
func TestHazardQueueChangesBeforeTheLine(t *testing.T) {
	for name, way := range queueWaits {
		for _, closes := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/closes %v", name, closes), func(t *testing.T) {
				inQueueBubbles(t, queueWays, func(t *testing.T, sleep queueWay) {
					q := await.NewQueue[int](1)
					if way.puts {
						require.True(t, q.TryPut(1))
					}
					ctx, cancel := sleep()
					c := startQueueCall(&lookingContext{ctx, func() {
						switch {
						case closes:
							require.NoError(t, q.Close())
						case way.puts:
							q.TryTake()
						default:
							require.True(t, q.TryPut(3))
						}
					}}, cancel, func(ctx context.Context) (int, error) { return way.wait(ctx, q) })
					switch {
					case closes:
						c.requireEnded(t, 0, await.ErrClosed)
					case way.puts:
						c.requireEnded(t, 0, nil)
						requireQueue(t, q, 2)
					default:
						c.requireEnded(t, 3, nil)
						requireQueue(t, q)
					}
				})
			})
		}
	}
}

// TestHazardSpuriousWakeOfAQueue: a parker that returns for no reason moves nothing.
func TestHazardSpuriousWakeOfAQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := await.NewQueue[int](1)
		p := wake.NewParker()
		take := startQueueCall(wake.WithParker(context.Background(), p), nil, q.Take)
		for range 5 {
			take.requireWaits(t)
			p.Wake()
		}
		take.requireWaits(t)
		require.True(t, q.TryPut(1))
		take.requireEnded(t, 1, nil)
	})
}

// TestHazardCanceledQueueWaitsLeaveMemory: a million canceled waits leave the heap as it
// was, and no waiter in line.
func TestHazardCanceledQueueWaitsLeaveMemory(t *testing.T) {
	full, empty := queueOf(t, 1), await.NewQueue[int](1)
	waits := testkit.Scale(1_000_000, 20_000)
	cancelSome := func() {
		for range waits / 4 {
			ctx, cancel := context.WithCancel(context.Background())
			parked := wake.WithParker(ctx, &misbehave.First{Parker: wake.NewParker(), First: cancel})
			require.Error(t, full.Put(parked, 2))
			_, err := await.Select(wake.WithParker(context.Background(), &misbehave.First{Parker: wake.NewParker(), First: func() {}, Strike: misbehave.Fail}), full.OnPut(2), empty.OnTake(nil))
			require.ErrorIs(t, err, misbehave.ErrOwn)
		}
		var cancels [2]context.CancelFunc
		for range waits / 4 {
			ctx, cancel := context.WithCancel(context.Background())
			cancels[0] = cancel
			put := startQueueCall(ctx, cancel, func(ctx context.Context) (int, error) { return 0, full.Put(ctx, 2) })
			take := startQueueCall(ctx, cancel, empty.Take)
			cancel()
			<-put.ended
			<-take.ended
		}
	}
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	cancelSome()
	before := heap()
	cancelSome()
	require.Less(t, heap(), before+1<<20)
	requireQueue(t, full, 1)
	requireQueue(t, empty)
}
