package uringwake_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// A goroutine that writes nothing to what sends nothing then waits for nobody, as
// with write(2), and what cannot be written to says so.
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
