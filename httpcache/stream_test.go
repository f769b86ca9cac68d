package httpcache

import (
	"context"
	"errors"
	"io"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWholeBodyTakesWhatItNeeds(t *testing.T) {
	for _, n := range []int64{0, 1, 1000, chunkSize - 1, chunkSize, chunkSize + 1, 20*chunkSize + 7} {
		synctest.Test(t, func(t *testing.T) {
			k := newStream(t, true)
			require.Equal(t, io.EOF, k.arrive(whole(n)))
			require.True(t, k.body.whole.Load())
			require.Nil(t, k.body.stream.Load())
			require.EqualValues(t, n, k.body.weight())
			require.LessOrEqual(t, k.budget.inUse(), n+n/8+chunkSize/8)
			require.GreaterOrEqual(t, k.budget.inUse(), n)
			readSection(t, k.body, n)
			k.body.discard()
			require.Zero(t, k.budget.inUse())
			require.False(t, k.body.open())
		})
	}
}

func TestReaderOfABodyThatIsWholeMeanwhileGetsAll(t *testing.T) {
	for _, n := range []int64{10, chunkSize + 10, 20 * chunkSize} {
		synctest.Test(t, func(t *testing.T) {
			k := newStream(t, true)
			r, late := k.join(t), k.join(t)
			k.write(5)
			take(t, r, 5)
			k.write(int(n) - 5)
			k.finish(io.EOF)
			take(t, r, n-5)
			take(t, late, n)
			for _, r := range []*reader{r, late} {
				_, err := r.next(t.Context())
				require.Equal(t, io.EOF, err)
				leave(r)
			}
			k.body.discard()
			require.Zero(t, k.budget.inUse())
		})
	}
}

func TestEvictedBodyGivesItsBytesBackWithItsLastReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &budget{max: 4 * chunkSize}
		old := newStreamIn(t, g, true)
		require.Equal(t, io.EOF, old.arrive(whole(3*chunkSize)))
		require.True(t, old.body.open())
		require.True(t, old.body.open())
		next := newStreamIn(t, g, true)
		next.write(chunkSize)
		require.Zero(t, old.evictions)
		require.Nil(t, g.take(toKeep))
		require.Equal(t, 1, old.evictions)
		require.EqualValues(t, 4*chunkSize, g.used)
		old.body.release()
		require.EqualValues(t, 4*chunkSize, g.used)
		require.True(t, old.body.open(), "it is still there")
		old.body.release()
		old.body.release()
		require.EqualValues(t, chunkSize, g.used)
		require.False(t, old.body.open())
	})
}

// A body for which nothing can be evicted is passed on by one chunk.
func TestBodyWithoutBudgetGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &budget{max: 4 * chunkSize}
		hog := newStreamIn(t, g, true)
		hog.write(4 * chunkSize)
		k := newStreamIn(t, g, true)
		r := k.join(t)
		var all sync.WaitGroup
		all.Go(func() { require.Equal(t, io.EOF, k.arrive(whole(9*chunkSize+5))) })
		synctest.Wait()
		require.EqualValues(t, 5*chunkSize, g.used)
		require.False(t, k.body.kept.Load())
		for range 9 {
			take(t, r, chunkSize)
			synctest.Wait()
			require.LessOrEqual(t, g.used, int64(5*chunkSize))
		}
		take(t, r, 5)
		_, err := r.next(t.Context())
		require.Equal(t, io.EOF, err)
		all.Wait()
		leave(r)
		require.EqualValues(t, 4*chunkSize, g.used)
	})
}

// What passes takes no more than a quarter of the budget from what is kept.
func TestPassingBodiesLeaveTheKeptOnesTheirShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &budget{max: 16 * chunkSize}
		var kept []*kit
		for range 16 {
			k := newStreamIn(t, g, true)
			require.Equal(t, io.EOF, k.arrive(whole(chunkSize-1)))
			kept = append(kept, k)
		}
		var all sync.WaitGroup
		var passing []*kit
		for range 3 {
			k := newStreamIn(t, g, false, func(o *streamOptions) { o.window, o.unreadTimeout = 8, time.Minute })
			passing = append(passing, k)
			all.Go(func() { k.arrive(whole(100 * chunkSize)) })
		}
		synctest.Wait()
		lost := 0
		for _, k := range kept {
			lost += k.evictions
		}
		require.LessOrEqual(t, lost, 6, "a quarter, and a chunk for each")
		require.GreaterOrEqual(t, lost, 4)
		all.Wait()
		for _, k := range passing {
			require.Equal(t, errUnread, <-k.ended)
		}
	})
}

func TestEvictionPassesOverWhatIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &budget{max: 10 * chunkSize}
		var kept []*kit
		for range 10 {
			k := newStreamIn(t, g, true)
			k.arrive(whole(chunkSize - 1))
			kept = append(kept, k)
		}
		kept[0].body.visit()
		kept[2].body.visit()
		for range 3 {
			g.take(toKeep)
		}
		var gone []int
		for i, k := range kept {
			if k.evictions > 0 {
				gone = append(gone, i)
			}
		}
		require.Equal(t, []int{1, 3, 4}, gone)
	})
}

func TestUnusedChunksAreUsedAgainWithinTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &budget{max: 8 * chunkSize}
		for range 100 {
			k := newStreamIn(t, g, true)
			k.arrive(whole(8 * chunkSize))
			k.body.discard()
		}
		require.Len(t, g.free, 8)
		require.Less(t, testing.AllocsPerRun(100, func() { g.give(g.take(toKeep)) }), 1.0)
		g.charge(5*chunkSize + 1)
		require.Len(t, g.free, 2)
	})
}

func TestSlowReaderSlowsTheFetchWithinAWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newStream(t, false)
		slow, fast := k.join(t), k.join(t)
		src := whole(100 * chunkSize)
		go k.arrive(src)
		take(t, fast, 4*chunkSize)
		synctest.Wait()
		time.Sleep(time.Hour)
		require.EqualValues(t, 4*chunkSize, src.off)
		require.EqualValues(t, 4*chunkSize, k.budget.inUse())
		go func() {
			take(t, slow, 100*chunkSize)
			leave(slow)
		}()
		take(t, fast, 96*chunkSize)
		_, err := fast.next(t.Context())
		require.Equal(t, io.EOF, err)
		leave(fast)
		synctest.Wait()
		require.Zero(t, k.budget.inUse())
	})
}

// restOf is how a detached reader would go on.
func restOf(context.Context, int64) (io.ReadCloser, error) { return nil, errors.New("not used here") }

func TestReaderIsPartedOnceOthersHaveWaitedForItTooLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newStream(t, false, func(o *streamOptions) { o.resume = restOf })
		slow, fast := k.join(t), k.join(t)
		go k.arrive(whole(100 * chunkSize))
		p, err := slow.next(t.Context())
		require.NoError(t, err)
		start := time.Now()
		take(t, fast, 100*chunkSize)
		require.InDelta(t, time.Second, time.Since(start), float64(joinDelay))
		_, err = fast.next(t.Context())
		require.Equal(t, io.EOF, err)
		leave(fast)
		require.True(t, isContent(p, 0), "it may still be written out")
		_, err = slow.next(t.Context())
		require.Equal(t, errDetached, err)
		require.EqualValues(t, len(p), slow.off)
		leave(slow)
		synctest.Wait()
		require.Zero(t, k.budget.inUse())
	})
}

// A rest in memory breaks off when the context that it was asked for with ends.
type restInMemory struct {
	supply
	ctx context.Context
}

func (r *restInMemory) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.supply.Read(p)
}

func (r *restInMemory) Close() error { return nil }

// Until the first bytes are there, a reader waits for headerDelay only. What it asks the origin for lasts longer.
func TestReaderThatIsDetachedBeforeItBeginsHasAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size = 20 * chunkSize
		k := newStream(t, false, func(o *streamOptions) {
			o.announced = size
			o.resume = func(ctx context.Context, off int64) (io.ReadCloser, error) {
				piece := func() int { return chunkSize }
				return &restInMemory{supply{off: off, n: size, piece: piece, err: io.EOF}, ctx}, nil
			}
		})
		slow, fast := k.join(t), k.join(t)
		go k.arrive(whole(size))
		take(t, fast, size)
		leave(fast)
		require.True(t, slow.detached)
		w := httptest.NewRecorder()
		require.Equal(t, io.EOF, slow.copy(t.Context(), w))
		require.Equal(t, size, w.Body.Len())
		require.Equal(t, 1, k.detachments)
		leave(slow)
		synctest.Wait()
	})
}

// The time counts in all: many small delays are a long one.
func TestReaderThatIsAlwaysALittleSlowIsParted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newStream(t, false, func(o *streamOptions) { o.resume = restOf })
		slow, fast := k.join(t), k.join(t)
		go k.arrive(whole(1000 * chunkSize))
		go func() {
			defer leave(slow)
			for {
				if _, err := slow.next(t.Context()); err != nil {
					return
				}
				time.Sleep(300 * time.Millisecond)
			}
		}()
		start := time.Now()
		take(t, fast, 1000*chunkSize)
		require.Less(t, time.Since(start), 2*time.Second)
		leave(fast)
		time.Sleep(time.Second)
		synctest.Wait() // the fetch gives its chunk back
		require.Zero(t, k.budget.inUse())
	})
}

