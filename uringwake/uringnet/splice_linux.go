package uringnet

import (
	"context"
	"syscall"

	"golang.org/x/sys/unix"
)

// A conduit is a pipe, through which splice(2) moves bytes from one socket to another.
type conduit struct {
	r, w int
	n    int // bytes in it
}

// spliceStep is how much a conduit holds at most.
const spliceStep = 1 << 20

func openConduit() (*conduit, error) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		return nil, err
	}
	unix.FcntlInt(uintptr(p[1]), unix.F_SETPIPE_SZ, spliceStep) // more than some users may have
	return &conduit{r: p[0], w: p[1]}, nil
}

func (c *conduit) close() {
	unix.Close(c.r)
	unix.Close(c.w)
}

// spliceFrom writes what another stream or a pipe has. It has the lock only while it
// writes, and not while it waits for the source.
func (s *sock) spliceFrom(ctx context.Context, from *source) (done int64, handled bool, err error) {
	c, err := openConduit()
	if err != nil {
		return 0, false, nil // there are other ways
	}
	defer c.close()
	for from.limit.N > 0 {
		if err := s.wr.mayGoOn(ctx); err != nil { // before it takes what it could not write
			return done, true, err
		}
		if err := c.fill(ctx, from); err == errUnread {
			return done, false, nil // it is read, and so is the rest
		} else if err != nil {
			e, _ := err.(syscall.Errno)
			return done, done > 0 || !refusesCopy(e), callError("splice", err)
		}
		if c.n == 0 {
			break
		}
		n, err := s.empty(ctx, c)
		done += from.took(n)
		if err != nil {
			return done, true, callError("splice", err)
		}
	}
	return done, true, nil
}

// fill moves bytes from the source into the pipe, which is empty. It waits until there is
// at least one, or the source ends.
func (c *conduit) fill(ctx context.Context, from *source) error {
	return from.read(ctx, func(fd int) error {
		return c.move(fd, c.w, int(min(from.limit.N, spliceStep)), 1)
	})
}

// empty writes the bytes in the pipe. It returns how many it has written.
func (s *sock) empty(ctx context.Context, c *conduit) (int, error) {
	before := c.n
	var err error
	for c.n > 0 && err == nil {
		err = s.repeat(ctx, &s.wr, func(fd int) error { return c.move(c.r, fd, c.n, -1) })
	}
	return before - c.n, err
}

// move moves up to n bytes without waiting, into the pipe if sign is 1 and out of it if
// sign is -1.
func (c *conduit) move(from, to, n, sign int) error {
	for {
		m, err := unix.Splice(from, nil, to, nil, n, unix.SPLICE_F_NONBLOCK)
		if err == nil {
			c.n += sign * int(m)
		}
		if err != unix.EINTR {
			return err
		}
	}
}
