package uringnet

import (
	"context"
	"errors"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

type listenerState struct {
	keepAlive keepAlive // of the connections
	unlink    unlinking
}

// unlinking is what Close does with the file of a unix address.
type unlinking struct {
	mu   sync.Mutex
	path string // "" if there is none
	on   bool
}

func (u *unlinking) set(on bool) {
	u.mu.Lock()
	u.on = on
	u.mu.Unlock()
}

// do removes the file, once.
func (u *unlinking) do() {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.on && u.path != "" {
		unix.Unlink(u.path) // it may have been removed already
	}
	u.path = ""
}

func (l *Listener) setUnlinkOnClose(on bool) { l.unlink.set(on) }

// close removes the file first: afterwards it may be another listener's.
func (l *Listener) close() error {
	if err := l.s.use(); err != nil {
		return err
	}
	l.unlink.do()
	l.s.leave()
	return l.s.close()
}

const acceptFlags = unix.SOCK_NONBLOCK | unix.SOCK_CLOEXEC

// accept waits for a connection.
func (l *Listener) accept(ctx context.Context) (*Conn, error) {
	s := l.s
	if err := s.rd.enter(ctx); err != nil {
		return nil, err
	}
	defer s.rd.leave()
	peer := new(sockaddr)
	var fd int
	var err error
	if uringwake.TaskFrom(ctx) == nil {
		fd, err = s.acceptNow(ctx, peer)
	} else if fd, err = s.acceptOnRing(ctx, peer); unsupportedHere(err) {
		fd, err = s.acceptNow(ctx, peer)
	}
	if err != nil {
		return nil, err
	}
	return l.accepted(fd, peer), nil
}

func (l *Listener) accepted(fd int, peer *sockaddr) *Conn {
	c := newSock(fd, l.s.network, l.s.kind)
	c.local, c.remote = localAddr(fd, c.network), peer.addr(c.network)
	if isTCP(c.network) {
		l.keepAlive.start(fd)
	}
	return &Conn{c}
}

// acceptNow is accept by system calls.
func (s *sock) acceptNow(ctx context.Context, peer *sockaddr) (int, error) {
	for {
		s.rd.prepare()
		peer.n = unix.SizeofSockaddrAny
		fd, e := peer.accept(s.fd)
		switch e {
		case 0:
			return fd, nil
		case unix.EAGAIN:
			if err := s.rd.ready(ctx); err != nil {
				return 0, err
			}
		case unix.EINTR, unix.ECONNABORTED: // the connection was closed before it was accepted
		default:
			return 0, os.NewSyscallError("accept4", e)
		}
	}
}

// acceptOnRing is accept in a task.
func (s *sock) acceptOnRing(ctx context.Context, peer *sockaddr) (int, error) {
	for {
		s.rd.prepare()
		o, err := bridge.NewOp(ctx)
		if err != nil {
			return 0, err
		}
		peer.n = unix.SizeofSockaddrAny
		o.Keep(unsafe.Pointer(peer))
		o.SQE().PrepAccept(s.fd, &peer.raw, &peer.n, acceptFlags)
		fd, _, err := o.Wait(ctx, &s.rd.interrupter, "accept4")
		again, err := s.rd.retry(ctx, "accept4", err)
		if !again && !errors.Is(err, unix.ECONNABORTED) {
			return fd, err
		}
	}
}
