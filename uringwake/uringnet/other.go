//go:build !linux

package uringnet

import (
	"context"
	"io"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/vigil-go/vigil/uringwake"
)

// There is no io_uring on this system: nothing makes a Conn or a Listener, so that the
// methods of sock are never called.

func supported() error { return uringwake.Supported() }

func adopt(*os.File) (*sock, error) { return nil, supported() }

func (*Dialer) connect(context.Context, string, net.Addr) (*Conn, error) { return nil, supported() }
func (*ListenConfig) listenAddr(string, net.Addr) (*Listener, error)     { return nil, supported() }

type sock struct {
	network       string
	local, remote net.Addr
}

func (*sock) read(context.Context, []byte) (int, error)       { return 0, supported() }
func (*sock) write(context.Context, []byte) (int, error)      { return 0, supported() }
func (*sock) writev(context.Context, [][]byte) (int64, error) { return 0, supported() }
func (*sock) readFrom(context.Context, io.Reader) (int64, bool, error) {
	return 0, true, supported()
}
func (*sock) readMsg(ctx context.Context, p, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error) {
	return 0, 0, 0, nil, supported()
}
func (*sock) writeMsg(ctx context.Context, p, oob []byte) (n, oobn int, err error) {
	return 0, 0, supported()
}
func (*sock) close() error                                     { return supported() }
func (*sock) closeRead() error                                 { return supported() }
func (*sock) closeWrite() error                                { return supported() }
func (*sock) setDeadlines(t time.Time, read, write bool) error { return supported() }
func (*sock) setLinger(int) error                              { return supported() }
func (*sock) control(func(fd int) error) error                 { return supported() }
func (*sock) file() (*os.File, error)                          { return nil, supported() }
func (*sock) raw(owner any, listening bool) syscall.RawConn    { return nil }
func (*sock) localError(op string, err error) error            { return err }
func (*sock) opError(op string, err error) error               { return err }

type listenerState struct{}

func (*Listener) accept(context.Context) (*Conn, error) { return nil, supported() }
func (*Listener) close() error                          { return supported() }
func (*Listener) setUnlinkOnClose(bool)                 {}

func setNoDelay(fd int, on bool) error                       { return supported() }
func setKeepAlive(fd int, on bool) error                     { return supported() }
func setKeepAliveIdle(fd int, d time.Duration) error         { return supported() }
func setKeepAliveConfig(fd int, k net.KeepAliveConfig) error { return supported() }
func setReadBuffer(fd, n int) error                          { return supported() }
func setWriteBuffer(fd, n int) error                         { return supported() }
func setUserTimeout(fd int, d time.Duration) error           { return supported() }

func own[T any](owner *T, _ *sock) *T { return owner }
