package ring_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// lastOp is the last opcode of the ABI that the package speaks, Linux 6.18.
const lastOp = ring.OpPipe

// operations has a test for each opcode, which runs it.
var operations = map[uint8]func(g *rig){
	ring.OpNop: opNop, ring.OpReadv: opVectors, ring.OpWritev: opVectors, ring.OpFsync: opFsync,
	ring.OpReadFixed: opFixed, ring.OpWriteFixed: opFixed, ring.OpPollAdd: opPoll, ring.OpPollRemove: opPoll,
	ring.OpSyncFileRange: opSyncFileRange, ring.OpSendmsg: opMessages, ring.OpRecvmsg: opMessages,
	ring.OpTimeout: opTimeout, ring.OpTimeoutRemove: opTimeout, ring.OpAccept: opConnections,
	ring.OpAsyncCancel: opCancel, ring.OpLinkTimeout: opLinkTimeout, ring.OpConnect: opConnections,
	ring.OpFallocate: opFallocate, ring.OpOpenat: opOpen, ring.OpClose: opOpen, ring.OpFilesUpdate: opFilesUpdate,
	ring.OpStatx: opStatx, ring.OpRead: opReadWrite, ring.OpWrite: opReadWrite, ring.OpFadvise: opAdvise,
	ring.OpMadvise: opAdvise, ring.OpSend: opSendRecv, ring.OpRecv: opSendRecv, ring.OpOpenat2: opOpenat2,
	ring.OpEpollCtl: opEpollCtl, ring.OpSplice: opSpliceTee, ring.OpProvideBuffers: opProvide,
	ring.OpRemoveBuffers: opProvide, ring.OpTee: opSpliceTee, ring.OpShutdown: opShutdown,
	ring.OpRenameat: opNames, ring.OpUnlinkat: opNames, ring.OpMkdirat: opLinks, ring.OpSymlinkat: opLinks,
	ring.OpLinkat: opLinks, ring.OpMsgRing: opMsgRing, ring.OpFsetxattr: opXattr, ring.OpSetxattr: opXattr,
	ring.OpFgetxattr: opXattr, ring.OpGetxattr: opXattr, ring.OpSocket: opSocket, ring.OpURingCmd: opURingCmd,
	ring.OpSendZC: opSendZC, ring.OpSendmsgZC: opSendZC, ring.OpReadMultishot: opReadMultishot,
	ring.OpWaitid: opWaitid, ring.OpFutexWait: opFutex, ring.OpFutexWake: opFutex, ring.OpFutexWaitv: opFutexWaitv,
	ring.OpFixedFDInstall: opInstall, ring.OpFtruncate: opFtruncate, ring.OpBind: opBindListen,
	ring.OpListen: opBindListen, ring.OpRecvZC: opRecvZC, ring.OpEpollWait: opEpollWait,
	ring.OpReadvFixed: opFixedVectors, ring.OpWritevFixed: opFixedVectors, ring.OpPipe: opPipe,
}

// refusals are the operations that no test can bring to success here, and why:
// their tests look at the kernel's refusal.
var refusals = map[uint8]string{
	ring.OpRecvZC: "needs a network card that splits headers from data",
}

func TestEveryOpcodeRuns(t *testing.T) {
	for op := range uint8(lastOp + 1) {
		t.Run(names[op], func(t *testing.T) {
			run := operations[op]
			require.NotNil(t, run, "opcode %d has no test", op)
			needOp(t, op)
			g := newRig(t, nil)
			run(g)
			require.True(t, g.ran[op], "the test of opcode %d did not run it", op)
			if why := refusals[op]; why != "" {
				t.Log("refused, as it should be:", why)
			}
		})
	}
}

func TestProbeKnowsTheABI(t *testing.T) {
	r := setup(t, 2, nil)
	p, err := r.Registrar().Probe()
	require.NoError(t, err)
	for op := range 256 {
		if op > int(p.LastOp()) {
			require.False(t, p.Supported(uint8(op)), "opcode %d, after the last", op)
		}
	}
	require.True(t, p.Supported(ring.OpNop))
	require.EqualValues(t, 62, lastOp)
	if p.LastOp() == lastOp {
		for op := range uint8(lastOp + 1) {
			require.True(t, p.Supported(op), "opcode %d", op)
		}
	}
}

// names are what the subtests are called.
var names = map[uint8]string{
	ring.OpNop: "Nop", ring.OpReadv: "Readv", ring.OpWritev: "Writev", ring.OpFsync: "Fsync",
	ring.OpReadFixed: "ReadFixed", ring.OpWriteFixed: "WriteFixed", ring.OpPollAdd: "PollAdd",
	ring.OpPollRemove: "PollRemove", ring.OpSyncFileRange: "SyncFileRange", ring.OpSendmsg: "Sendmsg",
	ring.OpRecvmsg: "Recvmsg", ring.OpTimeout: "Timeout", ring.OpTimeoutRemove: "TimeoutRemove",
	ring.OpAccept: "Accept", ring.OpAsyncCancel: "AsyncCancel", ring.OpLinkTimeout: "LinkTimeout",
	ring.OpConnect: "Connect", ring.OpFallocate: "Fallocate", ring.OpOpenat: "Openat", ring.OpClose: "Close",
	ring.OpFilesUpdate: "FilesUpdate", ring.OpStatx: "Statx", ring.OpRead: "Read", ring.OpWrite: "Write",
	ring.OpFadvise: "Fadvise", ring.OpMadvise: "Madvise", ring.OpSend: "Send", ring.OpRecv: "Recv",
	ring.OpOpenat2: "Openat2", ring.OpEpollCtl: "EpollCtl", ring.OpSplice: "Splice",
	ring.OpProvideBuffers: "ProvideBuffers", ring.OpRemoveBuffers: "RemoveBuffers", ring.OpTee: "Tee",
	ring.OpShutdown: "Shutdown", ring.OpRenameat: "Renameat", ring.OpUnlinkat: "Unlinkat",
	ring.OpMkdirat: "Mkdirat", ring.OpSymlinkat: "Symlinkat", ring.OpLinkat: "Linkat",
	ring.OpMsgRing: "MsgRing", ring.OpFsetxattr: "Fsetxattr", ring.OpSetxattr: "Setxattr",
	ring.OpFgetxattr: "Fgetxattr", ring.OpGetxattr: "Getxattr", ring.OpSocket: "Socket",
	ring.OpURingCmd: "URingCmd", ring.OpSendZC: "SendZC", ring.OpSendmsgZC: "SendmsgZC",
	ring.OpReadMultishot: "ReadMultishot", ring.OpWaitid: "Waitid", ring.OpFutexWait: "FutexWait",
	ring.OpFutexWake: "FutexWake", ring.OpFutexWaitv: "FutexWaitv", ring.OpFixedFDInstall: "FixedFDInstall",
	ring.OpFtruncate: "Ftruncate", ring.OpBind: "Bind", ring.OpListen: "Listen", ring.OpRecvZC: "RecvZC",
	ring.OpEpollWait: "EpollWait", ring.OpReadvFixed: "ReadvFixed", ring.OpWritevFixed: "WritevFixed",
	ring.OpPipe: "Pipe",
}
