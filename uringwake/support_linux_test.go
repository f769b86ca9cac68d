package uringwake

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// What may be another one next time is no refusal.
func TestRefusalsAreCertain(t *testing.T) {
	for errno, certain := range map[unix.Errno]bool{
		unix.EINVAL: true, unix.EPERM: true, unix.ENOSYS: true, unix.EOPNOTSUPP: true, 0: true,
		unix.ENOMEM: false, unix.EAGAIN: false, unix.EBUSY: false, unix.EINTR: false, unix.ECANCELED: false,
		unix.EMFILE: false, unix.ENFILE: false, unix.ENOBUFS: false, unix.EOVERFLOW: false,
	} {
		err := refusal("what", "why", (&ring.CQE{Res: -int32(errno)}).Err())
		require.Equal(t, certain, errors.Is(err, errors.ErrUnsupported), errno)
		require.Equal(t, certain, inconclusive(err) == nil, errno)
		if errno != 0 {
			require.ErrorIs(t, err, errno)
		}
	}
	require.NoError(t, inconclusive(nil))
}

// A lack of descriptors passes: it is not taken for a lack of io_uring.
func TestLackOfDescriptorsPasses(t *testing.T) {
	needRings(t)
	if !refuse.Child(t, refuse.Rlimit(unix.RLIMIT_NOFILE, 64)) {
		return
	}
	give := takeDescriptors(t, 1) // enough for an eventfd, or a ring
	_, event := NewEventFD()
	_, loop := NewLoop(nil)
	_, message := NewMsgRing(0, 0, 0)
	give()
	for _, err := range []error{event, loop, message} {
		require.ErrorIs(t, err, unix.EMFILE)
		require.NotErrorIs(t, err, errors.ErrUnsupported)
	}
	skipUnsupported(t, Supported())
	e, err := NewEventFD()
	require.NoError(t, err)
	flags, err := unix.FcntlInt(uintptr(e.FD()), unix.F_GETFL, 0)
	require.NoError(t, err)
	require.Zero(t, flags&unix.O_NONBLOCK)
	require.NoError(t, e.Close())
}

// takeDescriptors takes all but n.
func takeDescriptors(t *testing.T, n int) (give func()) {
	t.Helper()
	var fds []int
	for {
		fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
		if err != nil {
			require.ErrorIs(t, err, unix.EMFILE)
			break
		}
		fds = append(fds, fd)
	}
	for range n {
		require.NoError(t, unix.Close(fds[0]))
		fds = fds[1:]
	}
	return func() {
		for _, fd := range fds {
			require.NoError(t, unix.Close(fd))
		}
	}
}

// What could not be found out about messages is not remembered: neither that they
// are slower, nor that they are missing.
func TestDoubtAboutMessagesIsNotRemembered(t *testing.T) {
	if !refuse.Child(t, refuse.NoSendMsgRing(unix.ENOMEM)) {
		return
	}
	skipUnsupported(t, HaveMsgRing())
	require.ErrorIs(t, HaveSendMsgRing(), unix.ENOMEM)
	require.Equal(t, DoorbellEventFD, fasterDoorbell())
	require.Equal(t, DoorbellAuto, faster.doorbell, "to be measured yet")
	l, err := NewLoop(nil)
	require.NoError(t, err)
	require.Equal(t, DoorbellEventFD, l.Doorbell())
	_, err = NewLoop(&LoopOptions{Doorbell: DoorbellMsgRing})
	require.ErrorIs(t, err, unix.ENOMEM)
	_, err = NewMsgRing(l.FD(), 1, 0)
	require.ErrorIs(t, err, unix.ENOMEM)
	require.NoError(t, l.Close(context.Background()))
}

// A Wake returns though another user has filled the counter up, with and without a
// ring, and counts again when there is room.
func TestWakeOfAFullEventFD(t *testing.T) {
	for _, ringless := range []bool{false, true} {
		e, err := makeEventFD(ringless)
		require.NoError(t, err)
		writeEventFD(e.FD(), math.MaxUint64-1) // all that there is room for
		e.Wake()
		e.Wake()
		b := make([]byte, 8)
		_, err = unix.Read(e.FD(), b)
		require.NoError(t, err)
		e.Wake()
		e.Wake()
		_, err = unix.Read(e.FD(), b)
		require.NoError(t, err)
		require.Equal(t, byte(2), b[0]+b[7], "of either byte order")
		require.NoError(t, e.Close())
	}
}
