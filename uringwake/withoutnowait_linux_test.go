package uringwake_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/refuse"
	"github.com/vigil-go/vigil/uringwake/ring"
)

// A goroutine that writes nothing to what sends nothing then does not wait, as with
// write(2), and what cannot be written to says so.
func TestWriteOfNothing(t *testing.T) {
	newLoop(t, nil)
	fds := openPipe(t, 0)
	room, err := unix.FcntlInt(uintptr(fds[1]), unix.F_GETPIPE_SZ, 0)
	require.NoError(t, err)
	_, err = unix.Write(fds[1], make([]byte, room))
	require.NoError(t, err)
	null, err := unix.Open("/dev/null", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	require.NoError(t, err)
	closing(t, null)
	for _, off := range []int64{-1, 3} {
		for _, fd := range []int{fds[1], null} {
			n, err := uringwake.Write(context.Background(), fd, nil, off)
			require.NoError(t, err)
			require.Zero(t, n)
		}
		_, err = uringwake.Write(context.Background(), fds[0], nil, off)
		require.ErrorIs(t, err, unix.EBADF)
	}
}

// A socket that answers EOPNOTSUPP by itself, as one of AF_ALG that nobody has
// accepted, is not polled, which never ends there: the ring tells.
func TestSocketThatDoesNotReceive(t *testing.T) {
	const flags = 3
	if !refuse.Child(t, refuse.NoNowait(unix.EOPNOTSUPP), refuse.NoCall(unix.SYS_RECVFROM, flags, 0, unix.EOPNOTSUPP)) {
		return
	}
	newLoop(t, nil)
	d := uringwake.UseGoroutineDriver(t, 4, 8)
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closing(t, fds[:]...)
	errs := make(chan error, 1)
	go func() {
		_, err := uringwake.Read(context.Background(), fds[0], make([]byte, 8), -1)
		errs <- err
	}()
	d.AwaitSubmission(1)
	opcodes := d.Opcodes()
	_, err = unix.Write(fds[1], []byte("word"))
	require.NoError(t, err)
	require.NoError(t, <-errs)
	require.Equal(t, []uint8{ring.OpRead}, opcodes)
}

// A write to a socket of packets in sequence ends a record, as write(2) does, and no
// other.
func TestWriteEndsARecord(t *testing.T) {
	const flags = 3
	if !refuse.Child(t, refuse.NoNowait(unix.EOPNOTSUPP), refuse.NoCall(unix.SYS_SENDTO, flags, unix.MSG_EOR, unix.EADDRINUSE)) {
		return
	}
	newLoop(t, nil)
	for kind, want := range map[int]error{unix.SOCK_SEQPACKET: unix.EADDRINUSE, unix.SOCK_STREAM: nil, unix.SOCK_DGRAM: nil} {
		fds, err := unix.Socketpair(unix.AF_UNIX, kind|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		closing(t, fds[:]...)
		for _, p := range []string{"word", ""} {
			_, err = uringwake.Write(context.Background(), fds[0], []byte(p), -1)
			require.ErrorIs(t, err, want, kind)
		}
	}
}
