package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake/ring"
)

// A lab is what one probe works with. It closes all that was made in it.
type lab struct {
	r       *ring.Ring
	dir     string
	data    uint64
	keep    []any // what entries point at
	closers []func()
}

// patience is how long a completion is waited for. A probe whose completion does
// not come cannot tell.
const patience = time.Minute

// in runs a probe in a new lab. The thread is the probe's: rings of one thread
// and registered rings are part of what is probed.
func in(f probe) finding {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return ended(f)
}

// ended runs a probe in a new lab, and ends that.
func ended(f probe) (found finding) {
	l := new(lab)
	defer func() {
		l.end()
		if v := recover(); v != nil {
			var ok bool
			if found, ok = v.(finding); !ok {
				panic(v)
			}
		}
	}()
	return f(l)
}

func (l *lab) end() {
	for i := len(l.closers); i > 0; i-- {
		l.closers[i-1]()
	}
	runtime.KeepAlive(l.keep)
}

// must ends the probe if there is an error: there is no such thing if what it
// needs is not there, and else the probe cannot tell.
func (l *lab) must(err error) {
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		panic(told(err))
	case err != nil:
		panic(finding{unclear, err.Error()})
	}
}

func (l *lab) onEnd(f func()) { l.closers = append(l.closers, f) }

// setup makes a ring, and makes it the lab's if that has none.
func (l *lab) setup(p *ring.Params) *ring.Ring {
	r, err := ring.Setup(8, p)
	l.must(err)
	l.onEnd(func() { r.Close() })
	if l.r == nil {
		l.r = r
	}
	return r
}

// ring returns the lab's.
func (l *lab) ring() *ring.Ring {
	if l.r == nil {
		l.setup(nil)
	}
	return l.r
}

func (l *lab) registrar() *ring.Registrar { return l.ring().Registrar() }

// prep prepares an entry and returns its user data.
func (l *lab) prep(prepare func(s *ring.SQE)) uint64 {
	s := l.ring().SQ().GetSQE()
	prepare(s)
	l.data++
	s.UserData = l.data
	return l.data
}

func (l *lab) submit() {
	_, err := l.ring().SQ().Submit()
	l.must(err)
}

// next returns the next completion.
func (l *lab) next() ring.CQE {
	c, err := l.ring().CQ().WaitTimeout(1, patience)
	l.must(err)
	defer l.ring().CQ().Seen()
	return *c
}

// of submits, and returns the first completion with that user data.
func (l *lab) of(data uint64) ring.CQE {
	l.submit()
	for {
		if c := l.next(); c.UserData == data {
			return c
		}
	}
}

// do is one entry from one end to the other.
func (l *lab) do(prepare func(s *ring.SQE)) ring.CQE { return l.of(l.prep(prepare)) }

// done is do of what must succeed.
func (l *lab) done(prepare func(s *ring.SQE)) ring.CQE {
	c := l.do(prepare)
	l.must(c.Err())
	return c
}

func errno(c ring.CQE) unix.Errno { return unix.Errno(-min(c.Res, 0)) }

// pointed keeps what entries point at.
func pointed[T any](l *lab, v T) *T {
	p := &v
	l.keep = append(l.keep, p)
	return p
}

func (l *lab) bytes(n int) []byte {
	p := make([]byte, n)
	l.keep = append(l.keep, p)
	return p
}

func (l *lab) text(s string) *byte {
	p, err := unix.BytePtrFromString(s)
	l.must(err)
	l.keep = append(l.keep, p)
	return p
}

func (l *lab) iovec(p []byte) []unix.Iovec {
	v := make([]unix.Iovec, 1)
	v[0].Base = &p[0]
	v[0].SetLen(len(p))
	l.keep = append(l.keep, v)
	return v
}

// spare keeps a descriptor until the end.
func (l *lab) spare(fd int, err error) int {
	l.must(err)
	l.onEnd(func() { unix.Close(fd) })
	return fd
}

func (l *lab) pipe() (r, w int) {
	var p [2]int
	l.must(unix.Pipe2(p[:], unix.O_CLOEXEC))
	return l.spare(p[0], nil), l.spare(p[1], nil)
}

