package ring_test

import (
	"encoding/binary"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// loopback is 127.0.0.1 with that port, as the kernel has it.
func loopback(port uint16) (*unix.RawSockaddrAny, uint32) {
	a := new(unix.RawSockaddrAny)
	in := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
	in.Family = unix.AF_INET
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(&in.Port))[:], port)
	in.Addr = [4]byte{127, 0, 0, 1}
	return a, unix.SizeofSockaddrInet4
}

func portOf(t testing.TB, fd int) uint16 {
	t.Helper()
	a, err := unix.Getsockname(fd)
	require.NoError(t, err)
	return uint16(a.(*unix.SockaddrInet4).Port)
}

// listener is a socket that takes connections on loopback.
func listener(t testing.TB) (fd int, port uint16) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closed(t, fd)
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	require.NoError(t, unix.Listen(fd, 8))
	return fd, portOf(t, fd)
}

func tcp(t testing.TB) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	return closed(t, fd)
}

// connect is a connection to a listener, which has not accepted it.
func connect(t testing.TB, port uint16) int {
	t.Helper()
	fd := tcp(t)
	require.NoError(t, unix.Connect(fd, &unix.SockaddrInet4{Port: int(port), Addr: [4]byte{127, 0, 0, 1}}))
	return fd
}

func opConnections(g *rig) {
	l, port := listener(g)
	client := tcp(g)
	to, n := loopback(port)
	from, room := new(unix.RawSockaddrAny), uint32(unix.SizeofSockaddrAny)
	accepted := g.prep(func(s *ring.SQE) { s.PrepAccept(l, from, &room, unix.SOCK_CLOEXEC) })
	connected := g.prep(func(s *ring.SQE) { s.PrepConnect(client, to, n) })
	g.submit()
	done := g.drain(2)
	require.Zero(g, done[connected].Res)
	a, c := done[accepted], done[connected]
	require.NoError(g, a.Err())
	require.NoError(g, c.Err())
	requireCloexec(g, closed(g, int(a.Res)))
	require.EqualValues(g, unix.SizeofSockaddrInet4, room)
	in := (*unix.RawSockaddrInet4)(unsafe.Pointer(from))
	require.Equal(g, portOf(g, client), binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&in.Port))[:]))
}

func TestAcceptMultishot(t *testing.T) {
	g := newRig(t, nil)
	needOp(t, ring.OpSocket) // of the same kernel
	l, port := listener(t)
	data := g.prep(func(s *ring.SQE) { s.PrepAcceptMultishot(l, unix.SOCK_CLOEXEC) })
	g.submit()
	for range 3 {
		connect(t, port)
		c := g.waitFor(data)
		require.NoError(t, c.Err())
		require.True(t, c.More())
		closed(t, int(c.Res))
	}
	g.cancel(data)
}

// cancel ends a multishot operation.
func (g *rig) cancel(data uint64) {
	g.Helper()
	canceled := g.prep(func(s *ring.SQE) { s.PrepCancel64(data, 0) })
	g.submit()
	done := g.drain(2)
	require.Zero(g, done[canceled].Res)
	require.Equal(g, unix.ECANCELED, errno(done[data]))
	last := done[data]
	require.False(g, last.More(), "the last completion")
}

