package dedup_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/dedup"
	"github.com/vigil-go/vigil/internal/testkit"
)

// TestRandomLoadsThatNeedLoads: loads call each other at random, also in cycles, by Get,
// GetMany and Refresh, one after the other and at the same time, while contexts end, keys
// are invalidated and loads panic. No call waits forever, which a bubble would report; no
// more loads run than there are slots, except for those that their caller has left; and
// all slots come back.
func TestRandomLoadsThatNeedLoads(t *testing.T) {
	for seed := range uint64(testkit.Scale(300, 60)) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			bubble(t, func(t *testing.T) { newRandomSite(t, seed).run() })
		})
	}
}

// A randomSite is a cache whose loads are random, or two that call each other.
type randomSite struct {
	*site
	other  *dedup.Cache[string, int]
	t      *testing.T
	mu     sync.Mutex
	r      *rand.Rand
	keys   int
	slots  int
	leaves bool // contexts may end early
}

func newRandomSite(t *testing.T, seed uint64) *randomSite {
	g := &randomSite{t: t, r: rand.New(rand.NewPCG(seed, 2))}
	g.keys, g.leaves = 2+g.r.IntN(10), g.r.IntN(2) == 0
	g.slots = g.r.IntN(4)
	o := &options{MaxLoads: g.slots}
	if g.r.IntN(2) == 0 {
		o.LoadMany = func(ctx context.Context, keys []string) (map[string]int, error) {
			found := make(map[string]int)
			for _, key := range keys {
				found[key], _ = g.load(ctx, key)
			}
			return found, nil
		}
	}
	g.site = &site{c: newCache(t, g.load, o)}
	if g.r.IntN(2) == 0 {
		g.other = newCache(t, g.load, &options{MaxLoads: 1 + g.r.IntN(2)})
	}
	return g
}

func (g *randomSite) intN(n int) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.r.IntN(n)
}

func (g *randomSite) load(ctx context.Context, key string) (int, error) {
	g.work()
	if len(key) > 2 { // one of requireAllSlots
		g.work()
		return 1, nil
	}
	for range g.intN(3) {
		g.ask(ctx)
	}
	if g.intN(10) == 0 {
		panic(errCause)
	}
	g.work()
	return 1, nil
}

// ask makes one call, or two at the same time.
func (g *randomSite) ask(ctx context.Context) {
	if g.leaves && g.intN(3) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(g.intN(20))*time.Millisecond)
		defer cancel()
	}
	var wg sync.WaitGroup
	for range 1 + g.intN(4)/3 {
		wg.Go(func() { g.note(g.call(ctx)) })
	}
	wg.Wait()
	if g.intN(5) == 0 {
		g.c.Invalidate(g.key())
	}
}

func (g *randomSite) key() string { return fmt.Sprint(g.intN(g.keys)) }

func (g *randomSite) call(ctx context.Context) error {
	c := g.c
	if g.other != nil && g.intN(2) == 0 {
		c = g.other
	}
	switch g.intN(4) {
	case 0:
		_, err := c.GetMany(ctx, []string{g.key(), g.key(), g.key()})
		return err
	case 1:
		return c.Refresh(ctx, g.key())
	default:
		return get(c, ctx, g.key()).err
	}
}

func (g *randomSite) note(err error) {
	_, panicked := errors.AsType[*dedup.PanicError](err)
	known := err == nil || panicked
	for _, e := range []error{dedup.ErrCycle, context.DeadlineExceeded, context.Canceled} {
		known = known || errors.Is(err, e)
	}
	if !known {
		g.t.Error(err)
	}
}

func (g *randomSite) run() {
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			for range 5 {
				g.ask(bg)
			}
		})
	}
	wg.Wait()
	time.Sleep(time.Minute) // loads that nobody waits for end, too
	slots := g.slots
	if slots == 0 {
		require.Zero(g.t, g.c.Stats().InFlight)
		return
	}
	if !g.leaves && g.other == nil {
		require.LessOrEqual(g.t, int(g.peak.Load()), slots)
	}
	requireAllSlots(g.t, g.c, slots)
}