// path is a name of nothing, in a directory of the lab's.
func (l *lab) path(name string) string {
	if l.dir == "" {
		dir, err := os.MkdirTemp("", "probe")
		l.must(err)
		l.dir = dir
		l.onEnd(func() { os.RemoveAll(dir) })
	}
	return filepath.Join(l.dir, name)
}

// file is an open one with something in it.
func (l *lab) file() int {
	name := l.path("file")
	l.must(os.WriteFile(name, []byte("something"), 0o600))
	return l.spare(unix.Open(name, unix.O_RDWR|unix.O_CLOEXEC, 0))
}

func (l *lab) pair(typ int) (a, b int) {
	p, err := unix.Socketpair(unix.AF_UNIX, typ|unix.SOCK_CLOEXEC, 0)
	l.must(err)
	return l.spare(p[0], nil), l.spare(p[1], nil)
}

// datagrams is a socket that takes them.
func (l *lab) datagrams() int {
	fd := l.spare(unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0))
	l.must(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	return fd
}

// udp is one that sends to itself.
func (l *lab) udp() int {
	fd := l.datagrams()
	at, err := unix.Getsockname(fd)
	l.must(err)
	l.must(unix.Connect(fd, at))
	return fd
}

// tcp is a connection.
func (l *lab) tcp() (a, z int) {
	fd := l.spare(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	l.must(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	l.must(unix.Listen(fd, 1))
	at, err := unix.Getsockname(fd)
	l.must(err)
	a = l.spare(unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	l.must(unix.Connect(a, at))
	z, _, err = unix.Accept4(fd, unix.SOCK_CLOEXEC)
	return a, l.spare(z, err)
}

// listen is a socket that takes connections; dial makes one.
func (l *lab) listen() (fd int, dial func()) {
	fd = l.spare(unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
	at := &unix.SockaddrUnix{Name: l.path("socket")}
	l.must(unix.Bind(fd, at))
	l.must(unix.Listen(fd, 4))
	return fd, func() {
		c := l.spare(unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
		l.must(unix.Connect(c, at))
	}
}

func (l *lab) fill(fd int, s string) {
	_, err := unix.Write(fd, []byte(s))
	l.must(err)
}

// buffers provides n of size bytes as group 1.
func (l *lab) buffers(n int, size uint32) {
	p := l.bytes(n * int(size))
	l.done(func(s *ring.SQE) { s.PrepProvideBuffers(p, size, n, 1, 0) })
}

// soon is a time that is over at once, and ever one that never is.
func (l *lab) soon() *ring.Timespec { return pointed(l, ring.Timespec{Nsec: 1}) }
func (l *lab) ever() *ring.Timespec { return pointed(l, ring.Timespec{Sec: 1 << 30}) }

// taken finds that the kernel knows what it did not call EINVAL.
func taken(e unix.Errno) finding {
	switch e {
	case 0:
		return finding{yes, ""}
	case unix.EINVAL:
		return finding{no, "EINVAL"}
	}
	return finding{yes, name(e)}
}

// name is unix.ErrnoName, which takes ENOTSUP for EOPNOTSUPP.
func name(e unix.Errno) string {
	if e == unix.EOPNOTSUPP {
		return "EOPNOTSUPP"
	}
	return unix.ErrnoName(e)
}

// saw finds by what was to be seen, or by the errno that came instead.
func saw(there bool, how string, instead ring.CQE) finding {
	switch {
	case there:
		return finding{yes, how}
	case instead.Res < 0:
		return finding{no, errnoName(instead)}
	}
	return finding{no, "ignored"}
}

// unsupported is how an error is told that matches errors.ErrUnsupported, as it
// should where there is no such thing.
const unsupported = ", unsupported"

// told finds by the error of a method of package ring's.
func told(err error) finding {
	var e *ring.Error
	switch {
	case err == nil:
		return finding{yes, ""}
	case !errors.As(err, &e):
		return finding{unclear, err.Error()}
	case errors.Is(err, errors.ErrUnsupported):
		return finding{no, name(e.Errno) + unsupported}
	case e.Errno == unix.EINVAL:
		return finding{unclear, "EINVAL, of what is not clear"}
	}
	return finding{yes, name(e.Errno)}
}
