package cluster_test

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

// A valuesContext has no values, and calls a function when it is asked for one.
type valuesContext struct {
	context.Context
	asked func()
}

func (c valuesContext) Value(any) any {
	c.asked()
	return nil
}

// takes are the ways to take a value of a Map.
var takes = map[string]func(m *cluster.Map[string], ctx context.Context) (string, error){
	"Take": func(m *cluster.Map[string], ctx context.Context) (string, error) { return m.Take(ctx, "key") },
	"OnTake": func(m *cluster.Map[string], ctx context.Context) (v string, err error) {
		_, err = await.Select(ctx, m.OnTake("key", &v))
		return v, err
	},
}

// TestParkerMisbehavesDuringATake: its Take does not return, and the value is there again, once.
func TestParkerMisbehavesDuringATake(t *testing.T) {
	for name, strike := range misbehave.Parks {
		for kind, take := range takes {
			t.Run(name+" "+kind, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, b := newKeeper(t)
					m := newMap[string](t, b)
					store(t, m, "key", "value")
					apply := make(chan struct{})
					k.write = func(_ context.Context, w engine.Write) (uint64, error) {
						<-apply
						return k.apply(bg, w)
					}
					p := misbehave.NewParker()
					p.Before = strike
					var taken result[string]
					ended := make(chan bool, 1)
					go func() {
						returned, _ := misbehave.Outcome(func() error {
							taken.v, taken.err = take(m, wake.WithParker(bg, p))
							return taken.err
						})
						ended <- returned
					}()
					synctest.Wait()
					close(apply)
					if <-ended {
						require.Equal(t, "value", taken.v)
						if taken.err != nil {
							require.ErrorIs(t, taken.err, cluster.ErrUnknown)
						}
					}
					synctest.Wait()
					_, there := m.Load("key")
					require.Equal(t, taken.v == "", there)
					require.Zero(t, m.Waiters("key"))
					if there {
						v, err := m.Take(bg, "key")
						require.Equal(t, result[string]{v: "value"}, result[string]{v, err})
					}
				})
			})
		}
	}
}

// TestCloseWaitsForWhatIsPutBack: the goroutine whose Take or Wait a waker has ended closes the Bucket
// at once, and what it had taken is in the bucket all the same.
func TestCloseWaitsForWhatIsPutBack(t *testing.T) {
	for _, kind := range []string{"Take", "Wait"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, b := newKeeper(t)
				m, n := newMap[string](t, b), newNotify(t, b, 0)
				wait := func(ctx context.Context) error { _, err := m.Take(ctx, "key"); return err }
				if kind == "Wait" {
					wait = n.Wait
				}
				closed := make(chan struct{})
				go func() {
					defer close(closed)
					defer func() { assert.NoError(t, b.Close()) }()
					_ = wait(bg)
				}()
				synctest.Wait()
				ctx, cancel := context.WithCancel(bg)
				p := misbehave.NewParker()
				p.Back = func() {
					cancel() // the next one leaves what is put back
					runtime.Goexit()
				}
				ctx = wake.WithParker(ctx, p)
				next := start(func() (struct{}, error) { return struct{}{}, wait(ctx) })
				synctest.Wait()
				k.write = func(ctx context.Context, w engine.Write) (uint64, error) {
					if !w.Delete {
						time.Sleep(time.Second) // until Close has begun
					}
					return k.apply(ctx, w)
				}
				_, err := k.apply(bg, engine.Write{Key: map[string]string{"Take": "m\x00key", "Wait": "n\x00p0"}[kind], Value: []byte(`"value"`)})
				require.NoError(t, err)
				<-closed
				<-next
				require.Len(t, k.there, 1)
			})
		})
	}
}

