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

// A storm sends signals to threads of this process until it is stopped: one that
// the Go runtime uses itself, and one that the program has asked for.
type storm struct {
	sent    atomic.Int64
	stopped atomic.Bool
	done    sync.WaitGroup
	taken   chan os.Signal
}

// storming has send send signals, again and again.
func storming(t *testing.T, send func(s *storm)) *storm {
	s := &storm{taken: make(chan os.Signal, 1)}
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

// hit sends both signals to a thread, if it is there still.
func (s *storm) hit(tid int) {
	for _, sig := range []syscall.Signal{unix.SIGURG, unix.SIGUSR1} {
		if unix.Tgkill(os.Getpid(), tid, sig) == nil {
			s.sent.Add(1)
		}
	}
}

// atThread sends to a thread that stays, as soon as it has taken the last ones:
// it would get nothing done else.
func atThread(tid int) func(s *storm) {
	return func(s *storm) {
		s.hit(tid)
		<-s.taken
	}
}

// atAllThreads does not wait: a thread may end before it has taken its signals.
func atAllThreads(s *storm) {
	for _, tid := range threads() {
		s.hit(tid)
	}
}

func (s *storm) stop() {
	s.stopped.Store(true)
	s.done.Wait()
	signal.Stop(s.taken)
}

// threads are all that the process has now.
func threads() (tids []int) {
	list, _ := os.ReadDir("/proc/self/task")
	for _, e := range list {
		if tid, err := strconv.Atoi(e.Name()); err == nil {
			tids = append(tids, tid)
		}
	}
	return tids
}

// threadOf is the thread that runs l.
func threadOf(t *testing.T, l *uringwake.Loop) int {
	t.Helper()
	tid := make(chan int, 1)
	require.NoError(t, l.Post(func() { tid <- unix.Gettid() }))
	return <-tid
}

// Signals end waits in the kernel, but no wait of ours: each wake and each
// operation comes through, and none reports EINTR.
func TestSignalsBreakNoWait(t *testing.T) {
	for name, d := range map[string]uringwake.Doorbell{"eventfd": uringwake.DoorbellEventFD, "messages": uringwake.DoorbellMsgRing} {
		t.Run(name, func(t *testing.T) {
			needRings(t)
			nothingLeft(t)
			l := newLoop(t, &uringwake.LoopOptions{Doorbell: d, SpinFor: -1})
			stormy(t, l, atThread(threadOf(t, l)))
		})
	}
	t.Run("all threads", func(t *testing.T) {
		needRings(t)
		nothingLeft(t)
		stormy(t, newLoop(t, nil), atAllThreads)
	})
}

// stormy has traffic until enough signals were sent.
func stormy(t *testing.T, l *uringwake.Loop, send func(*storm)) {
	t.Helper()
	before := l.Stats()
	s := storming(t, send)
	rounds := 0
	for enough := int64(few(15_000)); s.sent.Load() < enough || rounds == 0; rounds++ {
		traffic(t, l, few(1000))
	}
	s.stop()
	all := traffic(t, l, few(1000))
	after := l.Stats()
	t.Logf("%d signals, %d sleeps of the loop, %d rounds of: %s", s.sent.Load(), after.Sleeps-before.Sleeps, rounds, show(all))
}
