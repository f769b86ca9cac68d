package uringnet_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/uringnet"
)

// The campaign ends each operation in each of its states in each way, in a goroutine and in
// a task, looks at the error, at what the kernel does with the buffer afterwards, and at
// whether the connection, if it is not closed, works on and has lost no byte.

const (
	inLine  = "in line" // behind another one
	starts  = "starts"  // the end comes first
	waits   = "waits"   // a task's operation is in the kernel; a goroutine sleeps
	byDone  = "done"
	byStop  = "canceled"
	byTime  = "deadline"
	byClose = "closed"
	byLoop  = "loop closed"
	byPeer  = "peer gone"
)

var (
	campaignOps    = []string{"read", "write", "writev", "readfrom", "accept", "dial"}
	campaignStates = []string{starts, inLine, waits}
	campaignEnds   = []string{byDone, byStop, byTime, byClose, byLoop, byPeer}
)

type transition struct{ world, op, state, end string }

func (x transition) possible() bool {
	switch {
	case x.end == byLoop && x.world != "task":
		return false
	case x.op == "accept":
		return x.end != byPeer
	case x.op == "dial": // a listener that is full makes no room
		return x.state != inLine && (x.end != byDone || x.state == starts)
	}
	return true
}

// rounds is how often the campaign sees x. A dial that waits finds out after a second that
// nobody listens any more, when the kernel tries again.
func (x transition) rounds() int {
	if x.op == "dial" && x.state == waits && x.end == byPeer {
		return 1
	}
	return 3
}

func allTransitions() (all []transition) {
	for _, world := range []string{"goroutine", "task"} {
		for _, op := range campaignOps {
			for _, state := range campaignStates {
				for _, end := range campaignEnds {
					if x := (transition{world, op, state, end}); x.possible() {
						all = append(all, x)
					}
				}
			}
		}
	}
	return all
}

// TestCampaign sees all transitions, most of them several times.
func TestCampaign(t *testing.T) {
	skipWithoutRing(t)
	memory, file, busy := newGuarded(t), fileOf(t, make([]byte, guardedSize)), full(t)
	warm(t)
	seen, open := make(map[transition]int), descriptors(t)
	for round := range 3 {
		for _, x := range allTransitions() {
			if round >= x.rounds() {
				continue
			}
			v := &victim{transition: x, t: t, memory: memory, file: file, busy: busy.String()}
			v.run()
			seen[x]++
			memory.check(t, x)
		}
	}
	require.LessOrEqual(t, descriptors(t), open)
	t.Log(campaignTable(seen))
	for _, x := range allTransitions() {
		require.Equal(t, x.rounds(), seen[x], x)
	}
}

// warm opens the ring of goroutines and the netpoller's descriptors.
func warm(t *testing.T) {
	a, b := pair(t, "unix")
	exchange(t, world{t, nil}, a, b)
	require.NoError(t, a.Close())
	require.NoError(t, b.Close())
}

func campaignTable(seen map[transition]int) string {
	var b strings.Builder
	for _, world := range []string{"goroutine", "task"} {
		fmt.Fprintf(&b, "\n%-20s", world)
		for _, end := range campaignEnds {
			fmt.Fprintf(&b, "%12s", end)
		}
		for _, op := range campaignOps {
			for _, state := range campaignStates {
				fmt.Fprintf(&b, "\n  %-9s%-9s", op, state)
				for _, end := range campaignEnds {
					n := "-"
					if x := (transition{world, op, state, end}); x.possible() {
						n = fmt.Sprint(seen[x])
					}
					fmt.Fprintf(&b, "%12s", n)
				}
			}
		}
	}
	return b.String()
}

// guarded is memory whose first and last pages nobody may touch. What was returned to its
// owner must not change any more.
type guarded struct {
	all, buf []byte
	canary   []byte
}

const guardedSize = 256 << 10

func newGuarded(t *testing.T) *guarded {
	page := unix.Getpagesize()
	all, err := unix.Mmap(-1, 0, guardedSize+2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(all)) })
	require.NoError(t, unix.Mprotect(all[:page], unix.PROT_NONE))
	require.NoError(t, unix.Mprotect(all[page+guardedSize:], unix.PROT_NONE))
	g := &guarded{all: all, buf: all[page : page+guardedSize], canary: bytes.Repeat([]byte{0xa5}, guardedSize)}
	copy(g.buf, g.canary)
	return g
}

// seal makes the buffer canaries, when the operation has returned.
func (g *guarded) seal() { copy(g.buf, g.canary) }

func (g *guarded) check(t *testing.T, x transition) {
	require.True(t, bytes.Equal(g.canary, g.buf), "written after its end: %v", x)
}

// A victim is one operation that is ended.
type victim struct {
	transition
	t      *testing.T
	memory *guarded
	file   string // what readfrom reads
	busy   string // an address at which a dial waits

	w      world
	c      *uringnet.Conn // the operation is on c, or on l
	l      *uringnet.Listener
	peer   net.Conn
	shut   func() // ends the listener at busy, where a dial waits
	dialed atomic.Pointer[syscall.RawConn]
	ctx    context.Context
	cancel context.CancelFunc
	n      int64
	err    error
}

func (v *victim) run() {
	v.w = world{v.t, nil}
	if v.world == "task" {
		v.w.loop = newLoopUnclosed(v.t)
	}
	v.prepare()
	if v.state == starts {
		v.endFirst()
	} else {
		v.endLater()
	}
	v.memory.seal()
	v.check()
	v.cleanUp()
}

func newLoopUnclosed(t *testing.T) *uringwake.Loop {
	l, err := uringwake.NewLoop(&uringwake.LoopOptions{SpinFor: -1})
	require.NoError(t, err)
	return l
}

func (v *victim) prepare() {
	v.ctx, v.cancel = context.WithCancel(bg)
	if v.op == "accept" || v.op == "dial" {
		l, err := uringnet.Listen(bg, "unix", "")
		require.NoError(v.t, err)
		v.l = l
		if v.op == "dial" && v.end == byPeer {
			var addr net.Addr
			addr, v.shut = fullUntil(v.t)
			v.busy = addr.String()
		}
		return
	}
	l, err := net.Listen("unix", "") // a name of the kernel's choice
	require.NoError(v.t, err)
	defer l.Close()
	v.c, err = uringnet.Dial(bg, "unix", l.Addr().String())
	require.NoError(v.t, err)
	require.NoError(v.t, v.c.SetWriteBuffer(4096))
	v.peer, err = l.Accept()
	require.NoError(v.t, err)
}
