package faults_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// TestMain fails the run if any test left a goroutine behind. In a child it runs
// the role that the parent chose.
func TestMain(m *testing.M) {
	warmUp()
	if role := os.Getenv(roleEnv); role != "" {
		roles[role](inChild{}, line(childLine))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// warmUp makes the runtime open what it keeps open.
func warmUp() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

// needRings skips the test if there are none. Otherwise the process has its
// goroutine driver from now on, and keeps it.
func needRings(t *testing.T) {
	t.Helper()
	err := uringwake.Supported()
	if errors.Is(err, errors.ErrUnsupported) {
		t.Skip(err)
	}
	require.NoError(t, err)
	needMemory(t)
	require.NoError(t, uringwake.Nop(context.Background()))
}

// needMemory skips the test if too little memory may be locked. On some kernels
// rings count as locked memory.
func needMemory(t *testing.T) {
	t.Helper()
	const enough = 4 << 20
	var l unix.Rlimit
	require.NoError(t, unix.Prlimit(0, unix.RLIMIT_MEMLOCK, nil, &l))
	if l.Cur >= enough {
		return
	}
	l.Cur, l.Max = enough, max(enough, l.Max)
	if err := unix.Prlimit(0, unix.RLIMIT_MEMLOCK, &l, nil); err != nil {
		t.Skip("too little memory may be locked: ", err)
	}
}

func needMessages(t *testing.T) {
	t.Helper()
	if err := uringwake.HaveMsgRing(); err != nil {
		t.Skip(err)
	}
}

// few returns n, or a tenth of it with -short.
func few(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// newLoop returns a loop that is closed when the test ends.
func newLoop(t *testing.T, o *uringwake.LoopOptions) *uringwake.Loop {
	t.Helper()
	l, err := uringwake.NewLoop(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close(context.Background())) })
	return l
}

// A ledger has what a fault could leave behind in a process.
type ledger struct {
	fds        []string // number and file
	rings      int      // mappings of rings
	heap       uint64
	goroutines goleak.Option
}

func open() ledger {
	l := ledger{goroutines: goleak.IgnoreCurrent()}
	maps, _ := os.ReadFile("/proc/self/maps")
	l.rings = strings.Count(string(maps), "io_uring")
	runtime.GC()
	runtime.GC() // collect what the first one has finalized, and pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	l.heap = m.HeapAlloc
	l.fds = descriptors()
	return l
}

// descriptors tries each number, because reading /proc may need a descriptor.
func descriptors() (list []string) {
	for fd := range 1 << 10 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			to, _ := os.Readlink(fmt.Sprint("/proc/self/fd/", fd))
			list = append(list, fmt.Sprint(fd, " ", to))
		}
	}
	return list
}

// check returns what was not there when l was taken.
func (l ledger) check(t require.TestingT) {
	assert.NoError(t, goleak.Find(l.goroutines))
	now := open()
	added := slices.DeleteFunc(now.fds, func(fd string) bool { return slices.Contains(l.fds, fd) })
	assert.Empty(t, added, "descriptors left open")
	assert.LessOrEqual(t, now.rings, l.rings, "mappings of rings")
	assert.Less(t, now.heap, l.heap+4<<20, "heap")
}

// nothingLeft checks at the end of the test that it has left nothing behind.
func nothingLeft(t *testing.T) {
	l := open()
	t.Cleanup(func() { l.check(t) })
}

// counts are the sent and the received wakes of each way.
type counts struct {
	way       string
	sent, got int
}

func equal(t require.TestingT, all []counts) {
	for _, c := range all {
		assert.Equal(t, c.sent, c.got, c.way)
	}
}

// show returns "way got/sent, ...".
func show(all []counts) string {
	var parts []string
	for _, c := range all {
		parts = append(parts, fmt.Sprintf("%s %d/%d", c.way, c.got, c.sent))
	}
	return strings.Join(parts, ", ")
}
