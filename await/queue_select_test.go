package await_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/wake"
)

// choose starts a Select that waits, or has returned, when choose returns. Its value is
// the chosen case. It is for bubbles.
func (way queueWay) choose(cases ...wake.Case) *queueCall {
	ctx, cancel := way()
	c := startQueueCall(ctx, cancel, func(ctx context.Context) (int, error) { return await.Select(ctx, cases...) })
	synctest.Wait()
	return c
}

// TestSelectOfAQueue: the case puts or takes at once if that is possible, and otherwise
// when its turn comes.
func TestSelectOfAQueue(t *testing.T) {
	inQueueBubbles(t, queueWays, func(t *testing.T, way queueWay) {
		q, other := await.NewQueue[int](1), await.NewQueue[int](1)
		v := -1
		way.choose(other.OnTake(&v), q.OnPut(1)).requireEnded(t, 1, nil)
		require.Equal(t, -1, v)
		put := way.choose(q.OnPut(2), other.OnTake(&v))
		put.requireWaits(t)
		way.choose(q.OnTake(&v)).requireEnded(t, 0, nil)
		require.Equal(t, 1, v)
		put.requireEnded(t, 0, nil)
		way.choose(nil, q.OnTake(nil)).requireEnded(t, 1, nil)

		take := way.choose(other.OnTake(nil), q.OnTake(&v))
		take.requireWaits(t)
		require.True(t, q.TryPut(3))
		take.requireEnded(t, 1, nil)
		require.Equal(t, 3, v)
		requireQueue(t, q)
		requireQueue(t, other)
	})
}

// TestSelectOfAClosedQueue: the case is chosen and ends with ErrClosed, in line or not,
// and values in the Queue are taken first.
func TestSelectOfAClosedQueue(t *testing.T) {
	inQueueBubbles(t, queueWays, func(t *testing.T, way queueWay) {
		for _, early := range []bool{false, true} {
			q, full := await.NewQueue[int](1), queueOf(t, 1)
			end := func(q *await.Queue[int]) { require.NoError(t, q.Close()) }
			v := -1
			if early {
				end(q)
				end(full)
			}
			take, put := way.choose(nil, q.OnTake(&v)), way.choose(full.OnPut(2))
			if !early {
				take.requireWaits(t)
				put.requireWaits(t)
				end(q)
				end(full)
			}
			take.requireEnded(t, 1, await.ErrClosed)
			put.requireEnded(t, 0, await.ErrClosed)
			require.Equal(t, -1, v, "it is assigned only a value that was taken")
			way.choose(full.OnTake(&v)).requireEnded(t, 0, nil)
			require.Equal(t, 1, v)
			requireQueue(t, q)
			requireQueue(t, full)
		}
	})
}

// TestHazardSelectPassedOver: a Select in which another case has happened is passed over,
// and what it would have got goes to the next in line, on both sides and at a Close.
func TestHazardSelectPassedOver(t *testing.T) {
	for _, how := range []string{"put", "take", "close", "put back"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q, other := await.NewQueue[int](1), await.NewQueue[int](1)
				if how == "take" {
					require.True(t, q.TryPut(1))
				}
				var next *queueCall
				p := &misbehave.First{Parker: wake.NewParker(), First: func() {
					// The Select sleeps in both lines until this returns.
					require.True(t, other.TryPut(7))
					switch way := queueWay(queueSelecting); how {
					case "put":
						next = way.take(q)
						require.True(t, q.TryPut(1))
						next.requireEnded(t, 1, nil)
						require.True(t, q.TryPut(2), "nobody is in line any more")
					case "take":
						next = way.put(q, 2)
						v, ok := q.TryTake()
						require.True(t, ok)
						require.Equal(t, 1, v)
						next.requireEnded(t, 0, nil)
					case "close":
						next = way.take(q)
						require.NoError(t, q.Close())
						next.requireEnded(t, 0, await.ErrClosed)
					case "put back":
						dying := &misbehave.First{Parker: wake.NewParker(), Strike: misbehave.Panic, First: func() {
							require.True(t, q.TryPut(2))
							next = way.take(q)
						}}
						misbehave.Outcome(func() error {
							_, err := q.Take(wake.WithParker(context.Background(), dying))
							return err
						})
						next.requireEnded(t, 2, nil)
						require.True(t, q.TryPut(2))
					}
				}}
				v, lost := 0, 0
				c := q.OnTake(&lost)
				if how == "take" {
					c = q.OnPut(9)
				}
				chosen, err := await.Select(wake.WithParker(context.Background(), p), c, other.OnTake(&v))
				require.NoError(t, err)
				require.Equal(t, 1, chosen)
				require.Equal(t, 7, v)
				require.Zero(t, lost)
				if how == "close" {
					requireQueue(t, q)
				} else {
					requireQueue(t, q, 2)
				}
				requireQueue(t, other)
			})
		})
	}
}

