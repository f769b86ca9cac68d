package faults_test

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake"
)

// stopped reports whether the child is stopped.
func (c *child) stopped() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.cmd.Process.Pid))
	require.NoError(c.t, err)
	_, rest, _ := strings.Cut(string(stat), ") ")
	if strings.HasPrefix(rest, "Z") {
		c.expect("no end") // fails with the reason of the child's end
	}
	return strings.HasPrefix(rest, "T")
}

// TestWakesIntoAStoppedProcess checks that a stopped process does not block its
// wakers, and gets all wakes when it continues.
func TestWakesIntoAStoppedProcess(t *testing.T) {
	needRings(t)
	nothingLeft(t)
	l := newLoop(t, nil)
	a := aimed(t)
	sent := 0
	for range few(10) {
		a.send(l, 100, a.sent) // also while it runs
		a.signal(syscall.SIGSTOP)
		for !a.stopped() {
			runtime.Gosched()
		}
		a.send(l, 1000, a.sent)
		require.True(t, a.stopped(), "senders were held up")
		a.signal(syscall.SIGCONT)
		sent += 1100
	}
	all := a.received(sent)
	a.close()
	t.Log(show(all))
	equal(t, all)
}

// TestWakesIntoALoopThatIsHeld checks the same for a loop whose thread a task
// occupies: senders of all kinds return, and nothing is received before the task
// lets the loop continue.
func TestWakesIntoALoopThatIsHeld(t *testing.T) {
	for name, d := range map[string]uringwake.Doorbell{"eventfd": uringwake.DoorbellEventFD, "messages": uringwake.DoorbellMsgRing} {
		t.Run(name, func(t *testing.T) {
			needRings(t)
			nothingLeft(t)
			h := newHeld(t, d)
			n := few(20_000)
			sent := h.sendAll(n)
			for i := range h.got {
				require.Zero(t, h.got[i].Load(), "somebody ran")
			}
			close(h.release)
			all := h.all(sent)
			t.Log(show(all))
			equal(t, all)
		})
	}
}

// A held loop has a task that occupies its thread.
type held struct {
	t       *testing.T
	loop    *uringwake.Loop
	release chan struct{}
	sleeper *uringwake.Task
	given   atomic.Int64
	message *uringwake.MsgRing
	got     [4]atomic.Int64 // posts, tasks, messages, wakes
}

func newHeld(t *testing.T, d uringwake.Doorbell) *held {
	h := &held{t: t, release: make(chan struct{})}
	h.loop = newLoop(t, &uringwake.LoopOptions{Doorbell: d, SpinFor: -1, OnMessage: func(uint64, int32) { h.got[2].Add(1) }})
	if uringwake.HaveMsgRing() == nil {
		var err error
		h.message, err = uringwake.NewMsgRing(h.loop.FD(), 1, 0)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, h.message.Close()) })
	}
	self, holding := make(chan *uringwake.Task, 1), make(chan struct{})
	require.NoError(t, h.loop.Go(forever, func(ctx context.Context) {
		me := uringwake.TaskFrom(ctx)
		self <- me
		for ctx.Err() == nil {
			me.Park(ctx)
			h.got[3].Store(h.given.Load())
		}
	}))
	h.sleeper = <-self
	require.NoError(t, h.loop.Go(forever, func(context.Context) {
		close(holding)
		<-h.release
	}))
	<-holding
	return h
}

// sendAll sends n of each from goroutines and from a task of another loop, and
// returns how many of each that makes.
func (h *held) sendAll(n int) (sent int) {
	send := func() {
		for range n {
			assert.NoError(h.t, h.loop.Post(func() { h.got[0].Add(1) }))
			assert.NoError(h.t, h.loop.Go(forever, func(context.Context) { h.got[1].Add(1) }))
			if h.message != nil {
				h.message.Wake()
				assert.NoError(h.t, h.message.Err())
			}
			h.given.Add(1)
			h.sleeper.Wake()
		}
	}
	var all sync.WaitGroup
	for range 2 {
		all.Go(send)
	}
	fromTask := task(h.t, newLoop(h.t, nil), func(context.Context) int { send(); return 0 })
	fromTask()
	all.Wait()
	return 3 * n
}

// all waits until that many have come, and counts again when the loop is closed.
func (h *held) all(sent int) (all []counts) {
	for i, way := range []string{"posts", "tasks", "messages", "wakes"} {
		c := counts{way: way, sent: sent}
		if i == 2 && h.message == nil {
			c.sent = 0
		}
		for h.got[i].Load() < int64(c.sent) {
			runtime.Gosched()
		}
		all = append(all, c)
	}
	require.NoError(h.t, h.loop.Close(forever))
	for i := range all {
		all[i].got = int(h.got[i].Load())
	}
	return all
}
