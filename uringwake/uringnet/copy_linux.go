package uringnet

import (
	"context"
	"io"
	"math"
	"os"
	"reflect"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// A source is what readFrom reads.
type source struct {
	limit *io.LimitedReader // N is what is left to read
	conn  *Conn             // one of this package; or nil, and:
	raw   syscall.RawConn
	file  bool // a regular file, for sendfile
}

// copyStep is how much one system call copies.
const copyStep = 4 << 20

// readFrom writes what r has, without a copy in the program. It reports false if the rest
// of r has to be copied otherwise.
func (s *sock) readFrom(ctx context.Context, r io.Reader) (n int64, handled bool, err error) {
	if s.kind != unix.SOCK_STREAM {
		return 0, false, nil
	}
	from, ok := sourceOf(r)
	if !ok {
		return 0, false, nil
	}
	if from.limit.N <= 0 {
		return 0, true, nil
	}
	if from.file {
		return s.sendFile(ctx, from)
	}
	return s.spliceFrom(ctx, from)
}

func sourceOf(r io.Reader) (*source, bool) {
	from := &source{limit: &io.LimitedReader{N: math.MaxInt64}}
	if limit, ok := r.(*io.LimitedReader); ok {
		from.limit, r = limit, limit.R
	}
	if c, ok := r.(*Conn); ok && c.ok() {
		from.conn = c
		return from, c.s.kind == unix.SOCK_STREAM
	}
	if !isPlain(r) {
		return nil, false
	}
	raw, err := r.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, false
	}
	from.raw = raw
	return from, from.inspect()
}

// isPlain reports whether Read of r reads from its descriptor and does nothing else. A type
// of the caller's may embed such a reader and change what it reads.
func isPlain(r io.Reader) bool {
	if _, ok := r.(syscall.Conn); !ok {
		return false
	}
	t := reflect.TypeOf(r)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.PkgPath() {
	case "os", "net", "github.com/vigil-go/vigil/uringwake/uringfs":
		return true
	}
	return false
}

// inspect reports whether the kernel can copy from a descriptor without making others wait.
func (f *source) inspect() (ok bool) {
	f.raw.Control(func(fd uintptr) {
		var st unix.Stat_t
		flags, err := unix.FcntlInt(fd, unix.F_GETFL, 0)
		if err != nil || unix.Fstat(int(fd), &st) != nil {
			return
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFREG:
			f.file, ok = true, true
		case unix.S_IFIFO:
			ok = flags&unix.O_NONBLOCK != 0
		case unix.S_IFSOCK:
			kind, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TYPE)
			ok = err == nil && kind == unix.SOCK_STREAM && flags&unix.O_NONBLOCK != 0
		}
	})
	return ok
}

// read calls f with the descriptor until it does not return EAGAIN, and waits in between
// for the source. What belongs to other packages may wait without the task, whose loop
// must not.
func (f *source) read(ctx context.Context, call func(fd int) error) (err error) {
	if f.conn != nil {
		return f.conn.s.repeat(ctx, &f.conn.s.rd, call)
	}
	uringwake.Blocking(ctx, func() {
		failed := f.raw.Read(func(fd uintptr) bool {
			err = call(int(fd))
			return err != unix.EAGAIN
		})
		if failed != nil {
			err = failed
		}
	})
	return err
}

// repeat calls f until it does not return EAGAIN, and waits in between until the side may be
// ready. It returns errUnread as SyscallConn's Read does.
func (s *sock) repeat(ctx context.Context, on *side, f func(fd int) error) error {
	if err := on.enter(ctx); err != nil {
		return err
	}
	defer on.leave()
	if on == &s.rd && s.in.disarm(ctx) > 0 {
		return errUnread
	}
	var err error
	failed := on.repeat(ctx, attemptFunc(func(fd uintptr) bool {
		err = f(int(fd))
		return err != unix.EAGAIN
	}))
	if failed != nil {
		return failed
	}
	return err
}

// sendFile writes a regular file. It has the lock all the time: the file does not wait for
// others.
func (s *sock) sendFile(ctx context.Context, from *source) (done int64, handled bool, err error) {
	if err := s.wr.enter(ctx); err != nil {
		return 0, true, err
	}
	defer s.wr.leave()
	for from.limit.N > 0 {
		if err := s.wr.mayGoOn(ctx); err != nil {
			return done, true, err
		}
		n, result, err := s.sendFilePart(ctx, from)
		done += from.took(n)
		switch {
		case err != nil:
			return done, true, err
		case result == 0 && n == 0, done == 0 && refusesCopy(result):
			return done, done > 0, nil // a file of the kernel may have content and no size
		case result != 0 && result != unix.EINTR:
			return done, true, os.NewSyscallError("sendfile", result)
		}
	}
	return done, true, nil
}

// sendFilePart writes some of a regular file.
func (s *sock) sendFilePart(ctx context.Context, from *source) (n int, result syscall.Errno, err error) {
	failed := s.wr.repeat(ctx, attemptFunc(func(uintptr) bool {
		n, result, err = s.sendFileNow(ctx, from)
		return err != nil || result != unix.EAGAIN
	}))
	if failed != nil {
		return 0, 0, failed
	}
	return n, result, err
}

// sendFileNow is one sendfile(2), which does not wait for the socket.
func (s *sock) sendFileNow(ctx context.Context, from *source) (n int, result syscall.Errno, err error) {
	err = from.read(ctx, func(fd int) error {
		var e error
		n, e = unix.Sendfile(s.fd, fd, nil, int(min(from.limit.N, copyStep)))
		result, _ = e.(syscall.Errno)
		return nil
	})
	return max(n, 0), result, err
}

// took takes note of n bytes that were written.
func (f *source) took(n int) int64 {
	f.limit.N -= int64(n)
	return int64(n)
}

// refusesCopy reports whether the error of a copy within the kernel means that these two
// descriptors need another kind of copy.
func refusesCopy(e syscall.Errno) bool {
	switch e {
	case unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP, unix.EPERM, unix.EACCES:
		return true
	}
	return false
}
