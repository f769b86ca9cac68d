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
	"github.com/vigil-go/vigil/wake"
)

// queueWaits are the waits of a Queue that is full of {1}, or empty. They put 2.
var queueWaits = map[string]struct {
	puts bool
	wait func(ctx context.Context, q *await.Queue[int]) (int, error)
}{
	"Put":  {true, func(ctx context.Context, q *await.Queue[int]) (int, error) { return 0, q.Put(ctx, 2) }},
	"Take": {false, func(ctx context.Context, q *await.Queue[int]) (int, error) { return q.Take(ctx) }},
	"OnPut": {true, func(ctx context.Context, q *await.Queue[int]) (int, error) {
		_, err := await.Select(ctx, q.OnPut(2))
		return 0, err
	}},
	"OnTake": {false, func(ctx context.Context, q *await.Queue[int]) (v int, err error) {
		_, err = await.Select(ctx, q.OnTake(&v))
		return v, err
	}},
}

// TestMisbehavingCompanyOfAQueue: whatever a context and a parker do, before the waiter is
// served or after, no waiter stays in line, and every value is there once: a taker that
// does not return leaves what it was handed, and a putter that was served has put.
func TestMisbehavingCompanyOfAQueue(t *testing.T) {
	armables := func(q *await.Queue[int]) map[string]*misbehave.Armed {
		return misbehave.Armables(func() { q.Len(); q.Waiters() })
	}
	for what := range armables(nil) {
		for park, strike := range misbehave.Parks {
			for name, way := range queueWaits {
				for _, meanwhile := range []string{"nothing", "served", "closed"} {
					t.Run(fmt.Sprintf("%s/%s/%s/%s", what, park, name, meanwhile), func(t *testing.T) {
						q := await.NewQueue[int](1)
						if way.puts {
							require.True(t, q.TryPut(1))
						}
						c := armables(q)[what]
						p := &misbehave.First{Parker: wake.NewParker(), Strike: strike, First: func() {
							switch {
							case meanwhile == "closed":
								require.NoError(t, q.Close())
							case meanwhile == "served" && way.puts:
								q.TryTake()
							case meanwhile == "served":
								require.True(t, q.TryPut(3))
							}
							c.Armed = true
						}}
						var v int
						returned, err := misbehave.Outcome(func() (err error) {
							v, err = way.wait(wake.WithParker(c, p), q)
							return err
						})
						done := returned && err == nil
						require.False(t, done && meanwhile != "served")
						if meanwhile != "nothing" && park == "fails" {
							require.True(t, returned, "it was woken first, so the context is not asked")
						}
						if returned && meanwhile == "served" {
							require.NoError(t, err, "what was handed over wins")
						}
						switch {
						case way.puts && meanwhile == "served":
							requireQueue(t, q, 2)
						case way.puts:
							requireQueue(t, q, 1)
						case meanwhile == "served" && !done:
							require.Zero(t, v)
							requireQueue(t, q, 3)
						case meanwhile == "served":
							require.Equal(t, 3, v)
							requireQueue(t, q)
						default:
							require.Zero(t, v)
							requireQueue(t, q)
						}
					})
				}
			}
		}
	}
}

// TestMisbehavingContextBeforeTheLineOfAQueue: nothing moves that the caller does not
// know of.
func TestMisbehavingContextBeforeTheLineOfAQueue(t *testing.T) {
	for what, c := range misbehave.Armables(func() {}) {
		for name, way := range queueWaits {
			for _, possible := range []bool{false, true} {
				q := await.NewQueue[int](1)
				if way.puts != possible {
					require.True(t, q.TryPut(1))
				}
				c.Armed = true
				var v int
				returned, err := misbehave.Outcome(func() (err error) {
					v, err = way.wait(c, q)
					return err
				})
				moved := returned && err == nil
				require.False(t, moved && !possible, "%s, %s", what, name)
				switch {
				case way.puts && moved:
					requireQueue(t, q, 2)
				case !way.puts && moved:
					require.Equal(t, 1, v)
					requireQueue(t, q)
				case way.puts != possible:
					requireQueue(t, q, 1)
				default:
					requireQueue(t, q)
				}
			}
		}
	}
}

// TestMisbehavingWakerOfAPutter panics or exits in the call that takes a value and lets the
// putter in. The caller has not got the value, so the Queue keeps it, in its place.
func TestMisbehavingWakerOfAPutter(t *testing.T) {
	takes := map[string]func(q *await.Queue[int]) error{
		"Take":    func(q *await.Queue[int]) error { _, err := q.Take(context.Background()); return err },
		"TryTake": func(q *await.Queue[int]) error { q.TryTake(); return nil },
		"All": func(q *await.Queue[int]) error {
			for range q.All(context.Background()) {
				break
			}
			return nil
		},
		"OnTake": func(q *await.Queue[int]) error {
			_, err := await.Select(context.Background(), q.OnTake(new(int)))
			return err
		},
	}
	for how, end := range map[string]func(){"panic": func() { panic("waker") }, "Goexit": runtime.Goexit} {
		for name, take := range takes {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := queueOf(t, 1, 2)
					p := &misbehave.First{Parker: wake.NewParker(), First: func() {}, End: end}
					put := startQueueCall(wake.WithParker(context.Background(), p), nil, func(ctx context.Context) (int, error) { return 0, q.Put(ctx, 3) })
					put.requireWaits(t)
					returned, _ := misbehave.Outcome(func() error { return take(q) })
					require.False(t, returned)
					put.requireEnded(t, 0, nil)
					require.False(t, q.TryPut(4), "it is overfull")
					requireQueue(t, q, 1, 2, 3)
				})
			})
		}
	}
}

