package uringwake

import (
	"bytes"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// prepare makes the operation, which waits until act is called. It keeps its files in
// files.
func (x *victim) prepare(memory *guarded) {
	p := memory.take()
	switch x.kind {
	case kindRead, kindPoll:
		r, w := x.pipe()
		x.fd, x.op = r, ReadOp(r, p, -1)
		if x.kind == kindPoll {
			x.op = PollOp(r, unix.POLLIN)
		}
		x.act = func() { unix.Write(w, []byte("x")) }
	case kindWrite:
		r, w := x.pipe()
		x.fd, x.op = w, WriteOp(w, p, -1)
		fillPipe(x.t, w)
		x.act = func() { drain(r) }
	case kindTimeout:
		x.prepareTimeout()
	case kindAccept:
		x.prepareAccept()
	default:
		x.prepareSocket(p)
	}
}

func (x *victim) prepareTimeout() {
	x.fd, x.act = -1, func() {}
	switch {
	case x.state == inNobody:
		x.op = TimeoutOp(0)
	case x.end == byItself:
		x.op = TimeoutOp(3 * time.Millisecond) // the end may come before the look
	default:
		x.op = TimeoutOp(time.Hour)
	}
}

func (x *victim) prepareAccept() {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	require.NoError(x.t, err)
	require.NoError(x.t, unix.Bind(fd, &unix.SockaddrUnix{})) // a name of the kernel's choice
	require.NoError(x.t, unix.Listen(fd, 1))
	name, err := unix.Getsockname(fd)
	require.NoError(x.t, err)
	c, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(x.t, err)
	x.files = append(x.files, c)
	x.fd, x.op = fd, AcceptOp(fd)
	x.act = func() { unix.Connect(c, name) }
}

func (x *victim) prepareSocket(p []byte) {
	a, b := x.sockets()
	x.fd = a
	x.act = func() { drain(b) }
	switch x.kind {
	case kindRecv:
		x.op = RecvOp(a, p, 0)
		x.act = func() { unix.Write(b, []byte("x")) }
	case kindSend:
		fill(a)
		x.op = SendOp(a, p, 0)
	case kindSendZC:
		fillTCP(x.t, a)
		x.op = SendZCOp(a, p, 0)
		x.act = func() { x.receive(b) }
	}
}

// receive receives until close: with TCP it takes a while until there is room again.
func (x *victim) receive(fd int) {
	if x.stop != nil {
		return
	}
	require.NoError(x.t, unix.SetNonblock(fd, false))
	done := make(chan struct{})
	x.stop = func() { unix.Shutdown(fd, unix.SHUT_RD); <-done }
	go func() {
		defer close(done)
		n, err := 1, error(nil)
		for n > 0 || err == unix.EINTR {
			n, err = unix.Read(fd, make([]byte, 1<<16))
		}
	}()
}

// pipe returns the ends of a pipe in blocking mode; one will be x.fd, and close closes
// both.
func (x *victim) pipe() (r, w int) {
	var p [2]int
	require.NoError(x.t, unix.Pipe2(p[:], unix.O_CLOEXEC))
	other := p[1]
	if x.kind == kindWrite {
		other = p[0]
	}
	x.files = append(x.files, other)
	return p[0], p[1]
}

func (x *victim) sockets() (a, b int) {
	if x.kind == kindSendZC {
		a, b = tcpDescriptors(x.t)
	} else {
		p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		require.NoError(x.t, err)
		a, b = p[0], p[1]
	}
	x.files = append(x.files, b)
	return a, b
}

func (x *victim) close() {
	if x.stop != nil {
		x.stop()
	}
	if x.fd >= 0 {
		x.files = append(x.files, x.fd)
	}
	for _, fd := range x.files {
		require.NoError(x.t, unix.Close(fd))
	}
}

// fillTCP fills fd: what the peer has not acknowledged yet might make room again.
func fillTCP(t *testing.T, fd int) {
	for inFlight := 1; inFlight > 0; {
		fill(fd)
		queued, err := unix.IoctlGetInt(fd, unix.SIOCOUTQ)
		require.NoError(t, err)
		unsent, err := unix.IoctlGetInt(fd, unix.SIOCOUTQNSD)
		require.NoError(t, err)
		inFlight = queued - unsent
		runtime.Gosched()
	}
	fill(fd)
}

func fillPipe(t *testing.T, w int) {
	require.NoError(t, unix.SetNonblock(w, true))
	fill(w)
	require.NoError(t, unix.SetNonblock(w, false))
}

// drain reads what is there.
func drain(fd int) {
	unix.SetNonblock(fd, true)
	for n := 1; n > 0; {
		n, _ = unix.Read(fd, make([]byte, 1<<16))
	}
}

// guarded are buffers, each in the middle of a page of canaries, between two pages that
// nobody may touch. None is used again, so that late writes are seen.
type guarded struct {
	page  int
	mem   []byte
	used  int
	fresh []byte // what the page with the last buffer is to be, but for the buffer
}

const guardedBuffers = 1200

const canary = 0xa5

func newGuarded(t *testing.T) *guarded {
	g := &guarded{page: unix.Getpagesize()}
	mem, err := unix.Mmap(-1, 0, 2*g.page*guardedBuffers, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, unix.Munmap(mem)) })
	g.mem, g.fresh = mem, bytes.Repeat([]byte{canary}, g.page)
	for i := range guardedBuffers {
		require.NoError(t, unix.Mprotect(g.at(2*i), unix.PROT_NONE))
	}
	return g
}

func (g *guarded) at(page int) []byte { return g.mem[page*g.page : (page+1)*g.page] }

const bufferStart, bufferEnd = 1000, 1064

func (g *guarded) take() []byte {
	p := g.at(2*(g.used%guardedBuffers) + 1)
	g.used++
	copy(p, g.fresh)
	return p[bufferStart:bufferEnd:bufferEnd]
}

// check looks at the canaries around the last buffer, and makes the buffer one too. All
// others must be as they were left.
func (g *guarded) check(t *testing.T, d tearDown) {
	p := g.at(2*((g.used-1)%guardedBuffers) + 1)
	require.Equal(t, g.fresh[:bufferStart], p[:bufferStart], d)
	require.Equal(t, g.fresh[bufferEnd:], p[bufferEnd:], d)
	copy(p[bufferStart:bufferEnd], g.fresh)
	if g.used%50 == 0 {
		for i := range min(g.used, guardedBuffers) {
			require.True(t, bytes.Equal(g.fresh, g.at(2*i+1)), "written after its end")
		}
	}
}
