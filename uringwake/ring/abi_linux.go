package ring

// The names below are the C names in Go's form without their prefix. Each block says
// which prefix was dropped and, where it differs within the block, the first kernel.

// Flags of [Setup]: IORING_SETUP_.
const (
	SetupIOPoll           = 1 << 0  // busy-wait for storage that is accessed with O_DIRECT; 5.1
	SetupSQPoll           = 1 << 1  // a kernel thread looks for submissions, with the credentials of this one; 5.1
	SetupSQAff            = 1 << 2  // that thread runs on Params.SQThreadCPU; 5.1
	SetupCQSize           = 1 << 3  // Params.CQEntries is the size of the completion queue; 5.5
	SetupClamp            = 1 << 4  // sizes that are too large are made smaller; 5.6
	SetupAttachWQ         = 1 << 5  // share the workers of Params.WQFD; 5.6
	SetupRDisabled        = 1 << 6  // the ring is disabled until [Registrar.EnableRings]; 5.10
	SetupSubmitAll        = 1 << 7  // submission continues after an entry that is refused; 5.18
	SetupCoopTaskrun      = 1 << 8  // the kernel does not interrupt the thread to run task work; 5.19
	SetupTaskrunFlag      = 1 << 9  // [SubmissionQueue.TaskRun] reports it; 5.19
	SetupSQE128           = 1 << 10 // entries of 128 bytes; 5.19
	SetupCQE32            = 1 << 11 // completions of 32 bytes; 5.19
	SetupSingleIssuer     = 1 << 12 // only one thread submits; 6.0
	SetupDeferTaskrun     = 1 << 13 // completions only in an enter that asks for them; 6.1
	SetupNoMmap           = 1 << 14 // the queues lie in memory of the caller; 6.5
	SetupRegisteredFDOnly = 1 << 15 // no file descriptor, only a registered index; 6.5
	SetupNoSQArray        = 1 << 16 // entries are taken in order, without an index; 6.6
	SetupHybridIOPoll     = 1 << 17 // with SetupIOPoll, sleep first; 6.13
	SetupCQEMixed         = 1 << 18 // completions of 16 and of 32 bytes; 6.18
)

// Features that the kernel reports: IORING_FEAT_.
const (
	FeatSingleMmap     = 1 << 0  // one mapping holds both rings; 5.4
	FeatNoDrop         = 1 << 1  // completions are kept when the queue is full; 5.5
	FeatSubmitStable   = 1 << 2  // operands other than buffers are copied at submission; 5.5
	FeatRWCurPos       = 1 << 3  // offset -1 is the file's position; 5.6
	FeatCurPersonality = 1 << 4  // credentials are those at submission; 5.6
	FeatFastPoll       = 1 << 5  // an operation that waits for a file to be ready needs no worker; 5.7
	FeatPoll32Bits     = 1 << 6  // poll masks have 32 bits; 5.9
	FeatSQPollNonfixed = 1 << 7  // SetupSQPoll works with descriptors that are not registered; 5.11
	FeatExtArg         = 1 << 8  // an enter can have a timeout; 5.11
	FeatNativeWorkers  = 1 << 9  // workers are threads of the process; 5.12
	FeatRsrcTags       = 1 << 10 // registered files and buffers have tags; 5.13
	FeatCQESkip        = 1 << 11 // SQECQESkipSuccess; 5.17
	FeatLinkedFile     = 1 << 12 // a file is looked up when its operation starts; 5.17
	FeatRegRegRing     = 1 << 13 // a registered ring can register; 6.3
	FeatRecvSendBundle = 1 << 14 // RecvSendBundle; 6.10
	FeatMinTimeout     = 1 << 15 // WaitOptions.MinWait; 6.12
	FeatRWAttr         = 1 << 16 // attributes for reads and writes; 6.14
	FeatNoIOWait       = 1 << 17 // EnterNoIOWait; 6.15
)

// Flags of [SubmissionQueue.Enter]: IORING_ENTER_.
const (
	EnterGetEvents      = 1 << 0 // wait for completions, and run task work; 5.1
	EnterSQWakeup       = 1 << 1 // wake SetupSQPoll's thread; 5.1
	EnterSQWait         = 1 << 2 // wait for room in the queue; 5.10
	EnterExtArg         = 1 << 3 // the argument is a struct; 5.11
	EnterRegisteredRing = 1 << 4 // the descriptor is a registered index; 5.18
	EnterAbsTimer       = 1 << 5 // the timeout is a point in time, outside of time namespaces; 6.12
	EnterExtArgReg      = 1 << 6 // the argument lies in a registered region; 6.13
	EnterNoIOWait       = 1 << 7 // waiting is not counted as iowait; 6.15
)

// Flags of an entry, [SQE.Flags]: IOSQE_.
const (
	SQEFixedFile      = 1 << 0 // FD is an index of a registered file; 5.1
	SQEDrain          = 1 << 1 // start after all earlier ones completed (IO_DRAIN); 5.2
	SQELink           = 1 << 2 // the next one starts after this one (IO_LINK); 5.3
	SQEHardlink       = 1 << 3 // the same, even if this one fails (IO_HARDLINK); 5.5
	SQEAsync          = 1 << 4 // leave it to a worker at once; 5.6
	SQEBufferSelect   = 1 << 5 // take a buffer of the group BufIndex; 5.7
	SQECQESkipSuccess = 1 << 6 // a completion only if it fails; 5.17
)