func TestAcceptDirect(t *testing.T) {
	g := newRig(t, nil)
	require.NoError(t, g.r.Registrar().RegisterFiles([]int32{-1, -1, -1, -1}))
	l, port := listener(t)
	client := connect(t, port)
	accepted := g.do(func(s *ring.SQE) { s.PrepAcceptDirect(l, nil, nil, 0, 3) })
	if errno(accepted) == unix.EINVAL {
		t.Skip("before Linux 5.15")
	}
	require.Zero(t, accepted.Res)
	p := []byte("x")
	require.Equal(t, 1, g.ok(func(s *ring.SQE) { s.PrepSend(3, p, 0); s.SetFixedFile() }))
	n, err := unix.Read(client, make([]byte, 4))
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

func TestAcceptMultishotDirect(t *testing.T) {
	g := newRig(t, nil)
	needOp(t, ring.OpSocket)
	require.NoError(t, g.r.Registrar().RegisterFilesSparse(4))
	l, port := listener(t)
	data := g.prep(func(s *ring.SQE) { s.PrepAcceptMultishotDirect(l, 0) })
	g.submit()
	connect(t, port)
	c := g.waitFor(data)
	require.NoError(t, c.Err())
	require.Contains(t, []int32{0, 1, 2, 3}, c.Res, "a free slot")
	g.cancel(data)
}

func opSocket(g *rig) {
	fd := closed(g, g.ok(func(s *ring.SQE) { s.PrepSocket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0, 0) }))
	requireCloexec(g, fd)
	typ, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	require.NoError(g, err)
	require.Equal(g, unix.SOCK_DGRAM, typ)
	require.NoError(g, g.r.Registrar().RegisterFilesSparse(2))
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepSocketDirect(unix.AF_INET, unix.SOCK_STREAM, 0, 1, 0) }))
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepSocketDirect(unix.AF_INET, unix.SOCK_STREAM, 0, ring.FileIndexAlloc, 0) }))
}

func opBindListen(g *rig) {
	fd := tcp(g)
	a, n := loopback(0)
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepBind(fd, a, n) }))
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepListen(fd, 4) }))
	client := connect(g, portOf(g, fd))
	conn, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
	require.NoError(g, err)
	require.Equal(g, portOf(g, client), portPeer(g, closed(g, conn)))
}

func portPeer(t testing.TB, fd int) uint16 {
	t.Helper()
	a, err := unix.Getpeername(fd)
	require.NoError(t, err)
	return uint16(a.(*unix.SockaddrInet4).Port)
}

func opSendRecv(g *rig) {
	a, b := socketPair(g, unix.SOCK_STREAM)
	p, q := []byte("over the wire"), make([]byte, 32)
	require.Equal(g, len(p), g.ok(func(s *ring.SQE) { s.PrepSend(a, p, unix.MSG_NOSIGNAL) }))
	require.Equal(g, len(p), g.ok(func(s *ring.SQE) { s.PrepRecv(b, q, unix.MSG_PEEK) }))
	require.Equal(g, len(p), g.ok(func(s *ring.SQE) { s.PrepRecv(b, q, unix.MSG_DONTWAIT) }), "it was only looked at")
	require.Equal(g, string(p), string(q[:len(p)]))
	require.Equal(g, unix.EAGAIN, errno(g.do(func(s *ring.SQE) { s.PrepRecv(b, q, unix.MSG_DONTWAIT) })))
}

func TestSendto(t *testing.T) {
	needOp(t, ring.OpSendmsgZC) // of the same kernel
	g := newRig(t, nil)
	fds := [2]int{}
	for i := range fds {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		require.NoError(t, err)
		fds[i] = closed(t, fd)
		require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	}
	to, n := loopback(portOf(t, fds[1]))
	p, q := []byte("datagram"), make([]byte, 32)
	require.Equal(t, len(p), g.ok(func(s *ring.SQE) { s.PrepSendto(fds[0], p, 0, to, uint16(n)) }))
	require.Equal(t, len(p), g.ok(func(s *ring.SQE) { s.PrepRecv(fds[1], q, 0) }))
}

func message(p []byte) *unix.Msghdr {
	m := &unix.Msghdr{Iov: &iovec(p)[0]}
	m.SetIovlen(1)
	return m
}

func opMessages(g *rig) {
	a, b := socketPair(g, unix.SOCK_DGRAM)
	out, in := message([]byte("a message")), message(make([]byte, 4))
	require.Equal(g, 9, g.ok(func(s *ring.SQE) { s.PrepSendmsg(a, out, 0) }))
	require.Equal(g, 4, g.ok(func(s *ring.SQE) { s.PrepRecvmsg(b, in, 0) }))
	require.NotZero(g, in.Flags&unix.MSG_TRUNC, "the header is written")
	runtime.KeepAlive(out)
}

