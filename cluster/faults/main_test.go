package faults_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/cluster/internal/lab"
)

var (
	long     = flag.Bool("long", false, "also run the tests that take more than a few seconds")
	duration = flag.Duration("duration", 5*time.Second, "duration of the random run")
	seed     = flag.Uint64("seed", 0, "seed of the random run; 0: another one each time")
)

func TestMain(m *testing.M) {
	lab.Register("worker", work)
	lab.Main()
	flag.Parse()
	allowed, _ := time.ParseDuration(flag.Lookup("test.timeout").Value.String())
	if allowed > 0 && *duration+patience > allowed {
		fmt.Fprintf(os.Stderr, "-duration %v needs -timeout 0, or a longer one\n", *duration)
		os.Exit(2)
	}
	goleak.VerifyTestMain(m)
}

// ttl is that of leases. It is long enough that a holder on a busy machine renews in time.
const ttl = 4 * time.Second

func onlyLong(t *testing.T) {
	t.Helper()
	if !*long {
		t.Skip("takes long: -long is not set")
	}
}

// A site is a Lab whose workers have opened a bucket.
type site struct {
	*lab.Lab
	t       *testing.T
	workers []*client
}

const stream = "KV_test"

// newSite starts three servers, and workers that open the bucket.
func newSite(t *testing.T, workers int, lo *lab.Options, oo *openOptions) *site {
	t.Helper()
	if lo == nil {
		lo = new(lab.Options)
	}
	if err := lab.Supported(lab.Proxies); err != nil {
		t.Skip(err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("processes cannot be stopped here")
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l, err := lab.New(ctx, lo)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	s := &site{Lab: l, t: t}
	for range workers {
		s.join(oo)
	}
	return s
}

// join starts one more worker.
func (s *site) join(o *openOptions) *client {
	s.t.Helper()
	if o == nil {
		o = new(openOptions)
	}
	p, err := s.Worker(string(rune('A'+len(s.workers))), "worker")
	require.NoError(s.t, err)
	c := &client{t: s.t, Process: p, options: *o}
	s.workers = append(s.workers, c)
	require.Empty(s.t, c.attach().result().Err)
	return c
}

// leader waits until the bucket has a leader, and returns it.
func (s *site) leader() *lab.Server {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	require.NoError(s.t, s.WaitLeader(ctx, stream))
	return s.Leader(ctx, stream)
}

func (s *site) must(err error) {
	s.t.Helper()
	require.NoError(s.t, err)
}
