package uringwake

import (
	"context"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// The polls of a doorbell have names without end, all of its kind: the end of the
// last one before they start anew is seen as that of any other, and so is the next
// one's.
func TestPollsOfADoorbellStartAnew(t *testing.T) {
	l := manual(t, byEventFD)
	l.poll = pollData | (generations-1)<<32
	l.unarmed = true
	for _, want := range []userData{generations, 0, 1} {
		l.arm()
		l.Enter(0)
		require.Equal(t, pollData|want<<32, l.poll)
		l.EndPoll()
		for !l.unarmed { // else the end of a poll is not seen
			l.Enter(0)
		}
	}
	l.arm()
	l.bell.signal()
	l.sleep() // and a ring wakes
	require.Equal(t, uint64(1), l.count.Sleeps)
}

// The name of an operation or a poll cannot be guessed.
func TestNamesBeginAtRandom(t *testing.T) {
	manual(t, byEventFD) // or skip
	firsts, polls := map[userData]bool{}, map[userData]bool{}
	for range 4 {
		var tb table
		o := new(op)
		tb.add(o)
		firsts[o.id] = true
		l := ManualLoop(t, byEventFD)
		polls[l.poll] = true
		l.endBase(nil)
		require.NoError(t, l.ring.Close())
		l.bell.close()
	}
	require.Greater(t, len(firsts), 1)
	require.Greater(t, len(polls), 1)
}

// A waker with a name that is not its own is an error, whatever descriptor names the
// ring by: a loop's own completions are its own, and the goroutines' ring's too.
// Other rings take all.
func TestMsgRingDoesNotForge(t *testing.T) {
	l := hostileLoop(t)
	if err := HaveMsgRing(); err != nil {
		t.Skip(err)
	}
	x := UseGoroutineDriver(t, 4, 8)
	foreign, err := ring.Setup(4, nil)
	require.NoError(t, err)
	defer foreign.Close()
	dup, err := unix.FcntlInt(uintptr(l.FD()), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	defer unix.Close(dup)
	const forged = 1<<63 | 1<<32
	for name, c := range map[string]struct {
		fd       int
		userData uint64
		refused  bool
	}{
		"operation":            {l.FD(), forged, true},
		"doorbell":             {l.FD(), uint64(messageData), true},
		"by another number":    {dup, forged, true},
		"goroutines":           {x.d.ring.FD(), forged, true},
		"message":              {l.FD(), 1<<63 - 1, false},
		"message by a dup":     {dup, 1, false},
		"somebody else's ring": {foreign.FD(), forged, false},
	} {
		m, err := NewMsgRing(c.fd, c.userData, 5)
		if c.refused {
			require.ErrorIs(t, err, unix.EINVAL, name)
			require.ErrorContains(t, err, "own operations", name)
			continue
		}
		require.NoError(t, err, name)
		m.Wake()
		require.NoError(t, m.Err(), name)
		require.NoError(t, m.Close())
	}
	for x.InFlight() != 0 { // where messages are sent by way of it
		runtime.Gosched()
	}
	number := l.FD()
	require.NoError(t, l.Close(context.Background()))
	require.False(t, ownRing(number), "closed")
	require.False(t, ownRing(-1))
}
