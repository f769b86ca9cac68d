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

// TestMain fails the run if any test left a goroutine behind. In a child it
// plays the role that its parent gave it.
func TestMain(m *testing.M) {
	warmUp()
	if role := os.Getenv(roleEnv); role != "" {
		roles[role](inChild{}, line(childLine))
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// warmUp has the runtime open what it keeps open.
func warmUp() {
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
}

// needRings skips if there are none. Else the process has its goroutine driver
// from now on, which it keeps.
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

// needMemory skips if rings, which count as locked memory on newer kernels, may
// have too little of it for a test.
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

// few is n, or a tenth of it with -short.
func few(n int) int {
	if testing.Short() {
		return n / 10
	}
	return n
}

// newLoop makes a loop that the test closes.
func newLoop(t *testing.T, o *uringwake.LoopOptions) *uringwake.Loop {
	t.Helper()
	l, err := uringwake.NewLoop(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close(context.Background())) })
	return l
}

// A ledger is what a process has that a fault could leave behind.
type ledger struct {
	fds        []string // number and file
	rings      int      // mappings of them
	heap       uint64
	goroutines goleak.Option
}

func open() ledger {
	l := ledger{goroutines: goleak.IgnoreCurrent()}
	maps, _ := os.ReadFile("/proc/self/maps")
	l.rings = strings.Count(string(maps), "io_uring")
	runtime.GC()
	runtime.GC() // what the first one has finalized, and pools
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	l.heap = m.HeapAlloc
	l.fds = descriptors()
	return l
}

// descriptors asks for each number: looking into /proc may need one.
func descriptors() (list []string) {
	for fd := range 1 << 10 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			to, _ := os.Readlink(fmt.Sprint("/proc/self/fd/", fd))
			list = append(list, fmt.Sprint(fd, " ", to))
		}
	}
	return list
}

// check finds what was not there when l was taken.
func (l ledger) check(t require.TestingT) {
	assert.NoError(t, goleak.Find(l.goroutines))
	now := open()
	added := slices.DeleteFunc(now.fds, func(fd string) bool { return slices.Contains(l.fds, fd) })
	assert.Empty(t, added, "descriptors left open")
	assert.LessOrEqual(t, now.rings, l.rings, "mappings of rings")
	assert.Less(t, now.heap, l.heap+4<<20, "heap")
}

// nothingLeft checks at the test's end that it has left nothing behind.
func nothingLeft(t *testing.T) {
	l := open()
	t.Cleanup(func() { l.check(t) })
}

// counts is what was sent and what was received, by the way that it took.
type counts struct {
	way       string
	sent, got int
}

func equal(t require.TestingT, all []counts) {
	for _, c := range all {
		assert.Equal(t, c.sent, c.got, c.way)
	}
}

// show is "way got/sent, ...".
func show(all []counts) string {
	var parts []string
	for _, c := range all {
		parts = append(parts, fmt.Sprintf("%s %d/%d", c.way, c.got, c.sent))
	}
	return strings.Join(parts, ", ")
}
