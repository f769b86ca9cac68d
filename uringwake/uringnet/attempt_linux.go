package uringnet

import (
	"context"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/wake"
)

// An attempt is an operation by a system call that does not wait.
type attempt interface {
	// now makes the call. It reports false if there is nothing to be had yet.
	now(fd uintptr) bool
}

type attemptFunc func(fd uintptr) bool

func (f attemptFunc) now(fd uintptr) bool { return f(fd) }

// repeat makes the attempt until it succeeds or fails for good, and sleeps in between until
// the socket may be ready. The caller has the lock.
func (s *side) repeat(ctx context.Context, a attempt) error {
	if _, ok := wake.FromContext(ctx); !ok {
		if ok, err := s.repeatInGoroutine(ctx, a); ok {
			return err
		}
	}
	return s.repeatUnderParker(ctx, a)
}

// repeatInGoroutine is repeat by the netpoller. It reports false where that does not work.
func (s *side) repeatInGoroutine(ctx context.Context, a attempt) (ok bool, err error) {
	p := s.sock.netpoll.Load()
	if p == nil || s.writes() {
		if a.now(uintptr(s.sock.fd)) {
			return true, nil
		}
		p = s.sock.poller()
	}
	return p.side(s).repeat(ctx, a)
}

// repeatUnderParker is repeat in a task, which has a poll for each wait, or under another
// parker, which the poll that stays wakes.
func (s *side) repeatUnderParker(ctx context.Context, a attempt) error {
	wait := (*side).wait
	if uringwake.TaskFrom(ctx) != nil {
		wait = (*side).ready
	}
	return s.repeatBy(ctx, a, wait)
}

func (s *side) repeatBy(ctx context.Context, a attempt, wait func(*side, context.Context) error) error {
	for {
		s.prepare()
		if a.now(uintptr(s.sock.fd)) {
			return nil
		}
		if err := wait(s, ctx); err != nil {
			return err
		}
	}
}

// A portion is an attempt to transfer bytes.
type portion struct {
	call  func(fd int, p []byte) (int, syscall.Errno)
	p     []byte
	n     int
	errno syscall.Errno
}

func (t *portion) now(fd uintptr) bool {
	t.n, t.errno = t.call(int(fd), t.p)
	for t.errno == unix.EINTR {
		t.n, t.errno = t.call(int(fd), t.p)
	}
	return t.errno != unix.EAGAIN
}

// transfer transfers some of p by call, which has that name.
func (s *side) transfer(ctx context.Context, call func(int, []byte) (int, syscall.Errno), name string, p []byte) (int, error) {
	t := &s.portion
	t.call, t.p = call, p
	defer func() { t.p = nil }()
	if err := s.repeat(ctx, t); err != nil {
		return 0, err
	}
	return t.n, errnoError(name, t.errno)
}
