package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/cluster/engine"
)

// together calls f(0) to f(n-1) in goroutines, and waits for them.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { f(i) })
	}
	wg.Wait()
}

// A ledger has all writes that succeeded, as those who wrote know them.
type ledger struct {
	sync.Mutex
	writes []written
}

type written struct {
	revision uint64
	key      string
	value    string
	deleted  bool
}

func (l *ledger) put(t *testing.T, e engine.Engine, key, value string) {
	l.add(written{must(t, e, put(key, value)), key, value, false})
}

func (l *ledger) add(w written) {
	l.Lock()
	defer l.Unlock()
	l.writes = append(l.writes, w)
}

// reaches waits until that many writes succeeded, and reports false if over returned true.
func (l *ledger) reaches(n int, over func() bool) bool {
	for !over() {
		l.Lock()
		there := len(l.writes) >= n
		l.Unlock()
		if there {
			return true
		}
		runtime.Gosched()
	}
	return false
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// explains checks that each state of the view was the state of the bucket at its revision:
// that of all writes up to it, and of no other.
func (l *ledger) explains(t *testing.T, v *View) {
	l.Lock()
	defer l.Unlock()
	v.mu.Lock()
	defer v.mu.Unlock()
	slices.SortFunc(l.writes, func(a, b written) int { return int(a.revision) - int(b.revision) })
	bucket, next := map[string]engine.Entry{}, 0
	for i, m := range v.log {
		for ; next < len(l.writes) && l.writes[next].revision <= m.at.Revision; next++ {
			w := l.writes[next]
			require.True(t, next == 0 || l.writes[next-1].revision < w.revision, "two writes have revision %d", w.revision)
			delete(bucket, w.key)
			if !w.deleted {
				bucket[w.key] = engine.Entry{Value: []byte(w.value), Revision: w.revision}
			}
		}
		if len(bucket) != len(m.state) || i == len(v.log)-1 {
			require.Equal(t, bucket, m.state, "at revision %d", m.at.Revision)
		}
		for key, entry := range m.state {
			require.Equal(t, bucket[key].Revision, entry.Revision, "%q at revision %d", key, m.at.Revision)
			require.Equal(t, string(bucket[key].Value), string(entry.Value))
		}
	}
}

// testRandom: several engines write and watch while their connections are cut. Every state
// that a watcher had was one of the bucket.
func testRandom(t *testing.T, s *Store) {
	const engines, writers, writes = 3, 4, 60
	var log ledger
	type site struct {
		engine.Engine
		link *Link
		view *View
	}
	var sites []site
	for range engines {
		e, link := s.Open(t)
		sites = append(sites, site{e, link, watch(t, e, engine.Position{})})
	}
	var running [engines]atomic.Int32 // writers
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			if !log.reaches(40*(i+1), func() bool { return closed(stop) }) {
				return
			}
			link := sites[i%engines].link
			link.Hold()
			log.reaches(40*(i+1)+10, func() bool { // or no other engine writes any more
				return running[(i+1)%engines].Load()+running[(i+2)%engines].Load() == 0
			})
			link.Cut()
			link.Heal()
		}
	}()
	for i := range running {
		running[i].Store(writers)
	}
	together(engines*writers, func(i int) {
		defer running[i%engines].Add(-1)
		r := rand.New(rand.NewPCG(1, uint64(i)))
		for j := range writes {
			log.random(t, sites[i%engines].Engine, r, fmt.Sprint(i, "/", j))
		}
	})
	close(stop)
	<-stopped
	for _, site := range sites {
		site.link.Heal()
		site.view.has(site.Engine)
		log.explains(t, site.view)
		require.Equal(t, 1, site.view.Resets)
	}
}

// random makes a write. None is expected to have an unknown outcome, because only
// connections are cut.
func (l *ledger) random(t *testing.T, e engine.Engine, r *rand.Rand, value string) {
	w := engine.Write{Key: fmt.Sprint(r.IntN(5)), Value: []byte(value)}
	switch r.IntN(4) {
	case 0: // the key must be absent
	case 1:
		w.Unconditional = true
	case 2:
		w.Delete, w.Unconditional, w.Value = true, true, nil
	case 3:
		entry, ok, err := e.Get(context.Background(), w.Key, 0)
		if !assert.NoError(t, err) || !ok {
			return
		}
		w.Expected = entry.Revision
	}
	revision, err := e.Write(context.Background(), w)
	if errors.Is(err, engine.ErrConflict) {
		return
	}
	if assert.NoError(t, err) {
		l.add(written{revision, w.Key, value, w.Delete})
	}
}
