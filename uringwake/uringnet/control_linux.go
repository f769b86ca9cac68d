package uringnet

import (
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/internal/bridge"
)

// setDeadlines sets both, even if the waker of a reader panics or ends the goroutine.
func (s *sock) setDeadlines(t time.Time, read, write bool) (err error) {
	if write {
		defer func() {
			if failed := s.wr.setDeadline(t); failed != nil {
				err = failed
			}
		}()
	}
	if read {
		err = s.rd.setDeadline(t)
	}
	return err
}

func (s *sock) shutdown(how int) error {
	return s.control(func(fd int) error { return os.NewSyscallError("shutdown", unix.Shutdown(fd, how)) })
}

func (s *sock) closeRead() error  { return s.shutdown(unix.SHUT_RD) }
func (s *sock) closeWrite() error { return s.shutdown(unix.SHUT_WR) }

func (s *sock) file() (f *os.File, err error) {
	err = s.control(func(fd int) error {
		s.in.disarm(bridge.Current())
		n, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			return os.NewSyscallError("fcntl", err)
		}
		f = os.NewFile(uintptr(n), s.name())
		return nil
	})
	return f, err
}

// name describes the socket.
func (s *sock) name() string {
	text := func(a net.Addr) string {
		if a == nil {
			return ""
		}
		return a.String()
	}
	return s.network + ":" + text(s.local) + "->" + text(s.remote)
}
