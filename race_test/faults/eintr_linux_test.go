package faults_test

import (
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// signals sends signals to threads of this process until it is stopped: one that
// the Go runtime uses itself, and one that the program has asked for.
type signals struct {
	sent    atomic.Int64
	stopped atomic.Bool
	done    sync.WaitGroup
	taken   chan os.Signal
}

// sendSignals makes send send signals repeatedly.
func sendSignals(t *testing.T, send func(s *signals)) *signals {
	s := &signals{taken: make(chan os.Signal, 1)}
	signal.Notify(s.taken, syscall.SIGUSR1)
	s.done.Go(func() {
		for !s.stopped.Load() {
			send(s)
			runtime.Gosched()
		}
	})
	t.Cleanup(s.stop)
	return s
}

// hit sends both signals to a thread, if it still exists.
func (s *signals) hit(tid int) {
	for _, sig := range []syscall.Signal{unix.SIGURG, unix.SIGUSR1} {
		if unix.Tgkill(os.Getpid(), tid, sig) == nil {
			s.sent.Add(1)
		}
	}
}

// atThread sends signals to a thread that stays, as soon as it has handled the last
// ones. Otherwise it would make no progress.
func atThread(tid int) func(s *signals) {
	return func(s *signals) {
		s.hit(tid)
		<-s.taken
	}
}

// atAllThreads does not wait, because a thread may end before it has handled its
// signals.
func atAllThreads(s *signals) {
	for _, tid := range threads() {
		s.hit(tid)
	}
}

func (s *signals) stop() {
	s.stopped.Store(true)
	s.done.Wait()
	signal.Stop(s.taken)
}

// threads returns all threads of the process.
func threads() (tids []int) {
	list, _ := os.ReadDir("/proc/self/task")
	for _, e := range list {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			tids = append(tids, tid)
		}
	}
	return tids
}

// threadOf returns the thread that runs l.
func threadOf(t *testing.T, l *uringwake.Loop) int {
	t.Helper()
	tid := make(chan int, 1)
	require.NoError(t, l.Post(func() { tid <- unix.Gettid() }))
	return <-tid
}

// TestSignalsBreakNoWait checks that signals, which interrupt waits in the kernel,
// do not end a wait of this module: each wake and each operation succeeds, and none
// reports EINTR.
func TestSignalsBreakNoWait(t *testing.T) {
	for name, d := range map[string]uringwake.Doorbell{"eventfd": uringwake.DoorbellEventFD, "messages": uringwake.DoorbellMsgRing} {
		t.Run(name, func(t *testing.T) {
			needRings(t)
			nothingLeft(t)
			l := newLoop(t, &uringwake.LoopOptions{Doorbell: d, SpinFor: -1})
			underSignals(t, l, atThread(threadOf(t, l)))
		})
	}
	t.Run("all threads", func(t *testing.T) {
		needRings(t)
		nothingLeft(t)
		underSignals(t, newLoop(t, nil), atAllThreads)
	})
}

// underSignals runs traffic until enough signals were sent.
func underSignals(t *testing.T, l *uringwake.Loop, send func(*signals)) {
	t.Helper()
	before := l.Stats()
	s := sendSignals(t, send)
	rounds := 0
	for enough := int64(few(15_000)); s.sent.Load() < enough || rounds == 0; rounds++ {
		traffic(t, l, few(1000))
	}
	s.stop()
	all := traffic(t, l, few(1000))
	after := l.Stats()
	t.Logf("%d signals, %d sleeps of the loop, %d rounds of: %s", s.sent.Load(), after.Sleeps-before.Sleeps, rounds, show(all))
}
