package uringwake

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// What may have been done, and cannot be done twice, is not submitted again, whichever way
// the kernel says that it was interrupted.
func TestOperationsThatAreSubmittedOnce(t *testing.T) {
	const restartsys = 512
	for opcode := range trials {
		o := new(op)
		o.sqe.Opcode = opcode
		for _, e := range []unix.Errno{unix.ECANCELED, unix.EINTR, restartsys} {
			again := true
			switch opcode {
			case ring.OpClose, ring.OpOpenat, ring.OpRenameat, ring.OpUnlinkat, ring.OpMkdirat, ring.OpLinkat,
				ring.OpSymlinkat, ring.OpBind, ring.OpConnect:
				again = false
			}
			require.Equal(t, again, o.undone(-int32(e)), opcode)
			require.True(t, o.cameToNothing(-int32(e)), "a cancel is one")
		}
		require.False(t, o.undone(-int32(unix.EIO)))
	}
	o := new(op)
	o.sqe.PrepFallocate(0, unix.FALLOC_FL_INSERT_RANGE, 0, 1)
	require.False(t, o.undone(-int32(unix.EINTR)))
	o.res = -restartsys
	require.ErrorIs(t, o.err("fallocate"), unix.EINTR)
}

// A descriptor that nobody has taken is closed with its operation, and no other number is.
func TestResultThatNobodyTakes(t *testing.T) {
	for opcode, closes := range map[uint8]bool{ring.OpOpenat: true, ring.OpAccept: true, ring.OpSocket: true, ring.OpRead: false} {
		for _, taken := range []bool{false, true} {
			fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
			require.NoError(t, err)
			o := new(op)
			o.sqe.Opcode = opcode
			o.complete(int32(fd), 0)
			if taken {
				require.Equal(t, fd, o.take())
			}
			o.recycle()
			_, err = unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			if closes && !taken {
				require.ErrorIs(t, err, unix.EBADF)
				continue
			}
			require.NoError(t, err)
			require.NoError(t, unix.Close(fd))
		}
	}
}
