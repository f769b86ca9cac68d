package uringwake_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/internal/testkit"
	"github.com/vigil-go/vigil/uringwake"
)

// Datagrams have addresses and ends, and are cut if the buffers are too small.
func TestDatagrams(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		var fds [2]int
		for i := range fds {
			fd, err := uringwake.Socket(ctx, unix.AF_INET, unix.SOCK_DGRAM, 0)
			require.NoError(t, err)
			closing(t, fd)
			require.NoError(t, uringwake.Bind(ctx, fd, loopback))
			fds[i] = fd
		}
		send := uringwake.Message{Buffers: [][]byte{[]byte("hel"), nil, []byte("lo")}, Addr: nameOf(t, fds[1])}
		a, b := make([]byte, 2), make([]byte, 10)
		recv := uringwake.Message{Buffers: [][]byte{a, {}, b}}
		for range 2 {
			n, err := uringwake.Sendmsg(ctx, fds[0], &send, 0)
			require.NoError(t, err)
			require.Equal(t, 5, n)
			n, err = uringwake.Recvmsg(ctx, fds[1], &recv, 0)
			require.NoError(t, err)
			require.Equal(t, "hello", (string(a) + string(b))[:n])
			require.Equal(t, nameOf(t, fds[0]), recv.Addr)
			require.Zero(t, recv.Flags)
			require.Zero(t, recv.ControlN)
		}
		_, err := uringwake.Sendmsg(ctx, fds[0], &send, 0)
		require.NoError(t, err)
		recv.Buffers = recv.Buffers[:1]
		n, err := uringwake.Recvmsg(ctx, fds[1], &recv, 0)
		require.NoError(t, err)
		require.Equal(t, 2, n)
		require.Equal(t, unix.MSG_TRUNC, recv.Flags)

		n, err = uringwake.Sendmsg(ctx, fds[0], &uringwake.Message{Addr: send.Addr}, 0)
		require.NoError(t, err)
		require.Zero(t, n)
		n, err = uringwake.Recvmsg(ctx, fds[1], &recv, 0)
		require.NoError(t, err, "an empty one")
		require.Zero(t, n)
		_, err = uringwake.Recvmsg(ctx, fds[1], &recv, unix.MSG_DONTWAIT)
		require.ErrorIs(t, err, unix.EAGAIN)
		require.Equal(t, uringwake.SockAddr{}, recv.Addr, "what failed has none")
		_, err = uringwake.Sendmsg(ctx, fds[0], &uringwake.Message{Buffers: make([][]byte, 1025), Addr: send.Addr}, 0)
		if !errors.Is(err, unix.EINVAL) { // which a ring of Linux 6.1 returns
			require.ErrorIs(t, err, unix.EMSGSIZE)
		}
	})
}

// A descriptor travels as control data, with the first byte of a message that is sent and
// received in parts, and is close-on-exec.
func TestDescriptorsInMessages(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		fds := socketPair(t, unix.SOCK_STREAM)
		all := make([]byte, 1<<20)
		wait := aside(ctx, func() {
			n, err := uringwake.Sendmsg(context.Background(), fds[0],
				&uringwake.Message{Buffers: [][]byte{all[:7], all[7:]}, Control: unix.UnixRights(fds[0])}, unix.MSG_WAITALL)
			assert.NoError(t, err)
			assert.Equal(t, len(all), n)
		})
		m := uringwake.Message{Buffers: [][]byte{make([]byte, len(all))}, Control: make([]byte, 64)}
		n, err := uringwake.Recvmsg(ctx, fds[1], &m, unix.MSG_WAITALL)
		require.NoError(t, err)
		left := len(all) - n
		control, err := unix.ParseSocketControlMessage(m.Control[:m.ControlN])
		require.NoError(t, err)
		rights, err := unix.ParseUnixRights(&control[0])
		require.NoError(t, err)
		closing(t, rights...)
		flags, err := unix.FcntlInt(uintptr(rights[0]), unix.F_GETFD, 0)
		require.NoError(t, err)
		require.Equal(t, unix.FD_CLOEXEC, flags)
		require.Zero(t, m.Flags)
		for left > 0 {
			n, err := uringwake.Recv(ctx, fds[1], make([]byte, left), unix.MSG_WAITALL)
			require.NoError(t, err)
			require.NotZero(t, n)
			left -= n
		}
		wait()
	})
}

// Control data that comes within a transfer of MSG_WAITALL finds its space.
func TestDescriptorInTheMiddle(t *testing.T) {
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		fds := socketPair(t, unix.SOCK_STREAM)
		_, err := unix.Write(fds[0], []byte("abc"))
		require.NoError(t, err)
		require.NoError(t, unix.Sendmsg(fds[0], []byte("def"), unix.UnixRights(fds[0]), nil, 0))
		var got []int
		var data []byte
		for len(data) < 6 {
			p := make([]byte, 6-len(data))
			m := uringwake.Message{Buffers: [][]byte{p}, Control: make([]byte, 64)}
			n, err := uringwake.Recvmsg(ctx, fds[1], &m, unix.MSG_WAITALL)
			require.NoError(t, err)
			require.Zero(t, m.Flags)
			data = append(data, p[:n]...)
			if m.ControlN == 0 {
				continue
			}
			control, err := unix.ParseSocketControlMessage(m.Control[:m.ControlN])
			require.NoError(t, err)
			rights, err := unix.ParseUnixRights(&control[0])
			require.NoError(t, err)
			closing(t, rights...)
			got = append(got, rights...)
		}
		require.Equal(t, "abcdef", string(data))
		require.Len(t, got, 1)
	})
}

// A unix socket that sends to one that is full waits, though poll says that it need not.
func TestSendToAFullDatagramSocket(t *testing.T) {
	eachCaller(t, func(t *testing.T, c caller) {
		for _, mode := range []int{0, unix.SOCK_NONBLOCK} {
			to, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			require.NoError(t, err)
			from, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|mode, 0)
			require.NoError(t, err)
			closing(t, to, from)
			require.NoError(t, unix.Bind(to, &unix.SockaddrUnix{}))
			m := uringwake.Message{Buffers: [][]byte{[]byte("word")}, Addr: nameOf(t, to)}
			for err == nil {
				_, err = uringwake.Sendmsg(context.Background(), from, &m, unix.MSG_DONTWAIT)
			}
			require.ErrorIs(t, err, unix.EAGAIN)
			c.run(t, func(ctx context.Context) {
				c.ctx = ctx
				send := func(ctx context.Context) error { _, err := uringwake.Sendmsg(ctx, from, &m, 0); return err }
				assert.NoError(t, c.toTheEnd(send))
				assert.NoError(t, c.whenever(func() error { return send(ctx) }, func() { drainSocket(to) }))
			})
		}
	})
}

// Transfers that need not wait allocate nothing.
func TestAllocationsOfRecvAndSend(t *testing.T) {
	if testkit.Race {
		t.Skip("the race detector's pools forget")
	}
	eachDriver(t, func(t *testing.T, ctx context.Context) {
		fds := socketPair(t, unix.SOCK_STREAM)
		p := make([]byte, 4)
		var errs error
		n := testing.AllocsPerRun(100, func() {
			_, err := uringwake.Send(ctx, fds[0], p, 0)
			_, err2 := uringwake.Recv(ctx, fds[1], p, unix.MSG_WAITALL)
			if err != nil || err2 != nil {
				errs = errors.Join(errs, err, err2)
			}
		})
		require.NoError(t, errs)
		require.Zero(t, n)
	})
}
