//go:build vigil_yield

package yield

import (
	"math/rand/v2"
	"runtime"
	"sync/atomic"
	"time"
)

// On says whether this build has points.
const On = true

var (
	holds [points]atomic.Pointer[func()]
	held  [points]atomic.Uint64
)

// At is a point that somebody passes. It does not count: a counter would order
// all who pass for the race detector.
func At(p Point) {
	if f := holds[p].Load(); f != nil {
		(*f)()
	}
}

// Hold has everybody who passes p call f, in whose place he is and with the
// locks that he holds, until release is called. There is one f for a point.
func Hold(p Point, f func()) (release func()) {
	holds[p].Store(&f)
	return func() { holds[p].CompareAndSwap(&f, nil) }
}

// Shake holds up those who pass: which points, how often and how long is drawn
// from seed; who of those that pass is the runtime's to draw. Without sleep it
// only yields and spins, which a testing/synctest bubble does not notice.
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

// most is how often a Shake holds somebody up at one point: some points are
// passed thousands of times where others are once.
const most = 500

// delay draws what to do at a point: at every other one nothing, so that
// delays meet those who are fast.
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

// Held is how often somebody was held up by a Shake, of every point.
func Held() map[Point]uint64 {
	m := make(map[Point]uint64, points)
	for p := range points {
		m[p] = held[p].Load()
	}
	return m
}
