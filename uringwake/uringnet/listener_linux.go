package uringnet

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"
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
	for pause := shortestPause; ; pause = min(2*pause, longestPause) {
		fd, err := s.acceptOne(ctx, peer)
		switch {
		case err == nil:
			return l.accepted(fd, peer), nil
		case !errors.Is(err, unix.EMFILE) && !errors.Is(err, unix.ENFILE):
			return nil, err
		}
		if err := s.rd.pause(ctx, pause); err != nil {
			return nil, err
		}
	}
}

// What accept waits while there are too many files. Nothing tells when there are fewer.
const (
	shortestPause = 5 * time.Millisecond
	longestPause  = time.Second
)

func (s *sock) acceptOne(ctx context.Context, peer *sockaddr) (fd int, err error) {
	if uringwake.TaskFrom(ctx) != nil {
		if fd, err = s.acceptOnRing(ctx, peer); !unsupportedHere(ctx, err) {
			return fd, err
		}
	}
	return s.acceptNow(ctx, peer)
}

func (l *Listener) accepted(fd int, peer *sockaddr) *Conn {
	c := newSock(fd, l.s.network, l.s.kind)
	c.local, c.remote = localAddr(fd, c.network), peer.addr(c.network)
	if isTCP(c.network) {
		l.keepAlive.start(fd)
	}
	return own(&Conn{c}, c)
}

// acceptNow is accept by system calls.
func (s *sock) acceptNow(ctx context.Context, peer *sockaddr) (int, error) {
	var fd int
	var e syscall.Errno
	err := s.rd.repeat(ctx, attemptFunc(func(uintptr) bool {
		fd, e = peer.acceptUnbroken(s.fd)
		return e != unix.EAGAIN
	}))
	if err == nil {
		err = errnoError("accept4", e)
	}
	return fd, err
}

// acceptUnbroken is accept that leaves out connections that were closed before.
func (a *sockaddr) acceptUnbroken(fd int) (int, syscall.Errno) {
	for {
		a.n = unix.SizeofSockaddrAny
		n, e := a.accept(fd)
		if e != unix.EINTR && e != unix.ECONNABORTED {
			return n, e
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
		if isErrno(err, unix.ECONNABORTED) {
			continue
		}
		again, err := s.rd.retry(ctx, "accept4", err)
		if !again {
			return fd, err
		}
	}
}
