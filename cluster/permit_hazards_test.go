package cluster_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

// A permitUse is a wait for a Mutex, a permit or a notification. busy makes it sleep until free
// is called.
type permitUse struct {
	wait       func(ctx context.Context) error
	busy, free func(t *testing.T)
}

// permitUses returns them, all with one bucket, and each free.
func permitUses(t *testing.T, b *cluster.Bucket) map[string]permitUse {
	m, err := cluster.NewMutex(b, nil)
	require.NoError(t, err)
	s, n := newSemaphore(t, b, 1, endless), newNotify(t, b, 1)
	require.NoError(t, n.NotifyOne(bg))
	var held *cluster.Permit
	return map[string]permitUse{
		"Mutex": {
			func(ctx context.Context) error {
				if _, err := m.Lock(ctx); err != nil {
					return err
				}
				return m.Unlock(bg)
			},
			func(t *testing.T) { _, err := m.Lock(bg); require.NoError(t, err) },
			func(t *testing.T) { require.NoError(t, m.Unlock(bg)) },
		},
		"Semaphore": {
			func(ctx context.Context) error {
				p, err := s.Acquire(ctx)
				if err != nil {
					return err
				}
				return p.Release(bg)
			},
			func(t *testing.T) { held = acquire(t, s) },
			func(t *testing.T) { require.NoError(t, held.Release(bg)) },
		},
		"Notify": {
			func(ctx context.Context) error {
				if err := n.Wait(ctx); err != nil {
					return err
				}
				return n.NotifyOne(bg)
			},
			func(t *testing.T) { require.NoError(t, n.Wait(bg)) },
			func(t *testing.T) { require.NoError(t, n.NotifyOne(bg)) },
		},
	}
}

// TestParkerMisbehaves: a Park that fails, panics or exits leaves nothing locked, nobody in line,
// and no lease that Close would wait for.
func TestParkerMisbehaves(t *testing.T) {
	for name, strike := range misbehave.Parks {
		for _, kind := range []string{"Mutex", "Semaphore", "Notify"} {
			for _, busy := range []bool{false, true} {
				t.Run(name, func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						k, b := newKeeper(t)
						use := permitUses(t, b)[kind]
						if busy {
							use.busy(t)
						}
						p := misbehave.NewParker()
						p.Before = strike
						done := make(chan bool, 1)
						go func() {
							returned, _ := misbehave.Outcome(func() error { return use.wait(wake.WithParker(bg, p)) })
							done <- returned
						}()
						synctest.Wait()
						if busy {
							use.free(t)
						}
						returned := <-done
						if p.Parks.Load() > 0 { // or the answer came at once
							require.Equal(t, strike == misbehave.Fail || strike == misbehave.None, returned)
						}
						synctest.Wait()
						if kind != "Notify" || busy || strike == misbehave.None {
							require.NoError(t, use.wait(bg))
						} // else the permit may have been taken
						behind := start(func() (struct{}, error) { return struct{}{}, use.wait(bg) })
						if kind == "Notify" {
							use.free(t)
						}
						require.NoError(t, (<-behind).err)
						require.NoError(t, b.Close())
						if kind != "Notify" {
							delete(k.there, "n\x00p0")
							k.requireEmpty(t)
						}
					})
				})
			}
		}
	}
}

// TestParkerMisbehavesDuringTheFirstWrite: the engine applies the write of a lease when nobody waits
// for it any more. The lease is deleted then.
func TestParkerMisbehavesDuringTheFirstWrite(t *testing.T) {
	for name, strike := range misbehave.Parks {
		for _, kind := range []string{"Mutex", "Semaphore"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, b := newKeeper(t)
					use := permitUses(t, b)[kind]
					delete(k.there, "n\x00p0")
					var asked atomic.Bool
					apply := make(chan struct{})
					k.write = func(ctx context.Context, w engine.Write) (uint64, error) {
						if !asked.Swap(true) {
							<-apply
							ctx = bg
						}
						return k.apply(ctx, w)
					}
					p := misbehave.NewParker()
					p.Before = strike
					done := make(chan struct{})
					go func() {
						defer close(done)
						misbehave.Outcome(func() error { return use.wait(wake.WithParker(bg, p)) })
					}()
					synctest.Wait() // who would look for the lease now does not find it
					close(apply)
					<-done
					synctest.Wait()
					k.requireEmpty(t)
				})
			})
		}
	}
}

