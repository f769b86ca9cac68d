package machines

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/dedup"
)

// A Sharing is with whom a Member shares its loads.
type Sharing string

// The sharings.
const (
	OwnGroup  Sharing = "a dedup.Group each"
	AllGroup  Sharing = "vigil cluster.Group"
	OwnCache  Sharing = "a dedup.Cache each"
	AllCached Sharing = "dedup.Caches over vigil cluster.Group"
)

// Loads are requests of a Member, for keys of which the k-th is wanted in proportion to
// 1/k^1.1.
type Loads struct {
	Sharing    Sharing
	Name       string // different for each measurement
	Keys       int
	Goroutines int
	Requests   int // of each goroutine
	Took       time.Duration
	Seed       uint64
}

// Loaded says what came of Loads.
type Loaded struct{ Requests, Loads int }

// Load makes requests.
func (m *Member) Load(l Loads) (Loaded, error) { return tell[Loaded](m.machine, "load", l) }

func (m *member) load(l Loads) (Loaded, error) {
	if m.group == nil {
		return Loaded{}, errNotOpen
	}
	var loads atomic.Int64
	get, err := m.getter(l, func(context.Context) (int, error) {
		loads.Add(1)
		time.Sleep(l.Took)
		return 1, nil
	})
	if err != nil {
		return Loaded{}, err
	}
	err = each(l.Goroutines, l.Goroutines, func(ctx context.Context, i int) error {
		draw := rand.NewZipf(rand.New(rand.NewPCG(l.Seed, uint64(i))), 1.1, 1, uint64(l.Keys-1))
		for range l.Requests {
			if err := get(ctx, fmt.Sprintf("%s %d", l.Name, draw.Uint64())); err != nil {
				return err
			}
		}
		return nil
	})
	return Loaded{l.Goroutines * l.Requests, int(loads.Load())}, err
}

// getter returns a function that gets a key, and loads it if nobody else does.
func (m *member) getter(l Loads, load func(context.Context) (int, error)) (func(ctx context.Context, key string) error, error) {
	all := func(ctx context.Context, key string) (int, error) { return m.group.Do(ctx, key, load) }
	switch l.Sharing {
	case AllGroup:
		return func(ctx context.Context, key string) error { _, err := all(ctx, key); return err }, nil
	case OwnGroup:
		g := new(dedup.Group[string, int])
		return func(ctx context.Context, key string) error { _, _, err := g.Do(ctx, key, load); return err }, nil
	case OwnCache:
		return cached(func(ctx context.Context, _ string) (int, error) { return load(ctx) })
	case AllCached:
		return cached(all)
	}
	return nil, fmt.Errorf("machines: nobody shares loads as %q", l.Sharing)
}

func cached(load dedup.Loader[string, int]) (func(ctx context.Context, key string) error, error) {
	c, err := dedup.NewCache(load, nil)
	return func(ctx context.Context, key string) error { _, err := c.Get(ctx, key); return err }, err
}
