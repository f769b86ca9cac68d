package ring

// RegWait are the options of a wait in a registered region: struct
// io_uring_reg_wait; Linux 6.13.
type RegWait struct {
	Timeout     Timespec
	MinWait     uint32 // microseconds
	Flags       uint32 // RegWaitTS, if Timeout counts
	Sigmask     uint64
	SigmaskSize uint32
	pad         [3]uint32
	pad2        [2]uint64
}
