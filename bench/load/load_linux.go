// Package load is the client of the servers that are measured: one thread with an epoll
// and system calls of its own, so that it is the same for all of them, and light.
package load

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// A Script says what a connection sends next, and what must come back: these bytes or, if
// there are none, one answer of HTTP/1.1 with status 200. Both stay as they are until the
// next call for the same connection.
type Script func(conn, batch int) (send, want []byte)

// Clients are connections to one server. They are not for concurrent use.
type Clients struct {
	script Script
	epoll  int
	conns  []conn
	buffer []byte
	times  []float64
}

// A conn has one batch under way at a time.
type conn struct {
	fd         int
	batch      int
	send, want []byte // what is left of the batch
	answer     answer // if want is nil at its beginning
	byAnswer   bool
	began      time.Duration
	blocked    bool // the socket's buffer was full
}

// A Result is what a run has measured.
type Result struct {
	Batches int
	Wall    time.Duration
	Times   []float64 // nanoseconds from sending a batch to its last byte; valid until the next run
}

// patience is how long nothing may come back.
const patience = 20 * time.Second

// Dial connects n clients to the address.
func Dial(address string, n int, script Script) (_ *Clients, err error) {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	c := &Clients{script: script, buffer: make([]byte, 1<<18), times: make([]float64, 0, 1<<19)}
	if c.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	for range n {
		if err := c.dial(at); err != nil {
			return nil, errors.Join(err, c.Close())
		}
	}
	return c, nil
}

func (c *Clients) dial(at netip.AddrPort) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c.conns = append(c.conns, conn{fd: fd})
	return errors.Join(
		unix.Connect(fd, &unix.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}),
		unix.SetNonblock(fd, true),
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1),
		c.watch(unix.EPOLL_CTL_ADD, len(c.conns)-1, unix.EPOLLIN))
}

func (c *Clients) watch(op, i int, events uint32) error {
	return unix.EpollCtl(c.epoll, op, c.conns[i].fd, &unix.EpollEvent{Events: events, Fd: int32(i)})
}

// Close closes the connections.
func (c *Clients) Close() error {
	err := unix.Close(c.epoll)
	for _, conn := range c.conns {
		err = errors.Join(err, unix.Close(conn.fd))
	}
	return err
}

// Run sends a batch on each connection, and the next when it has come back, for about
// d. It returns when all have come back. After an error the clients are of no use.
func (c *Clients) Run(d time.Duration) (Result, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	c.times = c.times[:0]
	start, events := now(), make([]unix.EpollEvent, 256)
	for i := range c.conns {
		if err := c.begin(i, start); err != nil {
			return Result{}, err
		}
	}
	batches := 0
	for busy := len(c.conns); busy > 0; {
		n, err := unix.EpollWait(c.epoll, events, int(patience.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if n == 0 {
			err = errors.Join(err, fmt.Errorf("load: nothing came back for %v, of %d connections", patience, busy))
		}
		for _, e := range events[:max(n, 0)] {
			back, failed := c.move(int(e.Fd))
			if err = errors.Join(err, failed); !back || err != nil {
				continue
			}
			batches++
			at := now()
			c.record(at - c.conns[e.Fd].began)
			if at-start >= d {
				busy--
			} else {
				err = c.begin(int(e.Fd), at)
			}
		}
		if err != nil {
			return Result{}, err
		}
	}
	return Result{Batches: batches, Wall: now() - start, Times: c.times}, nil
}

var zero = time.Now()

func now() time.Duration { return time.Since(zero) }

func (c *Clients) record(d time.Duration) {
	if len(c.times) < cap(c.times) { // the first ones are enough
		c.times = append(c.times, float64(d))
	}
}

func (c *Clients) begin(i int, at time.Duration) error {
	conn := &c.conns[i]
	conn.send, conn.want = c.script(i, conn.batch)
	if conn.byAnswer = conn.want == nil; conn.byAnswer {
		conn.answer.begin()
	}
	conn.began = at
	conn.batch++
	return c.write(i)
}

// write writes what fits, and has the rest wait for room.
func (c *Clients) write(i int) error {
	conn := &c.conns[i]
	n, err := unix.Write(conn.fd, conn.send)
	if err != nil && err != unix.EAGAIN {
		return err
	}
	conn.send = conn.send[max(n, 0):]
	if blocked := len(conn.send) > 0; blocked != conn.blocked {
		conn.blocked = blocked
		events := uint32(unix.EPOLLIN)
		if blocked {
			events |= unix.EPOLLOUT
		}
		return c.watch(unix.EPOLL_CTL_MOD, i, events)
	}
	return nil
}

// move writes and reads once, and reports whether the batch is back.
func (c *Clients) move(i int) (back bool, err error) {
	conn := &c.conns[i]
	if conn.blocked {
		if err := c.write(i); err != nil {
			return false, err
		}
	}
	n, err := unix.Read(conn.fd, c.buffer)
	switch {
	case err == unix.EAGAIN:
		return false, nil
	case err != nil:
		return false, err
	case n == 0:
		return false, errors.New("load: the server hung up")
	case conn.byAnswer:
		return conn.answer.take(c.buffer[:n])
	case n > len(conn.want) || !bytes.Equal(c.buffer[:n], conn.want[:n]):
		return false, fmt.Errorf("load: connection %d, batch %d: not what must come back", i, conn.batch-1)
	}
	conn.want = conn.want[n:]
	return len(conn.want) == 0, nil
}
