package uringnet

import (
	"context"
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// Control messages are rare: also in tasks they go by system calls that do not wait.

func (s *sock) readMsg(ctx context.Context, p, oob []byte) (n, oobn, flags int, addr *net.UnixAddr, err error) {
	var from unix.Sockaddr
	err = s.message(ctx, &s.rd, "recvmsg", func(fd int) error {
		n, oobn, flags, from, err = unix.Recvmsg(fd, p, oob, unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
		return err
	})
	raceAcquire()
	if err == errUnread {
		n, err = s.read(ctx, p)
		return n, 0, 0, nil, err
	}
	if err != nil {
		return 0, 0, 0, nil, err
	}
	if u, ok := from.(*unix.SockaddrUnix); ok && u.Name != "" {
		addr = &net.UnixAddr{Name: u.Name, Net: s.network}
	}
	if n == 0 && oobn == 0 && len(p) > 0 {
		err = io.EOF
	}
	return n, oobn, flags, addr, err
}

func (s *sock) writeMsg(ctx context.Context, p, oob []byte) (n, oobn int, err error) {
	raceRelease()
	err = s.message(ctx, &s.wr, "sendmsg", func(fd int) error {
		n, err = unix.SendmsgN(fd, p, oob, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL)
		return err
	})
	if err != nil {
		return 0, 0, err
	}
	return n, len(oob), nil
}

// message calls f until it need not wait any more. f's errors are those of call.
func (s *sock) message(ctx context.Context, on *side, call string, f func(fd int) error) error {
	if isTCP(s.network) {
		return syscall.EINVAL
	}
	return callError(call, s.repeat(ctx, on, func(fd int) error {
		for {
			if err := f(fd); err != unix.EINTR {
				return err
			}
		}
	}))
}