// TestMisbehavingWakerOfATaker panics or exits in the call that puts. The value was handed
// over and is not put twice.
func TestMisbehavingWakerOfATaker(t *testing.T) {
	puts := map[string]func(q *await.Queue[int]) error{
		"Put":    func(q *await.Queue[int]) error { return q.Put(context.Background(), 1) },
		"TryPut": func(q *await.Queue[int]) error { q.TryPut(1); return nil },
		"OnPut":  func(q *await.Queue[int]) error { _, err := await.Select(context.Background(), q.OnPut(1)); return err },
		"Close":  (*await.Queue[int]).Close,
	}
	for how, end := range map[string]func(){"panic": func() { panic("waker") }, "Goexit": runtime.Goexit} {
		for name, put := range puts {
			t.Run(name+"/"+how, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := await.NewQueue[int](1)
					p := &misbehave.First{Parker: wake.NewParker(), First: func() {}, End: end}
					bad := startQueueCall(wake.WithParker(context.Background(), p), nil, q.Take)
					bad.requireWaits(t)
					good := queueWay(queueSelecting).take(q)
					returned, _ := misbehave.Outcome(func() error { return put(q) })
					require.False(t, returned)
					if name == "Close" { // which wakes the others nevertheless
						bad.requireEnded(t, 0, await.ErrClosed)
						good.requireEnded(t, 0, await.ErrClosed)
						return
					}
					bad.requireEnded(t, 1, nil)
					good.requireWaits(t)
					require.True(t, q.TryPut(2))
					good.requireEnded(t, 2, nil)
					requireQueue(t, q)
				})
			})
		}
	}
}

// TestMisbehavingTakersOfAFullQueue: several takers that were handed values do not return,
// while the Queue has filled up. It holds more than its capacity then, in the order in
// which the values came back, and lets putters in only when there is room.
func TestMisbehavingTakersOfAFullQueue(t *testing.T) {
	for _, wait := range []string{"Take", "OnTake"} {
		synctest.Test(t, func(t *testing.T) {
			const takers = 3
			q := await.NewQueue[int](2)
			release := make(chan struct{})
			var calls []<-chan struct{}
			for range takers {
				p := &misbehave.First{Parker: wake.NewParker(), First: func() { <-release }, Strike: misbehave.Panic}
				over := make(chan struct{})
				misbehave.Go(func() { _, _ = queueWaits[wait].wait(wake.WithParker(context.Background(), p), q) }, func(how misbehave.Strike) {
					require.Equal(t, misbehave.Panic, how)
					close(over)
				})
				calls = append(calls, over)
				synctest.Wait()
			}
			for v := range takers + 2 { // three are handed over
				require.True(t, q.TryPut(v))
			}
			put := queueWay(queueSelecting).put(q, 5)
			for _, over := range calls {
				release <- struct{}{}
				<-over
			}
			require.Equal(t, takers+2, q.Len())
			require.Equal(t, 2, q.Cap())
			for i := range takers + 1 {
				put.requireWaits(t)
				require.False(t, q.TryPut(100))
				v, ok := q.TryTake()
				require.True(t, ok)
				if i < takers {
					require.Less(t, v, takers)
				} else {
					require.Equal(t, takers, v)
				}
			}
			put.requireEnded(t, 0, nil)
			requireQueue(t, q, 4, 5)
			for v := range 7 { // the buffer is sound
				require.Equal(t, v < 2, q.TryPut(v))
			}
			requireQueue(t, q, 0, 1)
		})
	}
}

// TestMisbehavingTakerAndTheNext: a value that comes back goes to the taker that is first
// in line now.
func TestMisbehavingTakerAndTheNext(t *testing.T) {
	for _, strike := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
		for _, wait := range []string{"Take", "OnTake"} {
			synctest.Test(t, func(t *testing.T) {
				q := await.NewQueue[int](1)
				var next, last *queueCall
				p := &misbehave.First{Parker: wake.NewParker(), Strike: strike, First: func() {
					next, last = queueWay(queueSelecting).take(q), queueWay(queueSelecting).take(q)
					require.True(t, q.TryPut(1))
					next.requireWaits(t)
				}}
				returned, _ := misbehave.Outcome(func() error {
					_, err := queueWaits[wait].wait(wake.WithParker(context.Background(), p), q)
					return err
				})
				require.False(t, returned)
				next.requireEnded(t, 1, nil)
				last.requireWaits(t)
				last.cancel()
				last.requireEnded(t, 0, context.Canceled)
				requireQueue(t, q)
			})
		}
	}
}
