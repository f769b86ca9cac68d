package ring

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// PrepNop does nothing and completes. Before Linux 5.19, by the kernel's history, it
// fails with EINVAL on rings with [SetupIOPoll]. It corresponds to
// io_uring_prep_nop; Linux 5.1.
func (s *SQE) PrepNop() { *s = SQE{Opcode: OpNop, FD: -1} }

// PrepPollAdd waits until one of the events, unix.POLL..., has come; the result is
// those that have. [PollAddLevel] fails with EINVAL: only the kernel itself uses it.
// It corresponds to io_uring_prep_poll_add; Linux 5.1.
func (s *SQE) PrepPollAdd(fd int, events uint32) {
	*s = SQE{Opcode: OpPollAdd, FD: file(fd), OpFlags: pollMask(events)}
}

// PrepPollMultishot is PrepPollAdd that repeats until it is canceled or has a
// completion without [CQEMore]. It corresponds to io_uring_prep_poll_multishot;
// Linux 5.13.
func (s *SQE) PrepPollMultishot(fd int, events uint32) {
	s.PrepPollAdd(fd, events)
	s.Len = PollAddMulti
}

// PrepPollRemove ends the poll with that user data. It corresponds to
// io_uring_prep_poll_remove; Linux 5.1.
func (s *SQE) PrepPollRemove(userData uint64) {
	*s = SQE{Opcode: OpPollRemove, FD: -1, Addr: userData}
}

// PrepPollUpdate changes a poll: its user data with [PollUpdateUserData], its events
// with [PollUpdateEvents]. It corresponds to io_uring_prep_poll_update; Linux 5.13.
//
// If the new events have come already, a poll that is not multishot may never
// complete, as on Linux 5.10.223, where no cancellation finds it either, or complete
// only with a later submission, as on 6.1.192 after an update with [SQE.SetAsync].
// PrepPollRemove followed by another poll does not have that fault.
func (s *SQE) PrepPollUpdate(oldUserData, newUserData uint64, events, flags uint32) {
	*s = SQE{Opcode: OpPollRemove, FD: -1, Off: newUserData, Addr: oldUserData, Len: flags, OpFlags: pollMask(events)}
}

// PrepEpollCtl changes the events that an epoll set waits for; op is
// unix.EPOLL_CTL_... It corresponds to io_uring_prep_epoll_ctl; Linux 5.6.
func (s *SQE) PrepEpollCtl(epollFD, fd, op int, event *unix.EpollEvent) {
	*s = SQE{Opcode: OpEpollCtl, FD: file(epollFD), Off: uint64(file(fd)), Addr: operand(unsafe.Pointer(event)), Len: uint32(file(op))}
}

// PrepEpollWait waits for events of an epoll set; the result is how many. flags must
// be 0. It corresponds to io_uring_prep_epoll_wait; Linux 6.15.
func (s *SQE) PrepEpollWait(epollFD int, events []unix.EpollEvent, flags uint32) {
	*s = SQE{Opcode: OpEpollWait, FD: file(epollFD), Addr: operand(unsafe.Pointer(unsafe.SliceData(events))),
		Len: count(len(events)), OpFlags: flags}
}

// PrepTimeout completes with ETIME at the end of t, a duration or, with
// [TimeoutAbs], a point in time, or with 0 once count others have completed, if
// count is not 0; flags are Timeout... It corresponds to io_uring_prep_timeout;
// Linux 5.4.
//
// In a time namespace the kernel reads a point in time by the system's clock, not by
// the namespace's. The same holds for PrepTimeoutUpdate and PrepLinkTimeout.
func (s *SQE) PrepTimeout(t *Timespec, count, flags uint32) {
	*s = SQE{Opcode: OpTimeout, FD: -1, Off: uint64(count), Addr: operand(unsafe.Pointer(t)), Len: 1, OpFlags: flags}
}

// PrepTimeoutRemove cancels the timeout with that user data. It corresponds to
// io_uring_prep_timeout_remove; Linux 5.5.
func (s *SQE) PrepTimeoutRemove(userData uint64, flags uint32) {
	*s = SQE{Opcode: OpTimeoutRemove, FD: -1, Addr: userData, OpFlags: flags}
}

// PrepTimeoutUpdate changes the end of the timeout with that user data; with
// [LinkTimeoutUpdate] that of one made by PrepLinkTimeout. It corresponds to
// io_uring_prep_timeout_update; Linux 5.11.
func (s *SQE) PrepTimeoutUpdate(t *Timespec, userData uint64, flags uint32) {
	s.PrepTimeoutRemove(userData, flags|TimeoutUpdate)
	s.Off = operand(unsafe.Pointer(t))
}

// PrepLinkTimeout limits the time of the entry before it, which must link to it and
// is canceled at its end. It corresponds to io_uring_prep_link_timeout; Linux 5.5.
func (s *SQE) PrepLinkTimeout(t *Timespec, flags uint32) {
	*s = SQE{Opcode: OpLinkTimeout, FD: -1, Addr: operand(unsafe.Pointer(t)), Len: 1, OpFlags: flags}
}

// PrepCancel64 cancels the operation with that user data. The result is 0, ENOENT if
// there is no such operation, or EALREADY if it can no longer be canceled; with
// [AsyncCancelAll] it is how many were canceled. It corresponds to
// io_uring_prep_cancel64; Linux 5.5.
func (s *SQE) PrepCancel64(userData uint64, flags uint32) {
	*s = SQE{Opcode: OpAsyncCancel, FD: -1, Addr: userData, OpFlags: flags}
}

