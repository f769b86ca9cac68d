package await_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/wake"
)

// shaken runs f while goroutines that pass points are delayed, with the tag
// vigil_schedpoint.
func shaken(t *testing.T, f func(seed uint64)) {
	seed := rand.Uint64()
	t.Log("seed", seed)
	defer schedpoint.Shake(seed, false)()
	f(seed)
}

// A hammer is a goroutine that takes a lock again and again, in a way drawn at random.
// Some of its contexts end before it has the lock.
type hammer struct {
	*rand.Rand
	park wake.Parker
}

func newHammer(seed uint64, i int) *hammer {
	return &hammer{rand.New(rand.NewPCG(seed, uint64(i))), wake.NewParker()}
}

// context returns a context of one of the ways to sleep. It ends at once, while the caller
// waits, or when cancel is called.
func (h *hammer) context() (ctx context.Context, cancel func()) {
	if h.IntN(3) == 0 {
		return context.Background(), func() {}
	}
	ctx, cancel = context.WithCancel(context.Background())
	if h.IntN(3) == 0 {
		go cancel()
	}
	if h.IntN(2) == 0 {
		ctx = wake.WithParker(ctx, h.park)
	}
	return ctx, cancel
}

// take reports whether it has got the lock.
func (h *hammer) take(l lock, spare lock) bool {
	ctx, cancel := h.context()
	defer cancel()
	switch h.IntN(5) {
	case 0:
		return l.TryLock()
	case 1:
		i, err := await.Select(ctx, spare.OnLock(), l.OnLock())
		if i == 0 && err == nil {
			spare.Unlock()
		}
		return i == 1 && err == nil
	case 2:
		i, err := await.Select(ctx, l.OnLock(), spare.OnLock())
		if i == 1 && err == nil {
			spare.Unlock()
		}
		return i == 0 && err == nil
	default:
		return l.Lock(ctx) == nil
	}
}

// TestStressLocks: of goroutines that take a lock in all ways, with contexts that end
// meanwhile, one at a time has it, what it writes is seen by the next, and at the end the
// lock is unlocked.
func TestStressLocks(t *testing.T) {
	rounds := testkit.Scale(20_000, 2_000)
	for name, newLock := range locks {
		t.Run(name, func(t *testing.T) {
			shaken(t, func(seed uint64) {
				l, spare := newLock(), new(await.Mutex)
				require.True(t, spare.TryLock())
				plain, taken := 0, atomic.Int64{}
				testkit.Together(8, func(i int) {
					h := newHammer(seed, i)
					for range rounds {
						if h.take(l, spare) {
							plain++ // the race detector looks here
							taken.Add(1)
							l.Unlock()
						}
					}
				})
				require.EqualValues(t, taken.Load(), plain)
				require.NotZero(t, plain)
				requireUnlocked(t, l)
				require.Zero(t, spare.Waiters())
			})
		})
	}
}

// TestStressSelectsInCrossedOrders over two locks that are both taken and given back all
// the time.
func TestStressSelectsInCrossedOrders(t *testing.T) {
	rounds := testkit.Scale(20_000, 2_000)
	shaken(t, func(seed uint64) {
		ls := []lock{new(await.Mutex), new(await.RWMutex)}
		plain := make([]int, 2)
		var taken [2]atomic.Int64
		testkit.Together(6, func(i int) {
			h := newHammer(seed, i)
			cases := []wake.Case{ls[i%2].OnLock(), ls[1-i%2].OnLock()}
			for range rounds {
				ctx, cancel := h.context()
				if n, err := await.Select(ctx, cases...); err == nil {
					which := (n + i) % 2
					plain[which]++
					taken[which].Add(1)
					ls[which].Unlock()
				}
				cancel()
			}
		})
		for i, l := range ls {
			require.EqualValues(t, taken[i].Load(), plain[i])
			requireUnlocked(t, l)
		}
	})
}

// TestStressRWMutex: a writer is alone, and a reader only among readers.
func TestStressRWMutex(t *testing.T) {
	rounds := testkit.Scale(20_000, 2_000)
	shaken(t, func(seed uint64) {
		rw := new(await.RWMutex)
		var state atomic.Int64 // readers, or -1 for a writer
		plain := 0
		testkit.Together(8, func(i int) {
			h := newHammer(seed, i)
			for range rounds {
				ctx, cancel := h.context()
				if h.IntN(4) == 0 {
					if h.take(rw, rw) {
						if !state.CompareAndSwap(0, -1) {
							t.Error("a writer is not alone")
						}
						plain++
						state.Store(0)
						rw.Unlock()
					}
				} else if h.read(ctx, rw) {
					if state.Add(1) <= 0 {
						t.Error("a reader beside a writer")
					}
					_ = plain
					state.Add(-1)
					rw.RUnlock()
				}
				cancel()
			}
		})
		requireUnlocked(t, rw)
	})
}

