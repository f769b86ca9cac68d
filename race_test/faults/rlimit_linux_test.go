package faults_test

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/ring"
)

func init() {
	for name, try := range tries {
		roles["few descriptors: "+name] = func(t require.TestingT, parent line) { fewDescriptors(t, parent, try) }
		roles["few descriptors, asked: "+name] = func(t require.TestingT, parent line) {
			askAll(t)
			fewDescriptors(t, parent, try)
		}
	}
	roles["little memory: loop"] = littleMemoryForLoops
	roles["little memory: buffers"] = littleMemoryForBuffers
}

// tries create something, use it and close it.
var tries = map[string]func(t require.TestingT) error{
	"loop, eventfd":  loopOf(uringwake.DoorbellEventFD),
	"loop, messages": loopOf(uringwake.DoorbellMsgRing),
	"loop, auto":     loopOf(uringwake.DoorbellAuto),
	"runtime":        tryRuntime,
	"ring":           tryRing,
	"EventFD":        tryEventFD,
	"MsgRing":        tryMsgRing,
	"goroutine":      func(require.TestingT) error { return uringwake.Nop(forever) },
}

func loopOf(d uringwake.Doorbell) func(t require.TestingT) error {
	return func(t require.TestingT) error {
		l, err := uringwake.NewLoop(&uringwake.LoopOptions{Doorbell: d, SpinFor: -1})
		if err == nil {
			works(t, l)
		}
		return err
	}
}

// works uses a loop in ways that need no descriptors, and closes it.
func works(t require.TestingT, l *uringwake.Loop) {
	const n = 100
	require.Equal(t, n, wakes(t, l, n))
	require.Equal(t, n, posts(t, l, n))
	require.NoError(t, l.Close(forever))
}

func tryRuntime(t require.TestingT) error {
	r, err := uringwake.NewRuntime(&uringwake.RuntimeOptions{Loops: 3})
	if err != nil {
		return err
	}
	for _, l := range r.Loops() {
		works(t, l)
	}
	return r.Close(forever)
}

func tryRing(t require.TestingT) error {
	r, err := ring.Setup(4, nil)
	if err != nil {
		return err
	}
	r.SQ().GetSQE().PrepNop()
	for r.CQ().Peek() == nil {
		if _, err := r.SQ().SubmitAndWait(1); err != nil {
			require.ErrorIs(t, err, unix.EINTR)
		}
	}
	return r.Close()
}

func tryEventFD(t require.TestingT) error {
	e, err := uringwake.NewEventFD()
	if err != nil {
		return err
	}
	e.Wake()
	var buf [8]byte
	_, err = unix.Read(e.FD(), buf[:])
	require.NoError(t, err)
	return e.Close()
}

func tryMsgRing(t require.TestingT) error {
	r, err := ring.Setup(4, nil)
	if err != nil {
		return err
	}
	m, err := uringwake.NewMsgRing(r.FD(), 5, 0)
	if err != nil {
		return errors.Join(err, r.Close())
	}
	m.Wake()
	for r.CQ().Peek() == nil && m.Err() == nil {
		if err := r.CQ().GetEvents(); err != nil {
			require.ErrorIs(t, err, unix.EINTR)
		}
	}
	return errors.Join(m.Err(), m.Close(), r.Close())
}

// askAll makes the process find out in advance what the kernel supports, which also
// needs descriptors.
func askAll(t require.TestingT) {
	require.NoError(t, uringwake.Supported())
	uringwake.HaveMsgRing()
	uringwake.HaveSendMsgRing()
}

// TestDescriptorsAtTheEdge checks, for every number of descriptors left, that
// things are created and work or fail and leave nothing open, and that they can be
// created in the same process once there are enough.
func TestDescriptorsAtTheEdge(t *testing.T) {
	for name := range tries {
		for _, when := range []string{"few descriptors: ", "few descriptors, asked: "} {
			t.Run(when+name, func(t *testing.T) {
				needRings(t)
				if name == "MsgRing" {
					needMessages(t)
				}
				nothingLeft(t)
				c := start(t, when+name)
				enough := c.number()
				c.ends()
				t.Logf("fails with 0 to %d descriptors left, works with %d to %d", enough-1, enough, enough+3)
				require.Positive(t, enough)
			})
		}
	}
}

// fewDescriptors tries with none left, then with one more each time.
func fewDescriptors(t require.TestingT, parent line, try func(t require.TestingT) error) {
	lowest, enough := fillHoles(t), -1
	for left := 0; enough < 0 || left <= enough+3; left++ {
		before := open()
		limit(t, unix.RLIMIT_NOFILE, uint64(lowest+left))
		err := try(t)
		limit(t, unix.RLIMIT_NOFILE, 256)
		if err == nil && enough < 0 {
			enough = left
			continue // the process keeps what the first one has created
		}
		if enough < 0 {
			require.ErrorIs(t, err, unix.EMFILE)
			require.NotErrorIs(t, err, errors.ErrUnsupported)
			require.Less(t, left, 32, "never enough")
		} else {
			require.NoError(t, err, "with %d left, but not with %d", left, enough)
		}
		before.check(t)
	}
	parent.say(t, enough)
}

