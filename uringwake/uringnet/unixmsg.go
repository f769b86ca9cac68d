package uringnet

import (
	"net"
	"syscall"

	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// ReadMsgUnix reads bytes into p, and the control messages that come with them into oob,
// such as those with descriptors (SCM_RIGHTS), which belong to the caller and are
// close-on-exec. It returns the numbers of bytes of both, the flags of recvmsg(2), and the
// peer's address if it has one. The connection must be that of a Unix socket. At the end of
// the stream the error matches io.EOF.
//
// Read, in contrast, drops descriptors that come with the bytes that it reads.
func (c *Conn) ReadMsgUnix(p, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error) {
	if !c.ok() {
		return 0, 0, 0, nil, syscall.EINVAL
	}
	n, oobn, flags, addr, err = c.s.readMsg(bridge.Current(), p, oob)
	return n, oobn, flags, addr, c.failed("read", err)
}

// WriteMsgUnix writes p, and with it the control messages in oob, by one sendmsg(2), which
// may write only a part of p. It returns the numbers of bytes of both. The connection must
// be that of a Unix socket, and addr must be nil, since the socket is connected.
func (c *Conn) WriteMsgUnix(p, oob []byte, addr *net.UnixAddr) (n, oobn int, err error) {
	if !c.ok() {
		return 0, 0, syscall.EINVAL
	}
	if addr != nil {
		return 0, 0, &net.OpError{Op: "write", Net: c.s.network, Source: c.s.local, Addr: addr, Err: net.ErrWriteToConnected}
	}
	n, oobn, err = c.s.writeMsg(bridge.Current(), p, oob)
	return n, oobn, c.failed("write", err)
}