// TestNoPermitTooMuch: a parker panics while the engine refuses to let a Wait have a permit.
func TestNoPermitTooMuch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		n := newNotify(t, b, 0)
		require.NoError(t, n.NotifyOne(bg))
		k.write = func(_ context.Context, w engine.Write) (uint64, error) {
			if w.Delete {
				time.Sleep(time.Second)
				return 0, &engine.ConflictError{Key: w.Key, Revision: 1}
			}
			return k.apply(bg, w)
		}
		p := misbehave.NewParker()
		p.Before = misbehave.Panic
		returned, _ := misbehave.Outcome(func() error { return n.Wait(wake.WithParker(bg, p)) })
		require.False(t, returned)
		time.Sleep(time.Minute)
		synctest.Wait()
		k.write = k.apply
		requireTryWait(t, n, true)
		requireTryWait(t, n, false)
	})
}

// TestContextMisbehavesDuringGiveBack: a lease that is given back is not renewed for ever.
func TestContextMisbehavesDuringGiveBack(t *testing.T) {
	for name, strike := range map[string]misbehave.Strike{"panics": misbehave.Panic, "exits": misbehave.Exit} {
		for nth := range int32(4) { // the call of Value that misbehaves
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, b := newKeeper(t)
					m, err := cluster.NewMutex(b, nil)
					require.NoError(t, err)
					_, err = m.Lock(bg)
					require.NoError(t, err)
					p := acquire(t, newSemaphore(t, b, 1, endless))
					for _, giveBack := range []func(context.Context) error{m.Unlock, p.Release} {
						var calls atomic.Int32
						misbehave.Outcome(func() error {
							return giveBack(valuesContext{bg, func() {
								if calls.Add(1) == nth+1 {
									_ = strike.Do()
								}
							}})
						})
					}
					synctest.Wait()
					k.requireEmpty(t)
					begun := time.Now()
					require.NoError(t, b.Close())
					require.Zero(t, time.Since(begun))
				})
			})
		}
	}
}

// TestOffloadExits: what exits in place of a task does not leave the task asleep.
func TestOffloadExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, b := newKeeper(t)
		m := newMap[string](t, b)
		k.write = func(context.Context, engine.Write) (uint64, error) {
			runtime.Goexit()
			return 0, nil
		}
		_, err := m.Store(wake.WithParker(bg, wake.NewParker()), "key", "value")
		require.ErrorIs(t, err, cluster.ErrUnknown)
	})
}

// TestContextMisbehavesDuringAWait: whichever call of its context's Value panics or exits, a wait that
// does not return holds nothing. (Other methods are also called by a goroutine of package context.)
func TestContextMisbehavesDuringAWait(t *testing.T) {
	for _, kind := range []string{"Mutex", "Semaphore", "Notify"} {
		for _, strike := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
			for nth := range int32(30) {
				synctest.Test(t, func(t *testing.T) {
					k, b := newKeeper(t)
					use := permitUses(t, b)[kind]
					if kind != "Notify" {
						delete(k.there, "n\x00p0")
					}
					ended, cancel := context.WithCancel(bg)
					defer cancel()
					var calls atomic.Int32
					ctx := valuesContext{ended, func() {
						if calls.Add(1) == nth+1 {
							_ = strike.Do()
						}
					}}
					misbehave.Outcome(func() error { return use.wait(ctx) })
					synctest.Wait()
					if kind != "Notify" {
						k.requireEmpty(t)
					}
					require.NoError(t, use.wait(bg), "%s %d", kind, nth)
				})
			}
		}
	}
}

// TestParkerMisbehavesDuringOpen: a Bucket that nobody gets is closed.
func TestParkerMisbehavesDuringOpen(t *testing.T) {
	for name, strike := range misbehave.Parks {
		t.Run(name, func(t *testing.T) {
			f := &fake{events: make(chan engine.Event, 2), closed: make(chan struct{}), at: engine.Position{History: "1"}}
			f.tell(engine.Event{Kind: engine.Reset, History: "1"}, engine.Event{Kind: engine.Synced})
			p := misbehave.NewParker()
			p.Before = strike
			var b *cluster.Bucket
			misbehave.Outcome(func() (err error) {
				b, err = cluster.Open(wake.WithParker(bg, p), &cluster.Options{Engine: f, Logger: quiet})
				return err
			})
			if b != nil {
				require.NoError(t, b.Close())
			}
			<-f.closed
		})
	}
}
