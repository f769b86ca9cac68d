package uringnet

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// MostUnread is above what a Conn receives in advance, apart from one turn.
const MostUnread = mostUnread

// KernelCopies reports whether the kernel copies r to a stream.
func KernelCopies(r io.Reader) bool {
	_, ok := sourceOf(r)
	return ok
}

// Streaming reports whether the multishot receive of c is armed, and how many bytes are
// pending.
func Streaming(c *Conn) (armed bool, unread int) {
	mu := &c.s.rd.mu
	mu.Lock()
	defer mu.Unlock()
	return c.s.in.armed, c.s.in.unread()
}

// ForgetPollFirst has reads not ask for it, as on Linux 5.18, and returns what undoes that.
func ForgetPollFirst() func() {
	old := noPollFirst.Swap(true)
	return func() { noPollFirst.Store(old) }
}

// Asleep reports whether an operation of a side sleeps, and how many are in
// line behind it. The side is that of a Listener, that of a Conn's reads or writes, or the
// one that a dial waits on, by what its Control function has got.
func Asleep(on any, write bool) (asleep bool, inLine int) {
	s := sideOf(on, write)
	s.mu.Lock()
	defer s.mu.Unlock()
	asleep = s.waiter != nil || s.state.Load()&sleeping != 0 || s.interrupter.Attached()
	return asleep, s.lock.Waiters()
}

// Signaled reports whether the poll that stays has told of a change on the side of reads that
// no attempt has followed.
func Signaled(c *Conn) bool { return c.s.rd.signaled.Load() }

// InterruptLate interrupts the sleep of a side in the netpoller as one does that was meant
// for an operation before. A goroutine has slept on that side.
func InterruptLate(c *Conn, write bool) {
	s := sideOf(c, write)
	s.sock.netpoll.Load().side(s).interrupt()
}

// Watched reports whether the netpoller watches the socket of c.
func Watched(c *Conn) bool { return c.s.netpoll.Load() != nil }

// OwnerClosed reports whether the file that owns the watched descriptor of c is closed. One
// that is not would close the number later, when it may be another file's.
func OwnerClosed(c *Conn) bool {
	return errors.Is(c.s.netpoll.Load().file.Close(), os.ErrClosed)
}

// CloseUnder closes the socket that a Control function has got, in the middle of a dial.
func CloseUnder(c syscall.RawConn) error { return c.(*rawConn).s.close() }

func sideOf(on any, write bool) *side {
	switch on := on.(type) {
	case *rawConn:
		return &on.s.wr
	case *Listener:
		return &on.s.rd
	case *Conn:
		if write {
			return &on.s.wr
		}
		return &on.s.rd
	}
	panic("neither Listener, Conn nor RawConn")
}