// PrepCancelFD cancels an operation on that file, or all of them with [AsyncCancelAll];
// flags are AsyncCancel... It corresponds to io_uring_prep_cancel_fd; Linux 5.19.
func (s *SQE) PrepCancelFD(fd int, flags uint32) {
	*s = SQE{Opcode: OpAsyncCancel, FD: file(fd), OpFlags: flags | AsyncCancelFD}
}

// PrepCancelAny cancels any operation of the ring, with [AsyncCancelAll] all of
// them. It corresponds to io_uring_prep_cancel64 with [AsyncCancelAny]; Linux 5.19.
func (s *SQE) PrepCancelAny(flags uint32) { s.PrepCancel64(0, flags|AsyncCancelAny) }

// PrepCancelOp cancels operations with that opcode. It corresponds to
// io_uring_prep_cancel64 with [AsyncCancelOp]; Linux 6.6.
func (s *SQE) PrepCancelOp(opcode uint8, flags uint32) {
	s.PrepCancel64(0, flags|AsyncCancelOp)
	s.Len = uint32(opcode)
}

// PrepMsgRing makes a completion with that result and user data in another ring;
// flags must be 0. It corresponds to io_uring_prep_msg_ring; Linux 5.18.
func (s *SQE) PrepMsgRing(ringFD int, res uint32, userData uint64, flags uint32) {
	*s = SQE{Opcode: OpMsgRing, FD: file(ringFD), Off: userData, Addr: MsgData, Len: res, OpFlags: flags}
}

// PrepMsgRingFlags is PrepMsgRing that sets the completion's flags too. It
// corresponds to io_uring_prep_msg_ring_cqe_flags; Linux 6.3.
func (s *SQE) PrepMsgRingFlags(ringFD int, res uint32, userData uint64, flags, cqeFlags uint32) {
	s.PrepMsgRing(ringFD, res, userData, flags|MsgRingFlagsPass)
	s.FileIndex = cqeFlags
}

// PrepMsgRingFD passes a registered file of this ring to that slot of another ring,
// or to a free one with [FileIndexAlloc]; with [MsgRingCQESkip] that ring gets no
// completion. It corresponds to io_uring_prep_msg_ring_fd; Linux 6.0.
func (s *SQE) PrepMsgRingFD(ringFD int, from, to uint32, userData uint64, flags uint32) {
	*s = SQE{Opcode: OpMsgRing, FD: file(ringFD), Off: userData, Addr: MsgSendFD, OpFlags: flags, Addr3: uint64(from)}
	s.SetDirect(to)
}

// PrepFilesUpdate registers files in the slots from that one on; -1 empties a slot.
// The result is how many were changed. With [FileIndexAlloc] as slot each file gets
// a free slot, which is stored in fds (5.19). It corresponds to
// io_uring_prep_files_update; Linux 5.6.
func (s *SQE) PrepFilesUpdate(fds []int32, slot uint32) {
	off := uint64(slot)
	*s = SQE{Opcode: OpFilesUpdate, FD: -1, Off: off, Addr: operand(unsafe.Pointer(unsafe.SliceData(fds))), Len: count(len(fds))}
}

// PrepFixedFDInstall makes a file descriptor for a registered file, close-on-exec
// unless flags have [FixedFDNoCloexec]. It corresponds to
// io_uring_prep_fixed_fd_install; Linux 6.8.
func (s *SQE) PrepFixedFDInstall(slot int, flags uint32) {
	*s = SQE{Opcode: OpFixedFDInstall, Flags: SQEFixedFile, FD: file(slot), OpFlags: flags}
}

// PrepProvideBuffers provides n buffers of size bytes each, which follow each other
// in p and are numbered from id. [BufRing] is faster. It corresponds to
// io_uring_prep_provide_buffers; Linux 5.7. It panics if p does not hold them.
func (s *SQE) PrepProvideBuffers(p []byte, size uint32, n int, group, id uint16) {
	if n > 0 && uint64(size) > uint64(len(p))/uint64(n) {
		panic("ring: PrepProvideBuffers of more than there is")
	}
	*s = SQE{Opcode: OpProvideBuffers, FD: file(n), Off: uint64(id), Addr: bytes(p), Len: size, BufIndex: group}
}

// PrepRemoveBuffers removes n buffers from a group. It corresponds to
// io_uring_prep_remove_buffers; Linux 5.7.
func (s *SQE) PrepRemoveBuffers(n int, group uint16) {
	*s = SQE{Opcode: OpRemoveBuffers, FD: file(n), BufIndex: group}
}

// PrepURingCmd sends a command to the file's driver; its operands go into the
// command area, [SubmissionQueue.Cmd]. It corresponds to io_uring_prep_uring_cmd;
// Linux 5.19.
func (s *SQE) PrepURingCmd(op uint32, fd int) {
	*s = SQE{Opcode: OpURingCmd, FD: file(fd)}
	pair(&s.Off, op, 0)
}

// PrepCmdDiscard discards a part of a block device. It corresponds to
// io_uring_prep_cmd_discard; Linux 6.12.
func (s *SQE) PrepCmdDiscard(fd int, off, n uint64) {
	s.PrepURingCmd(BlockCmdDiscard, fd)
	s.Addr, s.Addr3 = off, n
}

// pollMask returns 32 bits of events as the kernel reads them.
func pollMask(events uint32) uint32 {
	if bigEndian {
		return events<<16 | events>>16
	}
	return events
}
