package ring

import "golang.org/x/sys/unix"

// Flags of [SQE.PrepFsync]: IORING_FSYNC_.
const FsyncDatasync = 1 << 0 // 5.1

// Flags of the timeout operations: IORING_TIMEOUT_ and IORING_LINK_TIMEOUT_.
const (
	TimeoutAbs          = 1 << 0 // the timeout is a point in time; 5.5
	TimeoutUpdate       = 1 << 1 // set by PrepTimeoutUpdate; 5.11
	TimeoutBoottime     = 1 << 2 // by CLOCK_BOOTTIME; 5.15
	TimeoutRealtime     = 1 << 3 // by CLOCK_REALTIME; 5.15
	LinkTimeoutUpdate   = 1 << 4 // update the timeout of a link; 5.15
	TimeoutETimeSuccess = 1 << 5 // its end does not count as a failure in a link; 5.16
	TimeoutMultishot    = 1 << 6 // it repeats; 6.4
)

// Flags of [SQE.PrepPollUpdate] and of SQE.Len in a poll: IORING_POLL_.
const (
	PollAddMulti       = 1 << 0 // 5.13
	PollUpdateEvents   = 1 << 1 // 5.13
	PollUpdateUserData = 1 << 2 // 5.13
	PollAddLevel       = 1 << 3 // level-triggered, not edge-triggered; the kernel refuses it, see [SQE.PrepPollAdd]
)

// Flags of the cancel operations and of [SyncCancel]: IORING_ASYNC_CANCEL_.
const (
	AsyncCancelAll      = 1 << 0 // all operations that match, not only the first; 5.19
	AsyncCancelFD       = 1 << 1 // the operations on a file; 5.19
	AsyncCancelAny      = 1 << 2 // any operation of the ring; 5.19
	AsyncCancelFDFixed  = 1 << 3 // the file is a registered one; 6.0
	AsyncCancelUserData = 1 << 4 // also those with this user data; 6.6; 6.1.192 accepts it, but does not find polls
	AsyncCancelOp       = 1 << 5 // the operations with an opcode; 6.6; 6.1.192 accepts it, but does not find polls
)

// Flags of sends and receives, [SQE.IOPrio]: IORING_RECVSEND_, IORING_RECV_
// and IORING_SEND_.
const (
	RecvSendPollFirst  = 1 << 0  // wait until the socket is ready before the first attempt; 5.19
	RecvMultishot      = 1 << 1  // 6.0
	RecvSendFixedBuf   = 1 << 2  // the memory lies in the registered buffer BufIndex; 6.0
	SendZCReportUsage  = 1 << 3  // the notification says whether the data was copied; 6.2; updates of 6.1
	RecvSendBundle     = 1 << 4  // use as many provided buffers as needed; 6.10
	SendVectorized     = 1 << 5  // the buffer is an array of iovecs; 6.17
	NotifUsageZCCopied = 1 << 31 // the data was copied; 6.2; updates of 6.1
)

// Flags of an accept, [SQE.IOPrio]: IORING_ACCEPT_.
const (
	AcceptMultishot = 1 << 0 // 5.19
	AcceptDontwait  = 1 << 1 // 6.10
	AcceptPollFirst = 1 << 2 // 6.10
)

// Commands and flags of [SQE.PrepMsgRing]: IORING_MSG_.
const (
	MsgData          = 0      // 5.18
	MsgSendFD        = 1      // 6.0
	MsgRingCQESkip   = 1 << 0 // a passed file makes no completion there; 6.0
	MsgRingFlagsPass = 1 << 1 // FileIndex are the flags of the completion; 6.3
)

