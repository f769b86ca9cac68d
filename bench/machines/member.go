package machines

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/engine/natsengine"
)

// A Member is a process with a Bucket of package cluster.
type Member struct{ *machine }

// MemberArgs are what a Member begins with.
type MemberArgs struct {
	Address string // of a NATS server
	Bucket  string
	Procs   int // GOMAXPROCS; zero means the default
}

// StartMember starts a process that has not opened its Bucket yet.
func StartMember(a MemberArgs) (*Member, error) {
	m, err := start("member", a)
	return &Member{m}, err
}

// A member is the state of a Member's process.
type member struct {
	MemberArgs
	bucket  *cluster.Bucket
	m       *cluster.Map[string]
	feed    *cluster.Map[stamp]
	group   *cluster.Group[int]
	arrived arrivals
	read    atomic.Int64 // bytes from the server
	waits   waits
}

func join(a MemberArgs) (*service, error) {
	if a.Procs > 0 {
		runtime.GOMAXPROCS(a.Procs)
	}
	m := &member{MemberArgs: a}
	return &service{orders: map[string]order{
		"open": on(m.open), "fill": on(m.fill),
		"wait": on(m.wait), "release": on(m.release),
		"load":  on(m.load),
		"write": on(m.write), "arrivals": on(m.arrivals),
	}, end: m.close}, nil
}

func (m *member) close() error {
	if m.bucket == nil {
		return nil
	}
	return m.bucket.Close()
}

// Opened says what it took to open a Bucket that has keys.
type Opened struct {
	Open, NewMap time.Duration
	Keys         int
	Before       uint64 // live heap, in bytes
	Raw          uint64 // the same, when Open has returned
	After        uint64 // the same, when NewMap has returned
	Taken        uint64 // heap taken from the system at most
}

// Open opens the Bucket, and makes a Map of it.
func (m *Member) Open() (Opened, error) { return tell[Opened](m.machine, "open", nil) }

func (m *member) open(*struct{}) (o Opened, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	o.Before = measure.Live()
	start := time.Now()
	quiet := slog.New(slog.DiscardHandler)
	engine, err := natsengine.Open(ctx, &natsengine.Options{
		Addresses: []string{m.Address}, Bucket: m.Bucket, Logger: quiet, Dialer: &countingDialer{&m.read},
	})
	if err != nil {
		return o, err
	}
	if m.bucket, err = cluster.Open(ctx, &cluster.Options{Engine: engine, Logger: quiet}); err != nil {
		return o, err
	}
	o.Open = time.Since(start)
	o.Raw = measure.Live()
	start = time.Now()
	if m.m, err = cluster.NewMap[string](m.bucket, &cluster.MapOptions{Codec: cluster.Raw}); err != nil {
		return o, err
	}
	o.NewMap, o.Keys = time.Since(start), m.m.Len()
	o.After = measure.Live()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	o.Taken = stats.HeapSys
	m.feed, err = cluster.NewMap[stamp](m.bucket, &cluster.MapOptions{Name: "feed", Codec: stampCodec{&m.arrived}})
	if err != nil {
		return o, err
	}
	m.group, err = cluster.NewGroup[int](m.bucket, nil)
	return o, err
}

// Fill is what to store: keys and values of so many bytes, by so many goroutines.
type Fill struct{ Keys, KeyBytes, ValueBytes, Goroutines int }

// Fill stores keys, and returns how long that took.
func (m *Member) Fill(f Fill) (time.Duration, error) {
	return tell[time.Duration](m.machine, "fill", f)
}

func (m *member) fill(f Fill) (time.Duration, error) {
	value := strings.Repeat("v", f.ValueBytes)
	start := time.Now()
	err := each(f.Goroutines, f.Keys, func(ctx context.Context, i int) error {
		_, err := m.m.Store(ctx, fmt.Sprintf("%0*d", f.KeyBytes, i), value)
		return err
	})
	return time.Since(start), err
}

// errEnough ends a goroutine of each.
var errEnough = errors.New("machines: enough")

// each calls f with the numbers below n in several goroutines.
func each(goroutines, n int, f func(ctx context.Context, i int) error) error {
	var next atomic.Int64
	g, ctx := errgroup.WithContext(context.Background())
	for range goroutines {
		g.Go(func() error {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				if err := f(ctx, i); err == errEnough {
					return nil
				} else if err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

var errNotOpen = errors.New("machines: the Bucket is not open")
