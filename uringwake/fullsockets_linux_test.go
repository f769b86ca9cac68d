package uringwake_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// sends are all ways to send "word" by a connected socket.
var sends = map[string]func(ctx context.Context, fd int) (int, error){
	"send": func(ctx context.Context, fd int) (int, error) {
		return uringwake.Send(ctx, fd, []byte("word"), 0)
	},
	"send, all": func(ctx context.Context, fd int) (int, error) {
		return uringwake.Send(ctx, fd, []byte("word"), unix.MSG_WAITALL)
	},
	"sendmsg": func(ctx context.Context, fd int) (int, error) {
		return uringwake.Sendmsg(ctx, fd, &uringwake.Message{Buffers: [][]byte{[]byte("wo"), []byte("rd")}}, 0)
	},
	"write": func(ctx context.Context, fd int) (int, error) { return uringwake.Write(ctx, fd, []byte("word"), -1) },
	"writev": func(ctx context.Context, fd int) (int, error) {
		return uringwake.Writev(ctx, fd, [][]byte{[]byte("wo"), []byte("rd")}, -1)
	},
	"splice": spliceWord,
	"started send": func(ctx context.Context, fd int) (int, error) {
		r, err := uringwake.Start(ctx, uringwake.SendOp(fd, []byte("word"), 0)).Wait(ctx)
		return r.N, err
	},
	"started send, all": func(ctx context.Context, fd int) (int, error) {
		r, err := uringwake.Start(ctx, uringwake.SendOp(fd, []byte("word"), unix.MSG_WAITALL)).Wait(ctx)
		return r.N, err
	},
	"started send, registered": func(ctx context.Context, fd int) (int, error) {
		f, err := uringwake.RegisterFile(ctx, fd)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		r, err := uringwake.Start(ctx, uringwake.SendOp(-1, []byte("word"), 0).On(f)).Wait(ctx)
		return r.N, err
	},
	"started write": func(ctx context.Context, fd int) (int, error) {
		r, err := uringwake.Start(ctx, uringwake.WriteOp(fd, []byte("word"), -1)).Wait(ctx)
		return r.N, err
	},
}

func spliceWord(ctx context.Context, fd int) (int, error) {
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		return 0, err
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	if _, err := unix.Write(fds[1], []byte("word")); err != nil {
		return 0, err
	}
	return uringwake.Splice(ctx, fds[0], -1, fd, -1, 4, 0)
}

// What waits for room in a socket is sent whole, and once.
func TestSendsToFullSockets(t *testing.T) {
	sockets := map[string]func(t *testing.T, mode int) (from, to int){
		"datagrams":         oneWay,
		"datagrams, a pair": func(t *testing.T, mode int) (from, to int) { return pairOf(t, unix.SOCK_DGRAM|mode) },
		"packets":           func(t *testing.T, mode int) (from, to int) { return pairOf(t, unix.SOCK_SEQPACKET|mode) },
		"stream":            func(t *testing.T, mode int) (from, to int) { return pairOf(t, unix.SOCK_STREAM|mode) },
	}
	eachCaller(t, func(t *testing.T, c caller) {
		for name, open := range sockets {
			for way, send := range sends {
				for _, mode := range []int{0, unix.SOCK_NONBLOCK} {
					t.Run(name+", "+way, func(t *testing.T) {
						from, to := open(t, mode)
						c.sendToFull(t, from, to, func(ctx context.Context) (int, error) { return send(ctx, from) })
					})
				}
			}
		}
	})
}

func pairOf(t *testing.T, typ int) (from, to int) {
	fds := socketPair(t, typ)
	return fds[0], fds[1]
}

// oneWay is a socket that is connected to one which is not connected to it, whose queue may
// be full.
func oneWay(t *testing.T, mode int) (from, to int) {
	from, to = apart(t, mode)
	name, err := unix.Getsockname(to)
	require.NoError(t, err)
	require.NoError(t, unix.Connect(from, name))
	return from, to
}

// apart is two unix datagram sockets that are not connected.
func apart(t *testing.T, mode int) (from, to int) {
	to, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	from, err = unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|mode, 0)
	require.NoError(t, err)
	closing(t, to, from)
	require.NoError(t, unix.Bind(to, &unix.SockaddrUnix{}))
	return from, to
}

// So is one with an address.
func TestSendmsgToAFullSocket(t *testing.T) {
	eachCaller(t, func(t *testing.T, c caller) {
		for _, mode := range []int{0, unix.SOCK_NONBLOCK} {
			from, to := apart(t, mode)
			m := uringwake.Message{Buffers: [][]byte{[]byte("wo"), []byte("rd")}, Addr: nameOf(t, to)}
			fill := uringwake.Message{Buffers: [][]byte{{'.'}}, Addr: m.Addr}
			for err := error(nil); err == nil; {
				_, err = uringwake.Sendmsg(context.Background(), from, &fill, unix.MSG_DONTWAIT)
			}
			c.sendToFull(t, from, to, func(ctx context.Context) (int, error) { return uringwake.Sendmsg(ctx, from, &m, 0) })
		}
	})
}

// sendToFull fills the connection and calls send. When that waits, it makes room.
func (c caller) sendToFull(t *testing.T, from, to int, send func(ctx context.Context) (int, error)) {
	for err := error(nil); err == nil; {
		err = unix.Send(from, []byte("."), unix.MSG_DONTWAIT)
	}
	var got []string
	c.run(t, func(ctx context.Context) {
		c.ctx = ctx
		assert.NoError(t, c.whenever(func() error {
			n, err := send(ctx)
			assert.Equal(t, 4, n)
			return err
		}, func() { got = received(to) }))
	})
	all := append(got, received(to)...)
	require.NotContains(t, all, "")
	require.Equal(t, "word", strings.TrimLeft(strings.Join(all, ""), "."))
}

// received takes what is there.
func received(fd int) (all []string) {
	for p := make([]byte, 1<<16); ; {
		n, _, err := unix.Recvfrom(fd, p, unix.MSG_DONTWAIT)
		if err != nil {
			return all
		}
		all = append(all, string(p[:n]))
	}
}