// TestGiveBackUnderAContextThatHasEnded: the holder gets an error, and the lease is deleted all the
// same.
func TestGiveBackUnderAContextThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		m, err := cluster.NewMutex(b, &cluster.MutexOptions{TTL: endless})
		require.NoError(t, err)
		_, err = m.Lock(bg)
		require.NoError(t, err)
		p := acquire(t, newSemaphore(t, b, 1, endless))
		ctx, cancel := context.WithCancel(bg)
		cancel()
		require.ErrorIs(t, m.Unlock(ctx), context.Canceled)
		require.ErrorIs(t, p.Release(ctx), context.Canceled)
		synctest.Wait()
		k.requireEmpty(t)
	})
}

// TestLeaseIsKeptWhileTheWatchStalls: the engine acknowledges the renewals, and this process does not
// see them for longer than the TTL.
func TestLeaseIsKeptWhileTheWatchStalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		var stalls atomic.Bool
		var revision atomic.Uint64
		k.write = func(ctx context.Context, w engine.Write) (uint64, error) {
			switch {
			case !stalls.Load():
				return k.apply(ctx, w)
			case ctx.Err() != nil:
				return 0, engine.ContextError(ctx)
			}
			return 1 + revision.Add(1), nil
		}
		p := acquire(t, newSemaphore(t, b, 1, brief))
		stalls.Store(true)
		time.Sleep(10 * brief)
		require.NoError(t, p.Context().Err())
	})
}

// TestLeaseWhoseFirstAnswerIsLate is renewed at once, or else its holder is told before another one
// can have it.
func TestLeaseWhoseFirstAnswerIsLate(t *testing.T) {
	for name, cut := range map[string]bool{"answers": false, "is cut off": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, b := newKeeper(t)
				cutOff := k.link()
				late := k.write
				var asked atomic.Bool
				k.write = func(ctx context.Context, w engine.Write) (uint64, error) {
					first := !asked.Swap(true)
					revision, err := late(ctx, w)
					if first {
						time.Sleep(brief * 9 / 10)
						if cut {
							cutOff()
						}
					}
					return revision, err
				}
				begun := time.Now()
				p := acquire(t, newSemaphore(t, b, 1, brief))
				require.NoError(t, p.Context().Err())
				if !cut {
					time.Sleep(5 * brief)
					require.NoError(t, p.Context().Err())
					return
				}
				<-p.Context().Done()
				require.ErrorIs(t, context.Cause(p.Context()), cluster.ErrLeaseLost)
				require.Equal(t, brief, time.Since(begun))
			})
		})
	}
}

// TestContextEndsWhileOthersWait: the next one in line goes on.
func TestContextEndsWhileOthersWait(t *testing.T) {
	for _, kind := range []string{"Mutex", "Semaphore", "Notify"} {
		synctest.Test(t, func(t *testing.T) {
			_, b := newKeeper(t)
			use := permitUses(t, b)[kind]
			use.busy(t)
			ctx, cancel := context.WithCancel(bg)
			first := start(func() (struct{}, error) { return struct{}{}, use.wait(ctx) })
			synctest.Wait()
			second := start(func() (struct{}, error) { return struct{}{}, use.wait(bg) })
			synctest.Wait()
			cancel()
			require.ErrorIs(t, (<-first).err, context.Canceled, kind)
			use.free(t)
			assert.NoError(t, (<-second).err, kind)
		})
	}
}

// striking returns a parker whose Wake strikes when it is first called, and leaves its permit.
func striking(strike misbehave.Strike) *misbehave.Parker {
	var once atomic.Bool
	p := misbehave.NewParker()
	p.Back = func() {
		if !once.Swap(true) {
			_ = strike.Do()
		}
	}
	return p
}