func (h *hammer) read(ctx context.Context, rw *await.RWMutex) bool {
	switch h.IntN(4) {
	case 0:
		return rw.TryRLock()
	case 1:
		_, err := await.Select(ctx, rw.OnRLock())
		return err == nil
	default:
		return rw.RLock(ctx) == nil
	}
}

// TestStressSemaphore: never are more permits held than the limit, and what was acquired
// is what is held, with a limit that stays and with one that changes.
func TestStressSemaphore(t *testing.T) {
	const limit, most = 10, 12
	for _, changes := range []bool{false, true} {
		t.Run(fmt.Sprint(changes), func(t *testing.T) {
			rounds := testkit.Scale(20_000, 2_000)
			shaken(t, func(seed uint64) {
				s := await.NewSemaphore(limit)
				var holds atomic.Int64
				testkit.Together(8, func(i int) {
					h := newHammer(seed, i)
					for range rounds {
						if changes && h.IntN(50) == 0 {
							s.SetLimit(h.Int64N(limit + 1))
						}
						if n := h.Int64N(most); h.acquire(s, n) {
							if now := holds.Add(n); now > limit {
								t.Errorf("%d permits are held", now)
							}
							holds.Add(-n)
							s.Release(n)
						}
					}
				})
				requireState(t, s, 0, 0)
				s.SetLimit(limit)
				require.NoError(t, s.Acquire(context.Background(), limit))
			})
		})
	}
}

func (h *hammer) acquire(s *await.Semaphore, n int64) bool {
	ctx, cancel := h.context()
	defer cancel()
	switch h.IntN(4) {
	case 0:
		return s.TryAcquire(n)
	case 1:
		_, err := await.Select(ctx, s.OnAcquire(n))
		return err == nil
	default:
		return s.Acquire(ctx, n) == nil
	}
}

// TestStressHandOff: two goroutines that lock and unlock in turn both get on, as in
// package sync's test of fairness.
func TestStressHandOff(t *testing.T) {
	rounds := testkit.Scale(2_000, 500)
	for name, newLock := range locks {
		t.Run(name, func(t *testing.T) {
			l := newLock()
			stop := make(chan struct{})
			var greedy sync.WaitGroup
			greedy.Go(func() {
				for {
					_ = l.Lock(context.Background())
					select {
					case <-stop:
						l.Unlock()
						return
					default:
						l.Unlock()
					}
				}
			})
			for range rounds {
				_ = l.Lock(context.Background())
				l.Unlock()
			}
			close(stop)
			greedy.Wait()
			requireUnlocked(t, l)
		})
	}
}

// TestStressMisbehavingParkers: parkers panic, exit and fail, in line and after they were
// woken, and the lock goes on.
func TestStressMisbehavingParkers(t *testing.T) {
	rounds := testkit.Scale(3_000, 500)
	for name, newLock := range locks {
		t.Run(name, func(t *testing.T) {
			shaken(t, func(seed uint64) {
				l := newLock()
				plain, taken := 0, atomic.Int64{}
				testkit.Together(6, func(i int) {
					h := newHammer(seed, i)
					for n := range rounds {
						if n%3 == 0 {
							h.misbehave(l)
							continue
						}
						if l.Lock(context.Background()) == nil {
							plain++
							taken.Add(1)
							l.Unlock()
						}
					}
				})
				require.EqualValues(t, taken.Load(), plain)
				requireUnlocked(t, l)
			})
		})
	}
}

// misbehave waits with a parker that misbehaves. If the wait returns with the lock, it
// unlocks it.
func (h *hammer) misbehave(l lock) {
	p := misbehave.DrawParker(h.Rand)
	ctx := wake.WithParker(context.Background(), p)
	wait := func() error { return l.Lock(ctx) }
	if h.IntN(2) == 0 {
		wait = func() error {
			_, err := await.Select(ctx, l.OnLock())
			return err
		}
	}
	if returned, err := misbehave.Outcome(wait); returned && err == nil {
		l.Unlock()
	}
}