func TestReaderThatNobodyWaitsForIsNotParted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newStream(t, false, func(o *streamOptions) { o.resume = restOf })
		one, two := k.join(t), k.join(t) // both are slow
		go k.arrive(whole(20 * chunkSize))
		for range 20 {
			time.Sleep(10 * time.Second)
			take(t, one, chunkSize)
			take(t, two, chunkSize)
		}
		for _, r := range []*reader{one, two} {
			_, err := r.next(t.Context())
			require.Equal(t, io.EOF, err)
			leave(r)
		}
	})
}

func TestBodyWithoutReadersEndsAfterTheGrace(t *testing.T) {
	for _, kept := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			k := newStream(t, kept)
			k.write(10)
			time.Sleep(4 * time.Second)
			r := k.join(t) // in time
			time.Sleep(time.Hour)
			require.Empty(t, k.ended)
			leave(r)
			time.Sleep(4 * time.Second)
			require.Empty(t, k.ended)
			time.Sleep(1001 * time.Millisecond)
			require.Equal(t, errUnread, <-k.ended)
			require.False(t, k.body.kept.Load())
			require.True(t, k.body.open())
			_, ok := k.follow()
			require.False(t, ok, "what is about to end cannot be joined")
			k.body.release()
			k.finish(errUnread)
			require.Zero(t, k.budget.inUse())
		})
	}
}

// Grace is for those who may come.
func TestBodyThatCannotBeJoinedEndsWithItsLastReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newStream(t, false)
		r := k.join(t)
		go k.arrive(whole(100 * chunkSize))
		take(t, r, 6*chunkSize)
		leave(r)
		start := time.Now()
		require.Equal(t, errUnread, <-k.ended)
		require.Equal(t, start, time.Now())
		synctest.Wait()
		require.Zero(t, k.budget.inUse())
	})
}

func TestBackgroundRenewalNeedsNoReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newStream(t, true, func(o *streamOptions) { o.background = true })
		time.Sleep(time.Hour)
		require.Empty(t, k.ended)
		k.write(testBudget)
		require.Nil(t, k.budget.take(k.shrink()), "no budget: it is not kept, so that readers matter")
		time.Sleep(6 * time.Second)
		require.Equal(t, errUnread, <-k.ended)
	})
}

// Users who were told that a body is there need a moment to open it.
func TestBodyThatIsNotKeptWaitsForThoseWhoWereTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newStream(t, false)
		require.Equal(t, io.EOF, k.arrive(whole(2*chunkSize)))
		time.Sleep(discardDelay / 2)
		require.True(t, k.body.open())
		time.Sleep(discardDelay)
		require.EqualValues(t, 2*chunkSize, k.budget.inUse())
		k.body.release()
		require.Zero(t, k.budget.inUse())
		require.False(t, k.body.open())
	})
	synctest.Test(t, func(t *testing.T) {
		k := newStream(t, false)
		first := k.join(t)
		go k.arrive(whole(100 * chunkSize))
		take(t, first, 4*chunkSize)
		synctest.Wait()
		leave(k.join(t))
		time.Sleep(2 * joinDelay)
		synctest.Wait()
		require.True(t, k.body.open())
		_, ok := k.follow()
		require.False(t, ok, "the beginning is gone")
		k.body.release()
		take(t, first, 96*chunkSize)
		leave(first)
	})
}

func TestBodyOfAnotherLengthThanAnnouncedIsBroken(t *testing.T) {
	for n, want := range map[int64]error{9: io.ErrUnexpectedEOF, 10: io.EOF, 11: errLength} {
		synctest.Test(t, func(t *testing.T) {
			k := newStream(t, true, func(o *streamOptions) { o.announced = 10 })
			require.Equal(t, want, k.arrive(whole(n)))
			require.Equal(t, want == io.EOF, k.body.kept.Load())
			require.Equal(t, want == io.EOF, k.body.whole.Load())
		})
	}
}

func TestSourceThatGivesNothingForeverIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newStream(t, true)
		require.Equal(t, io.ErrNoProgress, k.arrive(&supply{n: 1, piece: func() int { return 0 }}))
		require.Zero(t, k.budget.inUse())
	})
}

// Who still has an evicted body, to save it for instance, does not hold its memory.
func TestEvictedBodiesHoldNoMemory(t *testing.T) {
	k := newStream(t, true)
	require.Equal(t, io.EOF, k.arrive(whole(20*chunkSize+5)))
	b := k.body
	require.Len(t, b.chunks, 21)
	b.discard()
	require.False(t, b.open())
	require.Nil(t, b.chunks)
}
