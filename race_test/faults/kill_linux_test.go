package faults_test

import (
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

func init() { roles["sender"] = sender }

// TestKilledUnderWakers checks that killing a process while others wake it costs
// them only those wakes: they continue, get an error where the death can be known,
// and wake the next process that is started in its place.
func TestKilledUnderWakers(t *testing.T) {
	needRings(t)
	nothingLeft(t)
	l := newLoop(t, nil)
	var k killing
	rounds := max(few(20), 3)
	for range rounds {
		k.round(t, l)
	}
	a := aimed(t)
	a.send(l, 1000, a.sent)
	all := a.received(1000)
	a.close()
	t.Logf("%d killed; %d wakes sent, %d of them to the dead, %d refused; the next one: %s",
		rounds, k.sent.Load(), k.since.Load(), k.refused.Load(), show(all))
	equal(t, all)
}

// killing counts wakes, and among them those since the target's death.
type killing struct {
	sent, since, refused atomic.Int64
	dead                 atomic.Bool // it may have ended
}

// round kills a target during sends and continues to send.
func (k *killing) round(t *testing.T, l *uringwake.Loop) {
	a := aimed(t)
	k.dead.Store(false)
	judge := func(i int, err error) { k.judge(a, i, err) }
	var over atomic.Bool
	var done sync.WaitGroup
	done.Go(func() {
		for !over.Load() {
			a.send(l, 50, judge)
		}
		a.send(l, 200, judge)
	})
	for enough := k.sent.Load() + 500; k.sent.Load() < enough; {
		runtime.Gosched()
	}
	k.dead.Store(true)
	a.kill()
	over.Store(true)
	done.Wait()
	// A process that holds a ring holds the files of the operations in flight.
	a.letGo()
	_, err := uringwake.PollFD(forever, a.pipe, unix.POLLERR)
	require.NoError(t, err)
	_, err = uringwake.Write(forever, a.pipe, []byte{1}, -1)
	require.ErrorIs(t, err, unix.EPIPE)
	a.close()
}

// judge counts a wake and checks its error. Once the target may be dead some errors
// are allowed, but none for wakes through shared memory or files.
func (k *killing) judge(a *aim, i int, err error) {
	k.sent.Add(1)
	dead := k.dead.Load()
	if dead {
		k.since.Add(1)
	}
	if err == nil {
		return
	}
	k.refused.Add(1)
	assert.True(a.t, dead, err)
	switch crossings[i].name {
	case "bytes":
		assert.ErrorIs(a.t, err, unix.EPIPE)
	case "messages":
		assert.True(a.t, errors.Is(err, unix.EOWNERDEAD) || errors.Is(err, unix.EBADFD), err)
	default:
		assert.NoError(a.t, err, crossings[i].name)
	}
}

// sender wakes its parent's ring until it is killed, and counts the wakes in shared
// memory.
func sender(t require.TestingT, parent line) {
	word, _ := share(t, parent.expect(t, "memory")[0])
	m, err := uringwake.NewMsgRing(inherited, 7, 3)
	require.NoError(t, err)
	for {
		m.Wake()
		require.NoError(t, m.Err())
		if word.Add(1) == 500 {
			parent.say(t, "many")
		}
	}
}

// TestKilledWhileItWakes checks that a process that is killed while it wakes a ring
// does no harm: the messages that it has sent arrive, and each is complete.
func TestKilledWhileItWakes(t *testing.T) {
	needRings(t)
	needMessages(t)
	if err := uringwake.HaveSendMsgRing(); err != nil {
		t.Skip("messages would be on their way when they count as sent: ", err)
	}
	nothingLeft(t)
	var got, foreign atomic.Int64
	l := newLoop(t, &uringwake.LoopOptions{Entries: 4, CQEntries: 4, OnMessage: func(u uint64, res int32) {
		if u != 7 || res != 3 {
			foreign.Add(1)
		}
		got.Add(1)
	}})
	rounds, total := max(few(20), 3), int64(0)
	for range rounds {
		total += killedSender(t, l, &got)
	}
	traffic(t, l, few(1000))
	t.Logf("%d killed; messages %d/%d", rounds, got.Load(), total)
	require.Zero(t, foreign.Load())
}

// killedSender returns how many messages a sender has sent when it was killed.
func killedSender(t *testing.T, l *uringwake.Loop, got *atomic.Int64) int64 {
	t.Helper()
	file, err := unix.MemfdCreate("count", unix.MFD_CLOEXEC)
	require.NoError(t, err)
	require.NoError(t, unix.Ftruncate(file, int64(os.Getpagesize())))
	word, unmap := share(t, file)
	defer unmap()
	before := got.Load()
	c := start(t, "sender", l.FD())
	c.say(t, "memory", file)
	closeAll(file)
	c.expect("many")
	c.kill()
	sent := int64(word.Load())
	for got.Load()-before < sent {
		runtime.Gosched()
	}
	flush(t, l)
	came := got.Load() - before
	require.LessOrEqual(t, came, sent+1, "one may have been sent but not counted")
	return came
}

// flush returns when l has taken what was in its ring.
func flush(t *testing.T, l *uringwake.Loop) {
	t.Helper()
	for range 3 {
		done := make(chan struct{})
		require.NoError(t, l.Post(func() { close(done) }))
		<-done
	}
}
