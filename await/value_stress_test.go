package await_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/internal/schedpoint"
	"github.com/vigil-go/vigil/internal/testkit"
)

// followers are the ways to follow a Value. Each calls saw for each version that it gets,
// until that returns false; some look away from time to time.
var followers = map[string]func(v *await.Value[uint64], r *rand.Rand, saw func(x, version uint64) bool){
	"WaitNewer": func(v *await.Value[uint64], _ *rand.Rand, saw func(x, version uint64) bool) {
		for n := uint64(0); ; {
			x, newer, err := v.WaitNewer(context.Background(), n)
			if n = newer; err != nil || !saw(x, n) {
				return
			}
		}
	},
	"WaitNewer, impatient": func(v *await.Value[uint64], r *rand.Rand, saw func(x, version uint64) bool) {
		for n := uint64(0); ; {
			ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(20))*time.Microsecond)
			x, newer, err := v.WaitNewer(ctx, n)
			cancel()
			if err != nil {
				continue
			}
			if n = newer; !saw(x, n) {
				return
			}
		}
	},
	"Watch": func(v *await.Value[uint64], _ *rand.Rand, saw func(x, version uint64) bool) {
		for x, err := range v.Watch(context.Background()) {
			if err != nil || !saw(x, x) {
				return
			}
		}
	},
	"Select": func(v *await.Value[uint64], r *rand.Rand, saw func(x, version uint64) bool) {
		for x, n := uint64(0), uint64(0); ; {
			i, err := await.Select(context.Background(), await.After(time.Duration(1+r.IntN(20))*time.Microsecond), v.OnNewer(n, &x, &n))
			if err != nil || i == 1 && !saw(x, n) {
				return
			}
		}
	},
	"two versions further": func(v *await.Value[uint64], _ *rand.Rand, saw func(x, version uint64) bool) {
		x, n, err := v.WaitNewer(context.Background(), 0)
		for err == nil && saw(x, n) {
			x, n, err = v.WaitNewer(context.Background(), n&^1+1) // there is an even number
		}
	},
}

// TestStressValueIsFollowed: each follower sees the last version, none twice, and none
// older than one that it saw before; each version with its value.
func TestStressValueIsFollowed(t *testing.T) {
	for name, follow := range followers {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(4) {
				stop := schedpoint.Shake(seed, false)
				followOne(t, seed, follow)
				stop()
			}
		})
	}
}

func followOne(t *testing.T, seed uint64, follow func(*await.Value[uint64], *rand.Rand, func(x, version uint64) bool)) {
	var v await.Value[uint64]
	const writers = 2
	each := testkit.Scale(5000, 500)
	last := uint64(writers * each)
	var all sync.WaitGroup
	for i := range uint64(3) {
		all.Go(func() {
			known := uint64(0)
			follow(&v, rand.New(rand.NewPCG(seed, i)), func(x, version uint64) bool {
				if x != version || version <= known {
					t.Errorf("%d of version %d after version %d", x, version, known)
				}
				known = version
				return version < last && !t.Failed()
			})
		})
	}
	for range writers {
		all.Go(func() {
			for i := range each {
				v.Update(func(old uint64) uint64 { return old + 1 })
				if i%64 == 0 {
					time.Sleep(time.Microsecond) // let them fall asleep
				}
			}
		})
	}
	all.Wait()
	if n := v.Waiters(); n != 0 {
		t.Errorf("%d waiters are left", n)
	}
}
