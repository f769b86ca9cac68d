package uringwake

import (
	"runtime"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// A timeout that the kernel has taken, though not the entries behind it, may complete and
// be used again: its time is not set any more.
func TestTimeoutsThatThePartlyTakenQueueStillHas(t *testing.T) {
	f, _ := newFlights(t, 8)
	taken := launchTimeout(f)
	refused := f.entry()
	refused.Opcode = ^uint8(0) // the kernel stops here
	late, rest := launchTimeout(f), launchTimeout(f)
	require.Equal(t, unix.Errno(0), f.enter(0))
	require.Equal(t, uint32(2), f.sq.Ready())
	require.Equal(t, []timedEntry{{late, 1}, {rest, 2}}, f.timed)
	another := ring.Timespec{Sec: 1}
	taken.time = another
	require.Equal(t, unix.Errno(0), f.enter(0))
	require.Equal(t, another, taken.time)
	require.Empty(t, f.timed)
	runtime.KeepAlive(taken)
}

// The kernel reads the time of a pause between two attempts to cancel when it takes the
// entry. The operation may have completed by then, and be another one or be gone.
func TestPauseThatOutlivesItsOperation(t *testing.T) {
	f, log := newFlights(t, 8)
	o := new(op)
	o.sqe.PrepNop()
	f.launch(o)
	f.queueCancel(o, (*op).prepareAgain)
	entry := log.at(2)
	require.Equal(t, ring.OpTimeout, int(entry.Opcode))
	until := *(**ring.Timespec)(unsafe.Pointer(&entry.Addr))
	want := *until
	f.finish(o, 0, 0)
	o.recycle()
	require.Equal(t, want, *until)
}

func launchTimeout(f *ringQueue) *op {
	o := new(op)
	o.setTimeout(time.Hour)
	f.launch(o)
	return o
}
