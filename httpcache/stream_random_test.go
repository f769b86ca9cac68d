package httpcache

import (
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

// Readers at random paces follow a body that arrives in random pieces, and may
// break off. Each gets a beginning of it, and all of it unless told that it broke
// off, that the reader is detached, or that it came too late.
func TestEachReaderGetsATrueBeginningOfTheBody(t *testing.T) {
	for seed := range uint64(testkit.Scale(300, 60)) {
		synctest.Test(t, func(t *testing.T) { followRandomly(t, rand.New(rand.NewPCG(seed, 1))) })
	}
}

func followRandomly(t *testing.T, r *rand.Rand) {
	g := &budget{max: (1 + r.Int64N(40)) * chunkSize}
	size := r.Int64N(50 * chunkSize)
	errBroken := errors.New("broken")
	k := newStreamIn(t, g, r.IntN(2) == 0, func(o *streamOptions) {
		o.limit, o.window = r.Int64N(60*chunkSize), 1+r.IntN(8)
		o.unreadTimeout = time.Hour
		if r.IntN(2) == 0 {
			o.resume = restOf
		}
	})
	most := 1 + r.IntN(3*chunkSize)
	src := &supply{n: size, piece: func() int { return 1 + r.IntN(most) }, err: io.EOF}
	if r.IntN(4) == 0 {
		src.err = errBroken
	}
	var all sync.WaitGroup
	for range 1 + r.IntN(8) {
		r := rand.New(rand.NewPCG(r.Uint64(), 2))
		all.Go(func() {
			time.Sleep(time.Duration(r.IntN(3)) * joinDelay)
			k.readRandomly(t, r, size, src.err)
		})
	}
	k.arrive(src)
	all.Wait()
	time.Sleep(2 * discardDelay)
	k.body.discard()
	require.Zero(t, g.used)
}

// readRandomly is one reader, which may pause now and then, and leave.
func (k *kit) readRandomly(t *testing.T, r *rand.Rand, size int64, end error) {
	if !k.body.open() {
		return
	}
	defer k.body.release()
	follower, ok := k.body.follow()
	if !ok {
		return
	}
	if follower == nil {
		readSection(t, k.body, size)
		return
	}
	defer follower.close()
	pause, patience := r.IntN(2*int(time.Second)), r.IntN(60)
	for got := int64(0); ; {
		p, err := follower.next(t.Context())
		if err == errDetached {
			require.NotNil(t, k.resume)
			require.Equal(t, got, follower.off)
			return
		} else if err != nil {
			require.Equal(t, end, err)
			require.Equal(t, size, got)
			return
		}
		if r.IntN(4) == 0 {
			time.Sleep(time.Duration(1 + r.IntN(1+pause)))
		}
		require.True(t, isContent(p, got), "nobody else writes there")
		got += int64(len(p))
		if patience--; patience == 0 {
			return
		}
	}
}

func TestStressManyBodiesShareABudget(t *testing.T) {
	g := &budget{max: 32 * chunkSize}
	testkit.Together(8, func(i int) {
		r := rand.New(rand.NewPCG(uint64(i), 3))
		for range testkit.Scale(300, 50) {
			size := r.Int64N(12 * chunkSize)
			k := newStreamIn(t, g, r.IntN(3) > 0, func(o *streamOptions) { o.resume, o.maxDelay = restOf, time.Nanosecond })
			var all sync.WaitGroup
			for range 3 {
				r := rand.New(rand.NewPCG(r.Uint64(), 2))
				r.Uint64()
				all.Go(func() { k.readAll(t, size, r.IntN(3) == 0) })
			}
			k.arrive(whole(size))
			all.Wait()
			if r.IntN(2) == 0 {
				k.body.discard()
			}
			if used := g.inUse(); used > g.max+8*3*chunkSize {
				t.Errorf("%d bytes", used)
			}
		}
	})
	g.close()
	require.Eventually(t, func() bool { return g.inUse() == 0 }, time.Minute, time.Millisecond)
}

// readAll is readRandomly without a clock.
func (k *kit) readAll(t *testing.T, size int64, leaves bool) {
	if !k.body.open() {
		return
	}
	defer k.body.release()
	follower, ok := k.body.follow()
	if !ok || follower == nil {
		return
	}
	defer follower.close()
	for got := int64(0); ; {
		p, err := follower.next(t.Context())
		switch {
		case err == io.EOF && got == size, err == errDetached, leaves && got > size/2:
			return
		case err != nil:
			t.Errorf("%v after %d of %d bytes", err, got, size)
			return
		case !isContent(p, got):
			t.Errorf("wrong bytes after %d", got)
		}
		got += int64(len(p))
	}
}
