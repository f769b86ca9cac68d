package ring

import (
	"math"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Flags of sends and receives are unix.MSG_...; those of the ring go into
// IOPrio: [RecvSendPollFirst] and its block. The kernel reads a Msghdr and what
// it points at, without the data, at submission since Linux 5.5
// ([FeatSubmitStable]); a receive writes to it when it completes.

// PrepSocket makes a socket; the result is its file descriptor. flags must be 0. It
// corresponds to io_uring_prep_socket; Linux 5.19.
func (s *SQE) PrepSocket(domain, typ, protocol int, flags uint32) {
	*s = SQE{Opcode: OpSocket, FD: file(domain), Off: uint64(file(typ)), Len: uint32(file(protocol)), OpFlags: flags}
}

// PrepSocketDirect makes a socket in a slot of the registered files, or in a free
// one with [FileIndexAlloc]. It corresponds to io_uring_prep_socket_direct; Linux
// 5.19.
func (s *SQE) PrepSocketDirect(domain, typ, protocol int, slot, flags uint32) {
	s.PrepSocket(domain, typ, protocol, flags)
	s.SetDirect(slot)
}

// PrepBind sets a socket's own address. It corresponds to io_uring_prep_bind; Linux
// 6.11.
func (s *SQE) PrepBind(fd int, addr *unix.RawSockaddrAny, n uint32) {
	s.PrepConnect(fd, addr, n)
	s.Opcode = OpBind
}

// PrepListen lets a socket accept connections. It corresponds to
// io_uring_prep_listen; Linux 6.11.
func (s *SQE) PrepListen(fd, backlog int) {
	*s = SQE{Opcode: OpListen, FD: file(fd), Len: uint32(file(backlog))}
}

// PrepAccept accepts a connection; the result is its file descriptor. addr, and n,
// the space and then the length of it, may be nil; flags are unix.SOCK_... It
// corresponds to io_uring_prep_accept; Linux 5.5.
func (s *SQE) PrepAccept(fd int, addr *unix.RawSockaddrAny, n *uint32, flags uint32) {
	*s = SQE{Opcode: OpAccept, FD: file(fd), Off: operand(unsafe.Pointer(n)), Addr: sockaddr(addr), OpFlags: flags}
}

// PrepAcceptDirect accepts a connection into a slot of the registered files, or into
// a free one with [FileIndexAlloc]. It corresponds to io_uring_prep_accept_direct;
// Linux 5.15.
func (s *SQE) PrepAcceptDirect(fd int, addr *unix.RawSockaddrAny, n *uint32, flags, slot uint32) {
	s.PrepAccept(fd, addr, n, flags)
	s.SetDirect(slot)
}

// PrepAcceptMultishot accepts connections until it is canceled, with a completion
// for each. It corresponds to io_uring_prep_multishot_accept; Linux 5.19.
func (s *SQE) PrepAcceptMultishot(fd int, flags uint32) {
	s.PrepAccept(fd, nil, nil, flags)
	s.IOPrio = AcceptMultishot
}

// PrepAcceptMultishotDirect accepts connections until it is canceled, into free
// slots of the registered files. It corresponds to
// io_uring_prep_multishot_accept_direct; Linux 5.19.
func (s *SQE) PrepAcceptMultishotDirect(fd int, flags uint32) {
	s.PrepAcceptMultishot(fd, flags)
	s.SetDirect(FileIndexAlloc)
}

// PrepConnect connects a socket. It corresponds to io_uring_prep_connect; Linux 5.5.
func (s *SQE) PrepConnect(fd int, addr *unix.RawSockaddrAny, n uint32) {
	*s = SQE{Opcode: OpConnect, FD: file(fd), Off: uint64(n), Addr: sockaddr(addr)}
}

// PrepShutdown shuts down one direction of a connection, or both; how is unix.SHUT_...
// It corresponds to io_uring_prep_shutdown; Linux 5.11.
func (s *SQE) PrepShutdown(fd int, how uint32) {
	*s = SQE{Opcode: OpShutdown, FD: file(fd), Len: how}
}

// PrepSend sends p. It corresponds to io_uring_prep_send; Linux 5.6.
func (s *SQE) PrepSend(fd int, p []byte, flags uint32) {
	*s = SQE{Opcode: OpSend, FD: file(fd), Addr: bytes(p), Len: length(p), OpFlags: flags}
}

// PrepSendto sends p to an address. It corresponds to io_uring_prep_sendto; Linux
// 6.1.
func (s *SQE) PrepSendto(fd int, p []byte, flags uint32, addr *unix.RawSockaddrAny, n uint16) {
	s.PrepSend(fd, p, flags)
	s.SetDestination(addr, n)
}

// SetDestination sets the address that a prepared send goes to. It corresponds to
// io_uring_prep_send_set_addr; Linux 6.1, for PrepSendZC 6.0.
func (s *SQE) SetDestination(addr *unix.RawSockaddrAny, n uint16) {
	s.Off = sockaddr(addr)
	s.SetAddrLen(n)
}

// PrepSendBundle sends as many provided buffers of that group as there are, at most
// n bytes if n is not 0. It corresponds to io_uring_prep_send_bundle; Linux 6.10.
func (s *SQE) PrepSendBundle(fd int, n uint32, flags uint32, group uint16) {
	*s = SQE{Opcode: OpSend, Flags: SQEBufferSelect, IOPrio: RecvSendBundle, FD: file(fd),
		Len: n, OpFlags: flags, BufIndex: group}
}

// PrepSendZC sends p without a copy. There are two completions: the result, with
// [CQEMore], and the notification, with [CQENotif], before which p must not change;
// zcFlags go into IOPrio. It corresponds to io_uring_prep_send_zc; Linux 6.0.
func (s *SQE) PrepSendZC(fd int, p []byte, flags uint32, zcFlags uint16) {
	s.PrepSend(fd, p, flags)
	s.Opcode, s.IOPrio = OpSendZC, zcFlags
}

// PrepSendZCFixed is PrepSendZC for memory in a registered buffer. It corresponds to
// io_uring_prep_send_zc_fixed; Linux 6.0.
func (s *SQE) PrepSendZCFixed(fd int, p []byte, flags uint32, zcFlags, index uint16) {
	s.PrepSendZC(fd, p, flags, zcFlags|RecvSendFixedBuf)
	s.BufIndex = index
}

// PrepSendmsg sends a message. It corresponds to io_uring_prep_sendmsg; Linux 5.3.
func (s *SQE) PrepSendmsg(fd int, m *unix.Msghdr, flags uint32) {
	*s = SQE{Opcode: OpSendmsg, FD: file(fd), Addr: operand(unsafe.Pointer(m)), Len: 1, OpFlags: flags}
}

// PrepSendmsgZC sends a message without a copy, with two completions as of
// PrepSendZC. It corresponds to io_uring_prep_sendmsg_zc; Linux 6.1.
func (s *SQE) PrepSendmsgZC(fd int, m *unix.Msghdr, flags uint32) {
	s.PrepSendmsg(fd, m, flags)
	s.Opcode = OpSendmsgZC
}

// PrepSendmsgZCFixed is PrepSendmsgZC for memory in a registered buffer. It
// corresponds to io_uring_prep_sendmsg_zc_fixed; Linux 6.15.
func (s *SQE) PrepSendmsgZCFixed(fd int, m *unix.Msghdr, flags uint32, index uint16) {
	s.PrepSendmsgZC(fd, m, flags)
	s.IOPrio, s.BufIndex = RecvSendFixedBuf, index
}

// PrepRecv receives into p. It corresponds to io_uring_prep_recv; Linux 5.6.
func (s *SQE) PrepRecv(fd int, p []byte, flags uint32) {
	s.PrepSend(fd, p, flags)
	s.Opcode = OpRecv
}

// PrepRecvMultishot receives until it is canceled, each time into a provided buffer
// of that group; there is a completion for each. It corresponds to
// io_uring_prep_recv_multishot; Linux 6.0.
func (s *SQE) PrepRecvMultishot(fd int, flags uint32, group uint16) {
	*s = SQE{Opcode: OpRecv, Flags: SQEBufferSelect, IOPrio: RecvMultishot, FD: file(fd), OpFlags: flags, BufIndex: group}
}

// PrepRecvmsg receives a message. It corresponds to io_uring_prep_recvmsg; Linux
// 5.3.
func (s *SQE) PrepRecvmsg(fd int, m *unix.Msghdr, flags uint32) {
	s.PrepSendmsg(fd, m, flags)
	s.Opcode = OpRecvmsg
}

// PrepRecvmsgMultishot receives messages until it is canceled, each into a provided
// buffer of that group, which [ParseRecvmsg] parses. Of m only the lengths of name
// and control data are used. An empty datagram ends the operation with a completion
// without [CQEMore]: prepare it again. It corresponds to
// io_uring_prep_recvmsg_multishot; Linux 6.0.
func (s *SQE) PrepRecvmsgMultishot(fd int, m *unix.Msghdr, flags uint32, group uint16) {
	s.PrepRecvmsg(fd, m, flags)
	s.IOPrio = RecvMultishot
	s.SetBufferGroup(group)
}

// PrepRecvZC receives into the memory of a registered interface queue, until it is
// canceled. n, if not 0, limits the number of bytes. The socket must be on that
// queue. [OpRecvZC]: liburing has no function for it; Linux 6.15.
func (s *SQE) PrepRecvZC(fd int, n, queue uint32) {
	*s = SQE{Opcode: OpRecvZC, IOPrio: RecvMultishot, FD: file(fd), Len: n, FileIndex: queue}
}

// PrepCmdSock sends a command, SocketOp..., to a socket; value and level are as for
// getsockopt. It corresponds to io_uring_prep_cmd_sock; Linux 6.7.
func (s *SQE) PrepCmdSock(op uint32, fd int, level, name uint32, value []byte) {
	s.PrepURingCmd(op, fd)
	pair(&s.Addr, level, name)
	s.Addr3, s.FileIndex = bytes(value), uint32(min(len(value), math.MaxInt32))
}

func sockaddr(a *unix.RawSockaddrAny) uint64 { return operand(unsafe.Pointer(a)) }

// RecvmsgOut precedes a message in the buffer of a multishot receive: struct
// io_uring_recvmsg_out; Linux 6.0. The lengths are those of the message, which may
// exceed the space for it.
type RecvmsgOut struct {
	NameLen    uint32
	ControlLen uint32
	PayloadLen uint32
	Flags      uint32 // unix.MSG_...
}

// ParseRecvmsg parses a message of [SQE.PrepRecvmsgMultishot]. p is the part of the
// buffer that was filled, m the header of the submission. It reports false if p is
// too short. It corresponds to io_uring_recvmsg_validate and its companions; Linux
// 6.0.
func ParseRecvmsg(p []byte, m *unix.Msghdr) (out RecvmsgOut, name, control, payload []byte, ok bool) {
	const header = unsafe.Sizeof(out)
	names, controls := uint64(m.Namelen), uint64(m.Controllen)
	if uint64(len(p)) < uint64(header)+names+controls {
		return out, nil, nil, nil, false
	}
	copy((*[header]byte)(unsafe.Pointer(&out))[:], p)
	p = p[header:]
	name = p[:min(names, uint64(out.NameLen))]
	control = p[names:][:min(controls, uint64(out.ControlLen))]
	payload = p[names+controls:]
	return out, name, control, payload, true
}

// PrepSendVectorized sends several buffers, one after the other. [SendVectorized]:
// liburing has no function for it; Linux 6.17.
func (s *SQE) PrepSendVectorized(fd int, v []unix.Iovec, flags uint32) {
	*s = SQE{Opcode: OpSend, IOPrio: SendVectorized, FD: file(fd), Addr: iovecs(v), Len: count(len(v)), OpFlags: flags}
}

// PrepSendZCVectorized is PrepSendZC for several buffers; with [RecvSendFixedBuf] in
// zcFlags it is EINVAL: see PrepSendmsgZCFixed. [SendVectorized]: liburing has no
// function for it; Linux 6.17.
func (s *SQE) PrepSendZCVectorized(fd int, v []unix.Iovec, flags uint32, zcFlags uint16) {
	s.PrepSendVectorized(fd, v, flags)
	s.Opcode, s.IOPrio = OpSendZC, SendVectorized|zcFlags
}