// Flags of a completion, [CQE.Flags]: IORING_CQE_F_.
const (
	CQEBuffer       = 1 << 0  // the upper bits are a buffer's number; 5.7
	CQEMore         = 1 << 1  // there will be more completions of the same submission; 5.13
	CQESockNonempty = 1 << 2  // the TCP socket has more data; 5.19
	CQENotif        = 1 << 3  // a zero-copy send no longer uses its buffer; 6.0
	CQEBufMore      = 1 << 4  // the buffer is not used up; 6.12
	CQESkip         = 1 << 5  // a gap before the queue's end, skipped by all of this package; 6.18
	CQE32           = 1 << 15 // this completion has 32 bytes, with SetupCQEMixed; 6.18
	CQETstampHW     = 1 << 16 // a time stamp of the hardware; 6.17

	CQEBufferShift   = 16 // IORING_CQE_BUFFER_SHIFT
	TimestampHWShift = 16 // IORING_TIMESTAMP_HW_SHIFT
	TimestampType    = 17 // IORING_TIMESTAMP_TYPE_SHIFT
)

// Flags in the shared memory: IORING_SQ_ and IORING_CQ_.
const (
	SQNeedWakeup      = 1 << 0 // SetupSQPoll's thread sleeps; 5.1
	SQCQOverflow      = 1 << 1 // completions are held back for lack of room; 5.8
	SQTaskrun         = 1 << 2 // completions wait for an enter; 5.19
	CQEventFDDisabled = 1 << 0 // completions are not counted on a registered eventfd; set by the caller; 5.8
)

// Opcodes: IORING_OP_.
const (
	OpNop            = iota // 5.1
	OpReadv                 // 5.1
	OpWritev                // 5.1
	OpFsync                 // 5.1
	OpReadFixed             // 5.1
	OpWriteFixed            // 5.1
	OpPollAdd               // 5.1
	OpPollRemove            // 5.1
	OpSyncFileRange         // 5.2
	OpSendmsg               // 5.3
	OpRecvmsg               // 5.3
	OpTimeout               // 5.4
	OpTimeoutRemove         // 5.5
	OpAccept                // 5.5
	OpAsyncCancel           // 5.5
	OpLinkTimeout           // 5.5
	OpConnect               // 5.5
	OpFallocate             // 5.6
	OpOpenat                // 5.6
	OpClose                 // 5.6
	OpFilesUpdate           // 5.6
	OpStatx                 // 5.6
	OpRead                  // 5.6
	OpWrite                 // 5.6
	OpFadvise               // 5.6
	OpMadvise               // 5.6
	OpSend                  // 5.6
	OpRecv                  // 5.6
	OpOpenat2               // 5.6
	OpEpollCtl              // 5.6
	OpSplice                // 5.7
	OpProvideBuffers        // 5.7
	OpRemoveBuffers         // 5.7
	OpTee                   // 5.8
	OpShutdown              // 5.11
	OpRenameat              // 5.11
	OpUnlinkat              // 5.11
	OpMkdirat               // 5.15
	OpSymlinkat             // 5.15
	OpLinkat                // 5.15
	OpMsgRing               // 5.18
	OpFsetxattr             // 5.19
	OpSetxattr              // 5.19
	OpFgetxattr             // 5.19
	OpGetxattr              // 5.19
	OpSocket                // 5.19
	OpURingCmd              // 5.19
	OpSendZC                // 6.0
	OpSendmsgZC             // 6.1
	OpReadMultishot         // 6.7
	OpWaitid                // 6.7
	OpFutexWait             // 6.7
	OpFutexWake             // 6.7
	OpFutexWaitv            // 6.7
	OpFixedFDInstall        // 6.8
	OpFtruncate             // 6.9
	OpBind                  // 6.11
	OpListen                // 6.11
	OpRecvZC                // 6.15
	OpEpollWait             // 6.15
	OpReadvFixed            // 6.15
	OpWritevFixed           // 6.15
	OpPipe                  // 6.16
)

// Opcodes of io_uring_register: IORING_REGISTER_ and IORING_UNREGISTER_.
const (
	RegisterBuffers        = iota // 5.1
	UnregisterBuffers             // 5.1
	RegisterFiles                 // 5.1
	UnregisterFiles               // 5.1
	RegisterEventFD               // 5.2
	UnregisterEventFD             // 5.2
	RegisterFilesUpdate           // 5.5
	RegisterEventFDAsync          // 5.6
	RegisterProbe                 // 5.6
	RegisterPersonality           // 5.6
	UnregisterPersonality         // 5.6
	RegisterRestrictions          // 5.10
	RegisterEnableRings           // 5.10
	RegisterFiles2                // 5.13
	RegisterFilesUpdate2          // 5.13
	RegisterBuffers2              // 5.13
	RegisterBuffersUpdate         // 5.13
	RegisterIOWQAff               // 5.14
	UnregisterIOWQAff             // 5.14
	RegisterIOWQMaxWorkers        // 5.15
	RegisterRingFDs               // 5.18
	UnregisterRingFDs             // 5.18
	RegisterPbufRing              // 5.19
	UnregisterPbufRing            // 5.19
	RegisterSyncCancel            // 6.0
	RegisterFileAllocRange        // 6.0
	RegisterPbufStatus            // 6.8
	RegisterNAPI                  // 6.9
	UnregisterNAPI                // 6.9
	RegisterClock                 // 6.12
	RegisterCloneBuffers          // 6.12
	RegisterSendMsgRing           // 6.13
	RegisterZcrxIfq               // 6.15
	RegisterResizeRings           // 6.13
	RegisterMemRegion             // 6.13
	RegisterQuery                 // 6.18

	RegisterUseRegisteredRing = 1 << 31 // the descriptor is a registered index; 6.3
)