func opShutdown(g *rig) {
	a, b := socketPair(g, unix.SOCK_STREAM)
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepShutdown(a, unix.SHUT_WR) }))
	p := make([]byte, 4)
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepRecv(b, p, 0) }), "end of the stream")
}

// zeroCopy runs a send that has a result and a notification.
func zeroCopy(g *rig, want int, f func(s *ring.SQE)) {
	g.Helper()
	data := g.prep(f)
	g.submit()
	c := g.waitFor(data)
	require.NoError(g, c.Err())
	require.EqualValues(g, want, c.Res)
	require.True(g, c.More(), "the notification is to come")
	c = g.waitFor(data)
	require.NotZero(g, c.Flags&ring.CQENotif)
	require.False(g, c.More())
}

func opSendZC(g *rig) {
	l, port := listener(g)
	client := connect(g, port)
	server, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	require.NoError(g, err)
	closed(g, server)
	buf := []byte("without a copy")
	zeroCopy(g, len(buf), func(s *ring.SQE) { s.PrepSendZC(client, buf, 0, 0) })
	m := message(buf)
	zeroCopy(g, len(buf), func(s *ring.SQE) { s.PrepSendmsgZC(client, m, 0) })
	require.NoError(g, g.r.Registrar().RegisterBuffers([][]byte{buf}))
	zeroCopy(g, 7, func(s *ring.SQE) { s.PrepSendZCFixed(client, buf[:7], 0, ring.SendZCReportUsage, 0) })
	got := make([]byte, 64)
	n, err := unix.Read(server, got)
	require.NoError(g, err)
	require.Equal(g, string(buf)+string(buf)+"without", string(got[:n]))
	runtime.KeepAlive(m)
}

func TestSendmsgZCFixed(t *testing.T) {
	needOp(t, ring.OpReadvFixed) // of the same kernel
	g := newRig(t, nil)
	l, port := listener(t)
	client := connect(t, port)
	server, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
	require.NoError(t, err)
	closed(t, server)
	buf := []byte("fixed message")
	require.NoError(t, g.r.Registrar().RegisterBuffers([][]byte{buf}))
	m := message(buf)
	zeroCopy(g, len(buf), func(s *ring.SQE) { s.PrepSendmsgZCFixed(client, m, 0, 0) })
	runtime.KeepAlive(m)
}

func opRecvZC(g *rig) {
	a, _ := socketPair(g, unix.SOCK_STREAM)
	c := g.do(func(s *ring.SQE) { s.PrepRecvZC(a, 0, 3) })
	require.Equal(g, unix.EINVAL, errno(c), "there is no queue 3")
}

func opURingCmd(g *rig) {
	a, b := socketPair(g, unix.SOCK_STREAM)
	_, err := unix.Write(a, []byte("12345"))
	require.NoError(g, err)
	c := g.do(func(s *ring.SQE) { s.PrepCmdSock(ring.SocketOpSIOCINQ, b, 0, 0, nil) })
	if errno(c) == unix.EOPNOTSUPP {
		l, port := listener(g) // some kernels have it for the internet families only
		client := connect(g, port)
		server, _, err := unix.Accept4(l, unix.SOCK_CLOEXEC)
		require.NoError(g, err)
		_, err = unix.Write(client, []byte("12345"))
		require.NoError(g, err)
		c = g.do(func(s *ring.SQE) { s.PrepPollAdd(closed(g, server), unix.POLLIN) })
		require.NoError(g, c.Err())
		c = g.do(func(s *ring.SQE) { s.PrepCmdSock(ring.SocketOpSIOCINQ, server, 0, 0, nil) })
	}
	if errno(c) == unix.EOPNOTSUPP {
		commandNull(g) // before Linux 6.5 sockets take none
		return
	}
	require.NoError(g, c.Err())
	require.EqualValues(g, 5, c.Res)
}