// fillHoles uses all numbers below the highest in use, so that the limit determines
// how many are left. It returns the first free number.
func fillHoles(t require.TestingT) int {
	highest := 0
	for fd := range 256 {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err == nil {
			highest = fd
		}
	}
	for {
		fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		if fd > highest {
			require.NoError(t, unix.Close(fd))
			return fd
		}
	}
}

func limit(t require.TestingT, resource int, soft uint64) {
	var old unix.Rlimit
	require.NoError(t, unix.Prlimit(0, resource, nil, &old))
	require.NoError(t, unix.Prlimit(0, resource, &unix.Rlimit{Cur: soft, Max: old.Max}, nil))
}

// TestLockedMemoryAtTheEdgeOfALoop checks, for every amount of memory that may be
// locked, that a loop is created and works or fails and leaves nothing behind.
// Whether a ring counts depends on the kernel.
func TestLockedMemoryAtTheEdgeOfALoop(t *testing.T) {
	t.Log(littleMemory(t, "little memory: loop"))
}

// TestLockedMemoryAtTheEdgeOfBuffers checks registered buffers, which count on
// every kernel: with a limit of one page less than their size none of them is
// registered.
func TestLockedMemoryAtTheEdgeOfBuffers(t *testing.T) {
	t.Log(littleMemory(t, "little memory: buffers"))
}

// littleMemory runs a child that tries all limits, and returns its answer.
func littleMemory(t *testing.T, role string) string {
	t.Helper()
	needRings(t)
	nothingLeft(t)
	c := start(t, role)
	word, _, err := c.hear()
	require.NoError(t, err, "the child: %s", &c.stderr)
	c.ends()
	if word == cannot {
		t.Skip(word)
	}
	return word
}

const cannot = "cannot become a user whose locked memory counts"

// beNobody makes the user of this process one whose locked memory counts. The
// kernel counts by user, so it must be one without other locked memory.
func beNobody() bool {
	uid := 50_000 + os.Getpid()%10_000
	if errors.Join(syscall.Setgroups(nil), syscall.Setgid(uid), syscall.Setuid(uid)) != nil {
		return false
	}
	return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) == nil // otherwise /proc/self belongs to root
}

var page = os.Getpagesize()

func littleMemoryForLoops(t require.TestingT, parent line) {
	if !beNobody() {
		parent.say(t, cannot)
		return
	}
	const most = 32
	failed, worked := 0, 0
	for pages := range uint64(most + 1) {
		before := open()
		limit(t, unix.RLIMIT_MEMLOCK, pages*uint64(page))
		l, err := uringwake.NewLoop(&uringwake.LoopOptions{Entries: 16, SpinFor: -1})
		if err == nil {
			works(t, l)
			worked++
		} else {
			require.ErrorIs(t, err, unix.ENOMEM)
			require.NotErrorIs(t, err, errors.ErrUnsupported)
			failed++
		}
		before.check(t)
	}
	require.Positive(t, worked, "of %d", most)
	parent.say(t, fmt.Sprintf("of %d limits a loop worked with %d, and failed with %d", most+1, worked, failed))
}

func littleMemoryForBuffers(t require.TestingT, parent line) {
	if !beNobody() {
		parent.say(t, cannot)
		return
	}
	const most = 8
	r, err := ring.Setup(4, nil)
	require.NoError(t, err)
	memory, err := unix.Mmap(-1, 0, most*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	require.NoError(t, err)
	before, ringHas := open(), 0
	for pages := 1; pages <= most; pages++ {
		enough := 0
		for register(t, r, memory[:pages*page], enough) != nil {
			enough++
		}
		require.GreaterOrEqual(t, enough, pages)
		if pages == 1 {
			ringHas = enough - 1
		}
		require.Equal(t, ringHas+pages, enough, "pages for %d", pages)
	}
	before.check(t)
	require.NoError(t, r.Close())
	require.NoError(t, unix.Munmap(memory))
	parent.say(t, fmt.Sprintf("a page of %d too little was refused; the ring has %d itself", most, ringHas))
}

// register registers memory and unregisters it, with that many pages to lock.
func register(t require.TestingT, r *ring.Ring, memory []byte, pages int) error {
	limit(t, unix.RLIMIT_MEMLOCK, uint64(pages*page))
	if err := r.Registrar().RegisterBuffers([][]byte{memory}); err != nil {
		require.ErrorIs(t, err, unix.ENOMEM)
		require.ErrorIs(t, r.Registrar().UnregisterBuffers(), unix.ENXIO, "there are some")
		return err
	}
	require.NoError(t, r.Registrar().UnregisterBuffers())
	return nil
}
