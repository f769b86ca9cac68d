//go:build vigil_schedpoint

package schedpoint

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// On reports whether this build has points.
const On = true

var (
	holds [points]atomic.Pointer[func()]
	held  [points]atomic.Uint64
)

// At marks that the calling goroutine passes p. It does not count: a shared counter
// would order all passing goroutines for the race detector.
func At(p Point) {
	if f := holds[p].Load(); f != nil {
		(*f)()
	}
}

// Hold makes every goroutine that passes p call f, with the locks that the goroutine
// holds, until release is called. A point has one f: a later Hold replaces it.
func Hold(p Point, f func()) (release func()) {
	holds[p].Store(&f)
	return func() { holds[p].CompareAndSwap(&f, nil) }
}

// Shake delays goroutines that pass points, until stop is called. The points, the
// frequency and the length are drawn from seed; which goroutine is delayed is
// random. Without sleep Shake only yields and spins, which does not advance the
// clock of a testing/synctest bubble.
func Shake(seed uint64, sleep bool) (stop func()) {
	draw := rand.New(rand.NewPCG(seed, 0x5eed))
	var stops []func()
	for p := range points {
		if f := delay(p, draw, sleep); f != nil {
			stops = append(stops, Hold(p, f))
		}
	}
	return func() {
		for _, stop := range stops {
			stop()
		}
	}
}

// most limits the delays of one Shake at one point, because some points are passed
// thousands of times as often as others.
const most = 500

// delay draws what to do at p. At half of the points that is nothing, so that
// delayed goroutines meet goroutines that are not.
func delay(p Point, draw *rand.Rand, sleep bool) func() {
	often := uint32(1) << draw.IntN(8) // one in so many
	long := 1 + draw.IntN(20)
	kind := draw.IntN(8)
	var hold func()
	switch {
	case kind < 4:
		return nil
	case kind == 4 && sleep:
		often *= 8
		hold = func() { time.Sleep(time.Duration(long) * 10 * time.Microsecond) }
	case kind == 5:
		hold = func() { spin(long * 500) }
	default:
		hold = func() {
			for range long {
				runtime.Gosched()
			}
		}
	}
	var n atomic.Int32
	return func() {
		if rand.Uint32N(often) == 0 && n.Load() < most {
			n.Add(1)
			held[p].Add(1)
			hold()
		}
	}
}

//go:noinline
func spin(n int) {
	for range n {
		_ = holds[0].Load()
	}
}

// Held returns, for every point, how many delays there were so far.
func Held() map[Point]uint64 {
	m := make(map[Point]uint64, points)
	for p := range points {
		m[p] = held[p].Load()
	}
	return m
}