// commandNull commands the null device, which takes everything; Linux 6.0.
func commandNull(g *rig) {
	null, err := unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0)
	require.NoError(g, err)
	closed(g, null)
	require.Zero(g, g.ok(func(s *ring.SQE) { s.PrepCmdSock(ring.SocketOpSIOCINQ, null, 0, 0, nil) }))
}

func TestSocketOptions(t *testing.T) {
	needOp(t, ring.OpFutexWait) // of the same kernel
	g := newRig(t, nil)
	fd := tcp(t)
	on := make([]byte, 4)
	binary.NativeEndian.PutUint32(on, 1)
	require.Zero(t, g.ok(func(s *ring.SQE) {
		s.PrepCmdSock(ring.SocketOpSetsockopt, fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, on)
	}))
	got := make([]byte, 4)
	require.Equal(t, 4, g.ok(func(s *ring.SQE) {
		s.PrepCmdSock(ring.SocketOpGetsockopt, fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, got)
	}))
	require.Equal(t, on, got)
}

func TestRecvMultishot(t *testing.T) {
	needOp(t, ring.OpSendZC) // of the same kernel
	g := newRig(t, nil)
	b := provide(g, 4, 16, 3)
	from, to := socketPair(t, unix.SOCK_DGRAM)
	data := g.prep(func(s *ring.SQE) { s.PrepRecvMultishot(to, 0, 3) })
	g.submit()
	for _, want := range []string{"one", "two", "three"} {
		_, err := unix.Write(from, []byte(want))
		require.NoError(t, err)
		c := g.waitFor(data)
		require.NoError(t, c.Err())
		require.Equal(t, want, b.taken(g, c))
	}
	g.cancel(data)
}

func TestRecvmsgMultishot(t *testing.T) {
	needOp(t, ring.OpSendZC)
	g := newRig(t, nil)
	b := provide(g, 2, 128, 3)
	recv, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closed(t, recv)
	require.NoError(t, unix.Bind(recv, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	header := &unix.Msghdr{Namelen: unix.SizeofSockaddrInet4}
	data := g.prep(func(s *ring.SQE) { s.PrepRecvmsgMultishot(recv, header, 0, 3) })
	g.submit()

	send, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	closed(t, send)
	require.NoError(t, unix.Sendto(send, []byte("payload"), 0, &unix.SockaddrInet4{Port: int(portOf(t, recv)), Addr: [4]byte{127, 0, 0, 1}}))
	c := g.waitFor(data)
	require.NoError(t, c.Err())
	p := []byte(b.taken(g, c))
	out, name, control, payload, ok := ring.ParseRecvmsg(p, header)
	require.True(t, ok)
	require.EqualValues(t, unix.SizeofSockaddrInet4, out.NameLen)
	require.Len(t, name, unix.SizeofSockaddrInet4)
	require.EqualValues(t, unix.AF_INET, binary.NativeEndian.Uint16(name))
	require.Empty(t, control)
	require.Equal(t, "payload", string(payload))
	require.EqualValues(t, 7, out.PayloadLen)
	_, _, _, _, ok = ring.ParseRecvmsg(p[:20], header)
	require.False(t, ok, "too short")
	g.cancel(data)
}

func TestSendBundle(t *testing.T) {
	g := newRig(t, nil)
	needFeature(t, g.r, ring.FeatRecvSendBundle)
	b := provide(g, 2, 4, 3)
	copy(b.bufs[0], "abcd")
	copy(b.bufs[1], "efgh")
	from, to := socketPair(t, unix.SOCK_STREAM)
	require.Equal(t, 8, g.ok(func(s *ring.SQE) { s.PrepSendBundle(from, 0, 0, 3) }))
	p := make([]byte, 16)
	n, err := unix.Read(to, p)
	require.NoError(t, err)
	require.Equal(t, "abcdefgh", string(p[:n]))
}