// TestHazardSelectWithdrawn: a Select whose context ends has put and taken nothing, and
// the waiters behind it are served.
func TestHazardSelectWithdrawn(t *testing.T) {
	inQueueBubbles(t, queueLeavers, func(t *testing.T, way queueWay) {
		empty, full := await.NewQueue[int](1), queueOf(t, 1)
		v := -1
		s := way.choose(empty.OnTake(&v), full.OnPut(2))
		take, put := way.take(empty), way.put(full, 3)
		s.cancel()
		s.requireEnded(t, -1, context.Canceled)
		require.True(t, empty.TryPut(5))
		take.requireEnded(t, 5, nil)
		_, ok := full.TryTake()
		require.True(t, ok)
		put.requireEnded(t, 0, nil)
		require.Equal(t, -1, v)
		requireQueue(t, empty)
		requireQueue(t, full, 3)
	})
}

// TestHazardSelectThatLeaves in the instant in which it is served: the value moved, or it
// did not.
func TestHazardSelectThatLeaves(t *testing.T) {
	inQueueBubbles(t, queueLeavers, func(t *testing.T, way queueWay) {
		for range 200 {
			empty, full, v := await.NewQueue[int](1), queueOf(t, 1), 0
			s := way.choose(empty.OnTake(&v), full.OnPut(2))
			go s.cancel()
			go func() { full.TryTake() }()
			require.True(t, empty.TryPut(5))
			<-s.ended
			synctest.Wait()
			switch s.v {
			case 0:
				require.Equal(t, 5, v)
				requireQueue(t, empty)
				requireQueue(t, full)
			case 1:
				requireQueue(t, empty, 5)
				requireQueue(t, full, 2)
			default:
				require.ErrorIs(t, s.err, context.Canceled)
				requireQueue(t, empty, 5)
				requireQueue(t, full)
			}
		}
	})
}

// TestHazardSelectPutsAndTakesOneQueue: of two Selects, one puts and one takes, and one
// Select does either. It never takes what it puts while it is in line.
func TestHazardSelectPutsAndTakesOneQueue(t *testing.T) {
	inQueueBubbles(t, queueWays, func(t *testing.T, way queueWay) {
		q, v := await.NewQueue[int](1), 0
		take := way.choose(q.OnTake(&v))
		way.choose(q.OnPut(1)).requireEnded(t, 0, nil)
		take.requireEnded(t, 0, nil)
		require.Equal(t, 1, v)
		requireQueue(t, q)

		way.choose(q.OnTake(&v), q.OnPut(2)).requireEnded(t, 1, nil)
		put := way.choose(q.OnPut(3))
		put.requireWaits(t)
		way.choose(q.OnPut(4), q.OnTake(&v)).requireEnded(t, 1, nil)
		require.Equal(t, 2, v)
		put.requireEnded(t, 0, nil)
		requireQueue(t, q, 3)

		twice := way.choose(q.OnTake(&v), q.OnTake(nil), q.OnTake(&v))
		require.True(t, q.TryPut(5))
		twice.requireEnded(t, 0, nil)
		require.True(t, q.TryPut(6))
		requireQueue(t, q, 6)
	})
}

// TestQueueCasesAreReused, whether they were chosen or not, and whether their Select waited,
// withdrew or unwound.
func TestQueueCasesAreReused(t *testing.T) {
	inQueueBubbles(t, queueLeavers, func(t *testing.T, way queueWay) {
		empty, full, v := await.NewQueue[int](1), queueOf(t, 1), 0
		take, put := empty.OnTake(&v), full.OnPut(2)
		for round := 1; round <= 10; round++ {
			s := way.choose(take, put)
			require.True(t, empty.TryPut(round))
			s.requireEnded(t, 0, nil)
			require.Equal(t, round, v)

			s = way.choose(take, put)
			s.cancel()
			s.requireEnded(t, -1, context.Canceled)

			s = way.choose(take, put)
			got, ok := full.TryTake()
			require.True(t, ok)
			require.Equal(t, min(2, round), got)
			s.requireEnded(t, 1, nil)

			for _, served := range []bool{false, true} {
				dying := &misbehave.First{Parker: wake.NewParker(), Strike: misbehave.Panic, First: func() {
					require.True(t, !served || empty.TryPut(-1))
				}}
				misbehave.Outcome(func() error {
					_, err := await.Select(wake.WithParker(context.Background(), dying), put, take)
					return err
				})
				require.Equal(t, served, empty.Len() == 1)
				empty.TryTake()
			}
			require.Equal(t, round, v)
		}
		requireQueue(t, empty)
		requireQueue(t, full, 2)
	})
}

// TestHazardSelectWithTheSameCaseTwice is in line once, and does not tear the line apart.
func TestHazardSelectWithTheSameCaseTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		way := queueWay(queueSelecting)
		q, v := await.NewQueue[int](1), 0
		c := q.OnTake(&v)
		first := way.take(q)
		twice := way.choose(c, c)
		third := way.take(q)
		_, takers := q.Waiters()
		require.Equal(t, 3, takers)
		require.True(t, q.TryPut(0))
		first.requireEnded(t, 0, nil)
		require.True(t, q.TryPut(1))
		twice.requireEnded(t, 0, nil)
		require.Equal(t, 1, v)
		require.True(t, q.TryPut(2))
		third.requireEnded(t, 2, nil)
		requireQueue(t, q)
	})
}

