package await_test

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/misbehave"
	"github.com/vigil-go/vigil/wake"
)

// TestHazardOnceParkerMisbehaves: a Park that fails, panics or exits leaves the line, and
// the last one cancels the function.
func TestHazardOnceParkerMisbehaves(t *testing.T) {
	for name, strike := range misbehave.Parks {
		for _, alone := range []bool{false, true} {
			if strike == misbehave.None {
				continue
			}
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var o await.Once[int]
					f := newOnceFunction()
					f.lenient = true
					stays := doAsyncUnless(t, alone, &o, f.call)
					p := misbehave.NewParker()
					p.Before = strike
					returned, err := misbehave.Outcome(func() error {
						_, err := o.Do(wake.WithParker(context.Background(), p), f.call)
						return err
					})
					require.Equal(t, strike == misbehave.Fail, returned)
					if returned {
						require.Equal(t, misbehave.ErrOwn, err)
					}
					r := f.next(t)
					require.Equal(t, alone, r.ctx.Err() != nil)
					if alone {
						requireUsableOnce(t, &o)
					}
					r.give(1)
					synctest.Wait()
					if !alone {
						require.Equal(t, onceResult{v: 1}, <-stays)
					}
					require.Zero(t, p.Wakes.Load())
				})
			})
		}
	}
}

func doAsyncUnless(t *testing.T, alone bool, o *await.Once[int], f func(context.Context) (int, error)) <-chan onceResult {
	if alone {
		return nil
	}
	ctx, _ := cancelableCtx(t)
	return doAsync(o, ctx, f)
}

// TestHazardOnceWakerMisbehaves: the other callers are woken all the same, and does not end
// the goroutine of the caller that runs the function.
func TestHazardOnceWakerMisbehaves(t *testing.T) {
	for _, strike := range []misbehave.Strike{misbehave.Panic, misbehave.Exit} {
		inOnceBubbles(t, func(t *testing.T, o *await.Once[int], ctx context.Context, _ context.CancelCauseFunc) {
			f := newOnceFunction()
			first := doAsync(o, ctx, f.call)
			p := misbehave.NewParker()
			p.OnWake = strike
			p.Back = func() {
				v, err := o.Do(context.Background(), never)
				require.NoError(t, err)
				require.Equal(t, 1, v)
			}
			angry := doAsync(o, wake.WithParker(context.Background(), p), never)
			last := doAsync(o, context.Background(), never)
			f.next(t).give(1)
			for _, c := range []<-chan onceResult{first, angry, last} {
				r, ok := <-c
				require.True(t, ok)
				require.Equal(t, onceResult{v: 1}, r)
			}
		})
	}
}

// TestHazardOnceResultWins over the end of a context that comes with it.
func TestHazardOnceResultWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var o await.Once[int]
		f := newOnceFunction()
		var r *onceRunning
		ctx, cancel := cancelableCtx(t)
		p := &misbehave.First{Parker: wake.NewParker(), Strike: misbehave.Fail}
		p.First = func() { // in line and not asleep
			r = f.next(t)
			r.give(1)
			synctest.Wait()
			cancel(errReason)
		}
		v, err := o.Do(wake.WithParker(ctx, p), f.call)
		require.NoError(t, err)
		require.Equal(t, 1, v)
	})
}

// TestHazardOnceContextMisbehaves: a context whose methods panic or exit leaves nothing
// behind.
func TestHazardOnceContextMisbehaves(t *testing.T) {
	var o *await.Once[int]
	callBack := func() { _, _ = o.Do(endedCtx(), never) }
	for name, ctx := range misbehave.Armables(callBack) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o = new(await.Once[int])
				f := newOnceFunction()
				p := &misbehave.First{Parker: wake.NewParker(), Strike: misbehave.Fail}
				p.First = func() { ctx.Armed = true }
				returned, err := misbehave.Outcome(func() error {
					_, err := o.Do(onceParkerOver{ctx, p}, f.call)
					return err
				})
				if returned {
					require.Error(t, err)
				}
				require.Error(t, context.Cause(f.next(t).ctx), "the caller has left")
				requireUsableOnce(t, o)
			})
		})
	}
}

// onceParkerOver carries a parker over a context that misbehaves.
type onceParkerOver struct {
	*misbehave.Armed
	p wake.Parker
}

func (c onceParkerOver) Value(key any) any {
	if v := wake.WithParker(context.Background(), c.p).Value(key); v != nil {
		return v
	}
	return c.Armed.Value(key)
}