// Flags of other operations: IORING_FIXED_FD_, IORING_NOP_, IORING_URING_CMD_,
// IORING_RW_ATTR_FLAG_ and SPLICE_F_.
const (
	FixedFDNoCloexec  = 1 << 0  // 6.8
	NopInjectResult   = 1 << 0  // Len is the result; 6.10
	NopFile           = 1 << 1  // FD is looked up; 6.13
	NopFixedFile      = 1 << 2  // FD is looked up as a registered file; 6.13
	NopFixedBuffer    = 1 << 3  // BufIndex is looked up as a registered buffer; 6.13
	NopTW             = 1 << 4  // complete by task work; 6.16
	NopCQE32          = 1 << 5  // with a completion of 32 bytes; 6.18
	URingCmdFixed     = 1 << 0  // BufIndex is a registered buffer; 6.1
	URingCmdMultishot = 1 << 1  // with SQEBufferSelect; 6.18
	RWAttrFlagPI      = 1 << 0  // the attribute is an [AttrPI]; 6.14
	SpliceFDInFixed   = 1 << 31 // fdIn is a registered file; 5.7
)

// FileIndexAlloc lets the kernel choose the slot of a direct descriptor; it is
// the result. IORING_FILE_INDEX_ALLOC; 5.19.
const FileIndexAlloc = 1<<32 - 1

// FilesSkip leaves a slot alone in an update. IORING_REGISTER_FILES_SKIP; 5.12.
const FilesSkip = -2

// Commands for sockets, of [SQE.PrepCmdSock]: SOCKET_URING_OP_.
const (
	SocketOpSIOCINQ     = 0 // bytes that can be read; 6.7
	SocketOpSIOCOUTQ    = 1 // bytes that were not sent yet; 6.7
	SocketOpGetsockopt  = 2 // 6.7
	SocketOpSetsockopt  = 3 // 6.7
	SocketOpTXTimestamp = 4 // time stamps of what was sent; 6.17
)

// Flags and types of registrations: IORING_RSRC_, IOU_PBUF_RING_,
// IORING_REGISTER_, IORING_MEM_REGION_, IORING_REG_WAIT_ and IO_WQ_.
const (
	RsrcRegisterSparse    = 1 << 0 // 5.19
	PbufRingMmap          = 1      // the kernel allocates it; 6.4
	PbufRingInc           = 2      // a buffer is used by several operations until it is full; 6.12
	RegisterSrcRegistered = 1 << 0 // 6.12
	RegisterDstReplace    = 1 << 1 // 6.13
	MemRegionTypeUser     = 1      // 6.13
	MemRegionRegWaitArg   = 1      // 6.13
	RegWaitTS             = 1 << 0 // 6.13
	IOWQBound             = 0      // 5.15
	IOWQUnbound           = 1      // 5.15
)

// Flags of a [ZcrxAreaReg] and parts of [ZcrxCQE.Off]: IORING_ZCRX_AREA_.
const (
	ZcrxAreaDMABuf = 1             // memory of a device, DMABufFD; 6.16
	ZcrxAreaShift  = 48            // the bits from here on are the area's number; 6.15
	ZcrxAreaMask   = 1<<64 - 1<<48 // those bits; 6.15
)

// What a [Restriction] is about: IORING_RESTRICTION_; 5.10.
const (
	RestrictionRegisterOp       = 0
	RestrictionSQEOp            = 1
	RestrictionSQEFlagsAllowed  = 2
	RestrictionSQEFlagsRequired = 3
)

// Operations and ways of tracking of [NAPI]: IO_URING_NAPI_.
const (
	NAPIRegisterOp       = 0   // 6.9
	NAPIStaticAddID      = 1   // 6.13
	NAPIStaticDelID      = 2   // 6.13
	NAPITrackingDynamic  = 0   // 6.9
	NAPITrackingStatic   = 1   // 6.13
	NAPITrackingInactive = 255 // 6.13
)

// QueryOpcodes is what [Query] asks for: IO_URING_QUERY_OPCODES; 6.18.
const QueryOpcodes = 0

// BlockCmdDiscard is what [SQE.PrepCmdDiscard] asks of a block device:
// BLOCK_URING_CMD_DISCARD, command 0 where BLKDISCARD is command 119; 6.12.
const BlockCmdDiscard = unix.BLKDISCARD - 119

const opSupported = 1 << 0 // IO_URING_OP_SUPPORTED

// Offset of a provided buffer ring: IORING_OFF_PBUF_.
const (
	offPbufRing  = 0x80000000
	offPbufShift = 16
)
