package soak_test

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/internal/testkit"
)

// leaky adds a leak to the rounds, once in a given number of operations.
func leaky(rounds []round, every int64, leak func()) []round {
	var done atomic.Int64
	var all []round
	for _, r := range rounds {
		all = append(all, func(w *worker) int {
			n := r(w)
			now := done.Add(int64(n))
			for range now/every - (now-int64(n))/every {
				leak()
			}
			return n
		})
	}
	return all
}

// The leaked objects are held here only, because a test may not leave them behind.
type loot struct {
	mu      sync.Mutex
	objects []*[16]byte
	files   []*os.File
	stay    chan struct{}
}

func (l *loot) object() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.objects = append(l.objects, new([16]byte))
}

func (l *loot) file() {
	f, err := os.Open(os.DevNull)
	if err != nil {
		panic(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files = append(l.files, f)
}

func (l *loot) goroutine() { go func() { <-l.stay }() }

func (l *loot) giveBack() {
	close(l.stay)
	for _, f := range l.files {
		f.Close()
	}
}

// TestSoakConvicts checks that a run of few operations finds leaks of one small
// object in 1000 operations, one file, and one goroutine in 10,000.
func TestSoakConvicts(t *testing.T) {
	if testkit.Race {
		t.Skip("takes long under the race detector, and checks only the counting")
	}
	l := &loot{stay: make(chan struct{})}
	defer l.giveBack()
	rounds := everything(t)
	for _, test := range []struct {
		metric string
		leak   func()
		every  int64
		ops    int // a third of them leaks about twice the slack
	}{
		{"heap objects", l.object, 1000, 1_800_000},
		{"fds", l.file, 10_000, 450_000},
		{"goroutines", l.goroutine, 10_000, 450_000},
	} {
		t.Run(test.metric, func(t *testing.T) {
			if test.metric == "fds" && take(0).counts[2] == 0 {
				t.Skip("there is no /proc/self/fd")
			}
			all := soak(leaky(rounds, test.every, test.leak), test.ops)
			t.Log(table(all))
			require.Contains(t, growing(all), test.metric)
		})
	}
}

// series returns samples in which one metric is given by f and the others are flat.
func series(metric int, f func(i int) int) (all []sample) {
	for i := range samples {
		s := sample{ops: i + 1, counts: [...]int{1 << 20, 10_000, 10, 10}}
		s.counts[metric] += f(i)
		all = append(all, s)
	}
	return all
}

// TestFlat checks which samples count as flat.
func TestFlat(t *testing.T) {
	for i, m := range counted {
		for name, f := range map[string]func(i int) int{
			"nothing":              func(int) int { return 0 },
			"a start":              func(i int) int { return min(i, samples/3) * m.slack },
			"less":                 func(i int) int { return -i * m.slack },
			"the slack":            func(i int) int { return i / (2 * samples / 3) * m.slack },
			"some that are off":    func(i int) int { return (i % 3 / 2) * 1000 * m.slack },
			"a high middle":        func(i int) int { return (i / (samples / 3) % 2) * 9 * m.slack },
			"noise of a tidy kind": func(i int) int { return i * 7919 % 13 * m.slack / 13 },
		} {
			require.Empty(t, growing(series(i, f)), "%s: %s", m.name, name)
		}
		for name, f := range map[string]func(i int) int{
			"a leak":                func(i int) int { return i * 3 * (m.slack + 2) / samples * 2 },
			"a step at the end":     func(i int) int { return i / (samples * 3 / 4) * (m.slack + 1) },
			"a leak and some noise": func(i int) int { return i*m.slack/4 + i*7919%13*m.slack/13 },
		} {
			require.Equal(t, []string{m.name}, growing(series(i, f)), "%s: %s", m.name, name)
		}
	}
}
