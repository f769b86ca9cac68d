package clusterdebug_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/vigil-go/vigil/cluster"
	"github.com/vigil-go/vigil/cluster/clusterdebug"
	"github.com/vigil-go/vigil/cluster/engine/natsengine"
	"github.com/vigil-go/vigil/vigildebug"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns the buckets of two processes, as far as they can tell.
func open(t *testing.T) (server *natsengine.Server, ours, theirs *cluster.Bucket) {
	server, err := natsengine.StartServer(&natsengine.ServerOptions{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	bucket := func() *cluster.Bucket {
		e, err := natsengine.Open(t.Context(), &natsengine.Options{Bucket: "test", Server: server, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		b, err := cluster.Open(t.Context(), &cluster.Options{Engine: e, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, b.Close()) })
		return b
	}
	return server, bucket(), bucket()
}

func TestBucketShowsLeasesAndWaits(t *testing.T) {
	t.Parallel()
	_, ours, theirs := open(t)
	var r vigildebug.Registry
	unregister := clusterdebug.Bucket("b <i>", ours, vigildebug.In(&r), vigildebug.ShowKeys())
	mutex, err := cluster.NewMutex(theirs, &cluster.MutexOptions{Name: "leader", TTL: time.Hour})
	require.NoError(t, err)
	fence, err := mutex.Lock(t.Context())
	require.NoError(t, err)
	group, err := cluster.NewGroup[int](ours, &cluster.GroupOptions{Name: "<i>", TTL: time.Hour})
	require.NoError(t, err)
	semaphore, err := cluster.NewSemaphore(ours, &cluster.SemaphoreOptions{Name: "exports", Permits: 1, TTL: time.Hour})
	require.NoError(t, err)
	permit, err := semaphore.Acquire(t.Context())
	require.NoError(t, err)
	jobs, err := cluster.NewMap[int](ours, nil)
	require.NoError(t, err)
	_, err = jobs.Store(t.Context(), "stored", 1)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	begun, end, done := make(chan struct{}), make(chan struct{}), make(chan struct{}, 2)
	go func() {
		group.Do(ctx, "<page>", func(context.Context) (int, error) { close(begun); <-end; return 0, nil })
		done <- struct{}{}
	}()
	<-begun
	go func() { jobs.Wait(ctx, "job"); done <- struct{}{} }()
	for jobs.Waiters("job") == 0 {
		runtime.Gosched()
	}

	thing := r.Snapshot().Things[0]
	require.Empty(t, thing.Error)
	got := make(map[string]float64)
	for _, m := range thing.Metrics {
		got[m.Name] = m.Value
	}
	for name, want := range map[string]float64{
		"lag_revisions": 0, "reachable": 1, "keys": 4, "maps": 1, "groups": 1, "caches": 0, "mutexes": 0,
		"semaphores": 1, "notifies": 0, "leases": 3, "own_leases": 2, "awaited_keys": 2, "waiters": 2,
	} {
		require.Equal(t, want, got[name], name)
	}
	require.GreaterOrEqual(t, got["revision"], 3.0)
	require.Equal(t, vigildebug.Fact{Name: "engine", Text: "answers"}, thing.Facts[1])
	require.Equal(t, ours.Stats(t.Context()).History, thing.Facts[0].Text)
	slices.SortFunc(thing.Leases, func(a, b vigildebug.Lease) int { return strings.Compare(a.In, b.In) })
	require.Equal(t, "Group <i>", thing.Leases[0].In)
	require.Equal(t, "<page>", thing.Leases[0].Key)
	require.True(t, thing.Leases[0].Ours)
	require.Equal(t, "Mutex leader", thing.Leases[1].In)
	require.False(t, thing.Leases[1].Ours)
	require.Equal(t, fence, thing.Leases[1].Fence)
	require.Equal(t, "Semaphore exports", thing.Leases[2].In)
	require.Equal(t, "0", thing.Leases[2].Key)
	require.Equal(t, permit.Fence(), thing.Leases[2].Fence)
	require.Len(t, thing.Waits, 2)

	w := httptest.NewRecorder()
	r.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	require.Contains(t, w.Body.String(), "Group &lt;i&gt;")
	require.NotContains(t, w.Body.String(), "<i>")
	require.NotContains(t, w.Body.String(), "<page>")

	close(end)
	cancel()
	<-done
	<-done
	unregister()
	require.Empty(t, r.Snapshot().Things)
}

// TestBucketOfAServerThatIsGone: the page is there all the same, and says so.
func TestBucketOfAServerThatIsGone(t *testing.T) {
	t.Parallel()
	server, ours, _ := open(t)
	var r vigildebug.Registry
	defer clusterdebug.Bucket("b", ours, vigildebug.In(&r))()
	require.NoError(t, server.Close())
	thing := r.Snapshot().Things[0]
	require.Equal(t, "engine", thing.Facts[1].Name)
	require.Contains(t, thing.Facts[1].Text, context.DeadlineExceeded.Error())
	metrics, err := json.Marshal(thing.Metrics)
	require.NoError(t, err)
	require.Contains(t, string(metrics), `"reachable":0`)
}

func TestBucketThatIsNil(t *testing.T) {
	require.PanicsWithValue(t, "clusterdebug: nil Bucket", func() { clusterdebug.Bucket("b", nil) })
}
