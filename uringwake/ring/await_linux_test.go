package ring

import (
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// Head is read before the tail: while another goroutine reads, the count would
// otherwise be less than nothing, and so as large as can be.
func TestCountBesideAReaderNeverUnderflows(t *testing.T) {
	var head, tail uint32
	q := &CompletionQueue{khead: &head, ktail: &tail, entries: 4}
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		for range 300_000 { // the kernel, then a reader
			atomic.AddUint32(&tail, 1)
			atomic.AddUint32(&head, 1)
			runtime.Gosched() // else head never stays long enough to be seen twice
		}
	}()
	for last := uint32(0); ; {
		came, held := q.since(0)
		if held > 1 || came < last {
			require.Failf(t, "wrong count", "%d held, %d came after %d", held, came, last)
		}
		last = came
		select {
		case <-stop:
			return
		default:
		}
	}
}

func TestTimespecDuration(t *testing.T) {
	for _, test := range []struct {
		ts   Timespec
		want time.Duration
	}{
		{Timespec{}, 0},
		{Timespec{Sec: 2, Nsec: 5}, 2*time.Second + 5},
		{Timespec{Nsec: 3e9}, 3 * time.Second},
		{Timespec{Sec: 2, Nsec: -1e9}, time.Second},
		{Timespec{Sec: -1}, 0},
		{Timespec{Sec: -1, Nsec: 5}, 0},
		{Timespec{Nsec: -1}, 0},
		{Timespec{Sec: math.MinInt64, Nsec: math.MinInt64}, 0},
		{Timespec{Sec: 1 << 34}, math.MaxInt64},
		{Timespec{Sec: math.MaxInt64, Nsec: math.MaxInt64}, math.MaxInt64},
		{Timespec{Sec: math.MaxInt64 / 1_000_000_000, Nsec: 5}, math.MaxInt64},
		{Timespec{Nsec: math.MaxInt64}, math.MaxInt64},
	} {
		require.Equal(t, test.want, test.ts.duration(), "%+v", test.ts)
	}
	require.Equal(t, time.Duration(math.MaxInt64), later(2, math.MaxInt64-1))
	require.EqualValues(t, 5, later(2, 3))
	require.EqualValues(t, 1, microseconds(1))
	require.EqualValues(t, 2, microseconds(2*time.Microsecond))
	require.Equal(t, uint32(math.MaxUint32), microseconds(2*time.Hour))
}

// Real time counts, though time stands still in the bubble and its clock is years
// behind.
func TestWaitInABubble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(Ring)
		r.cq = CompletionQueue{khead: new(uint32), ktail: new(uint32), entries: 4}
		r.features = FeatExtArg
		w, err := r.wait(0, 1, &WaitOptions{Timeout: &Timespec{Sec: 3600}})
		require.NoError(t, err)
		more, err := w.again(unix.EINTR)
		require.NoError(t, err)
		require.True(t, more, "a signal has ended the wait")
		for start := w.now(); w.now() == start; {
			runtime.Gosched()
		}
	})
}