// TestStressSelectOfTwoQueues: Selects that name two Queues in crossed orders, half of them
// canceled, pass values back and forth. Every value is received once or is there in the end,
// and those that were not put are counted by their putter.
func TestStressSelectOfTwoQueues(t *testing.T) {
	const workers = 4
	defer schedpoint.Shake(1, true)()
	rounds := testkit.Scale(20_000, 2_000)
	queues := [2]*await.Queue[int]{await.NewQueue[int](1), await.NewQueue[int](2)}
	seen := make([]atomic.Int32, workers*rounds)
	var put, received, canceled, expected atomic.Int64
	testkit.Together(workers, func(i int) {
		a, b, v := queues[i%2], queues[1-i%2], 0
		takeA, takeB := a.OnTake(&v), b.OnTake(&v)
		for round := range rounds {
			ctx, cancel := context.WithCancel(context.Background())
			switch { // the last worker must not put into full Queues for ever
			case round%2 == 0 || round%5 == 0:
				go cancel()
			case round%4 == 1:
				cancel()
			}
			mine := i*rounds + round
			expected.Add(1)
			cases := []wake.Case{takeA, b.OnPut(mine), takeB, a.OnPut(mine)}
			if round%3 == 0 {
				cases[1] = nil
			}
			if round%5 == 0 {
				cases[0], cases[2] = nil, nil
			}
			switch chosen, err := await.Select(ctx, cases...); chosen {
			case 0, 2:
				seen[v].Add(1)
				received.Add(1)
				canceled.Add(1) // it did not put mine
			case 1, 3:
				put.Add(1)
			default:
				require.ErrorIs(t, err, context.Canceled)
				canceled.Add(1)
			}
			cancel()
		}
	})
	for _, q := range queues {
		for {
			v, ok := q.TryTake()
			if !ok {
				break
			}
			seen[v].Add(1)
			received.Add(1)
		}
		requireQueue(t, q)
	}
	require.Equal(t, expected.Load(), put.Load()+canceled.Load())
	require.Equal(t, put.Load(), received.Load())
	once := int64(0)
	for i := range seen {
		require.LessOrEqual(t, seen[i].Load(), int32(1), "%d was received twice", i)
		once += int64(seen[i].Load())
	}
	require.Equal(t, put.Load(), once)
}

// TestStressQueue passes values by all ways at once. Each is received once, in the order
// in which its putter put it, or was refused or canceled.
func TestStressQueue(t *testing.T) {
	for _, capacity := range []int{1, 2, 100} {
		t.Run(fmt.Sprint(capacity), func(t *testing.T) {
			const putters, takers = 4, 4
			defer schedpoint.Shake(uint64(capacity), true)()
			rounds := testkit.Scale(5_000, 1_000)
			q := await.NewQueue[[2]int](capacity)
			var put, received [putters]atomic.Int64
			var last [takers][putters]int
			var puts sync.WaitGroup
			var all sync.WaitGroup
			for i := range putters {
				puts.Go(func() {
					ctx, cancel := []queueWay{queueAsleep, queueSelecting, queueParked}[i%3]()
					for n := 1; n <= rounds; n++ {
						v, ctx, stop := [2]int{i, n}, ctx, func() {}
						if n%7 == 0 {
							ctx, stop = context.WithCancel(ctx)
							go stop()
						}
						var err error
						switch n % 3 {
						case 0:
							err = q.Put(ctx, v)
						case 1:
							_, err = await.Select(ctx, q.OnPut(v))
						default:
							if !q.TryPut(v) {
								err = q.Put(ctx, v)
							}
						}
						if err == nil {
							put[i].Add(1)
						} else {
							require.ErrorIs(t, err, context.Canceled)
						}
						stop()
					}
					if cancel != nil {
						cancel()
					}
				})
			}
			for i := range takers {
				all.Go(func() {
					ctx, cancel := []queueWay{queueParked, queueSelecting, queueAsleep}[i%3]()
					for n := 0; ; n++ {
						var v [2]int
						ctx, stop := ctx, func() {}
						if n%7 == 0 {
							ctx, stop = context.WithCancel(ctx)
							go stop()
						}
						var err error
						if n%2 == 0 {
							v, err = q.Take(ctx)
						} else {
							_, err = await.Select(ctx, q.OnTake(&v))
						}
						stop()
						if err == await.ErrClosed {
							break
						}
						if err != nil {
							require.ErrorIs(t, err, context.Canceled)
							continue
						}
						require.Greater(t, v[1], last[i][v[0]], "out of order, or twice")
						last[i][v[0]] = v[1]
						received[v[0]].Add(1)
					}
					if cancel != nil {
						cancel()
					}
				})
			}
			puts.Wait()
			require.NoError(t, q.Close())
			all.Wait()
			for i := range put {
				require.Equal(t, put[i].Load(), received[i].Load())
			}
			puttersLeft, takersLeft := q.Waiters()
			require.Zero(t, puttersLeft+takersLeft+q.Len())
		})
	}
}
