package uringwake_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/ring"
)

var fileOpcodes = []uint8{ring.OpReadv, ring.OpWritev, ring.OpFsync, ring.OpFallocate, ring.OpFtruncate, ring.OpSplice,
	ring.OpOpenat, ring.OpStatx, ring.OpRenameat, ring.OpUnlinkat, ring.OpMkdirat, ring.OpLinkat, ring.OpSymlinkat}

var socketOpcodes = []uint8{ring.OpSocket, ring.OpBind, ring.OpListen, ring.OpAccept, ring.OpConnect, ring.OpShutdown,
	ring.OpRecv, ring.OpSend, ring.OpRecvmsg, ring.OpSendmsg}

var fileActions = map[string]action{
	"openat":        fileLives,
	"openat, error": openNothing,
	"readv":         readvPipe,
	"splice":        splicePipes,
}

var socketActions = map[string]action{
	"socket":           func(t *testing.T, c caller) error { return makeListener(t, c) },
	"connect":          connectSockets,
	"accept":           func(t *testing.T, c caller) error { return acceptWhenever(t, c, unix.SOCK_NONBLOCK) },
	"accept, blocking": func(t *testing.T, c caller) error { return acceptWhenever(t, c, 0) },
	"recv":             recvWhenever,
	"recv, ready":      recvAtOnce,
	"recvmsg":          recvmsgWhenever,
}

// socketWaits are the actions that wait for others by a poll, at last.
var socketWaits = []string{"accept", "recv", "recvmsg"}

func fileLives(t *testing.T, c caller) error {
	dir, _ := openDir(t)
	fd, err := uringwake.Openat(c.ctx, dir, "a", unix.O_RDWR|unix.O_CREAT, 0o600)
	if err != nil {
		return err
	}
	closing(t, fd)
	n, err := uringwake.Writev(c.ctx, fd, [][]byte{[]byte("he"), []byte("llo")}, 0)
	assert.Equal(t, 5, n)
	var st uringwake.FileStat
	err = errors.Join(err,
		uringwake.Fsync(c.ctx, fd),
		uringwake.Ftruncate(c.ctx, fd, 3),
		uringwake.Fallocate(c.ctx, fd, 0, 0, 4),
		uringwake.Statx(c.ctx, dir, "a", 0, unix.STATX_SIZE, &st),
		uringwake.Mkdirat(c.ctx, dir, "dir", 0o700),
		uringwake.Linkat(c.ctx, dir, "a", dir, "dir/b", 0),
		uringwake.Symlinkat(c.ctx, "a", dir, "c"),
		uringwake.Renameat(c.ctx, dir, "dir/b", dir, "c", 0),
		uringwake.Unlinkat(c.ctx, dir, "dir", unix.AT_REMOVEDIR),
	)
	assert.EqualValues(t, 4, st.Size)
	return err
}

// openNothing fails by itself, with an errno that may also mean a refusal.
func openNothing(t *testing.T, c caller) error {
	_, err := uringwake.Openat(c.ctx, unix.AT_FDCWD, "/", unix.O_RDONLY|unix.O_CREAT|unix.O_DIRECTORY|unix.O_TMPFILE, 0)
	assert.Error(t, err)
	assert.NotErrorIs(t, err, errors.ErrUnsupported)
	return nil
}

func readvPipe(t *testing.T, c caller) error {
	c.ringless = c.ringless || c.vectorless
	fds := c.plainPipe(t, 0)
	return c.whenever(func() error {
		_, err := uringwake.Readv(c.ctx, fds[0], [][]byte{make([]byte, 2), make([]byte, 2)}, -1)
		return err
	}, func() { unix.Write(fds[1], []byte("word")) })
}

func splicePipes(t *testing.T, c caller) error {
	in, out := openPipe(t, 0), openPipe(t, 0)
	return c.whenever(func() error {
		_, err := uringwake.Splice(c.ctx, in[0], -1, out[1], -1, 4, 0)
		return err
	}, func() { unix.Write(in[1], []byte("word")) })
}

func makeListener(t *testing.T, c caller) error {
	fd, err := uringwake.Socket(c.ctx, unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		return err
	}
	closing(t, fd)
	return errors.Join(
		uringwake.Bind(c.ctx, fd, loopback),
		uringwake.Listen(c.ctx, fd, 1),
		uringwake.Shutdown(c.ctx, fd, unix.SHUT_RD))
}

// connectSockets needs no wait: the kernel connects on the loopback device at once.
func connectSockets(t *testing.T, c caller) error {
	_, at := listenOn(t, loopback, 0)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(t, err)
	closing(t, fd)
	return uringwake.Connect(c.ctx, fd, at)
}

func acceptWhenever(t *testing.T, c caller, mode int) error {
	listener, at := listenOn(t, loopback, mode)
	return c.whenever(func() error { return acceptOne(c.ctx, listener) }, func() { dial(t, at) })
}

func recvWhenever(t *testing.T, c caller) error {
	fds := socketPair(t, unix.SOCK_STREAM)
	return c.whenever(func() error { return recvWord(c.ctx, fds[0]) }, func() { unix.Write(fds[1], []byte("word")) })
}

func recvAtOnce(t *testing.T, c caller) error {
	fds := socketPair(t, unix.SOCK_STREAM)
	_, err := uringwake.Send(c.ctx, fds[1], []byte("word"), 0)
	return errors.Join(err, recvWord(c.ctx, fds[0]))
}

func recvmsgWhenever(t *testing.T, c caller) error {
	fds := socketPair(t, unix.SOCK_STREAM)
	return c.whenever(func() error {
		p := make([]byte, 4)
		_, err := uringwake.Recvmsg(c.ctx, fds[0], &uringwake.Message{Buffers: [][]byte{p}}, 0)
		return err
	}, func() {
		_, err := uringwake.Sendmsg(context.Background(), fds[1], &uringwake.Message{Buffers: [][]byte{[]byte("word")}}, 0)
		assert.NoError(t, err)
	})
}
