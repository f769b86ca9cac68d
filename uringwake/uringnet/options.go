package uringnet

import (
	"net"
	"syscall"
	"time"
)

// set calls f, which sets a socket option.
func (c *Conn) set(f func(fd int) error) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.failed("set", c.s.control(f))
}

// setHere is set with the errors of what concerns this end only.
func (c *Conn) setHere(f func(fd int) error) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.failedHere("set", c.s.control(f))
}

// SetNoDelay sets whether small packets are sent at once (TCP_NODELAY). By default they are.
func (c *Conn) SetNoDelay(on bool) error {
	return c.set(func(fd int) error { return setNoDelay(fd, on) })
}

// SetKeepAlive sets whether keep-alive probes are sent (SO_KEEPALIVE).
func (c *Conn) SetKeepAlive(on bool) error {
	return c.set(func(fd int) error { return setKeepAlive(fd, on) })
}

// SetKeepAlivePeriod sets how long the connection is idle before the first probe, rounded
// up to seconds (TCP_KEEPIDLE).
func (c *Conn) SetKeepAlivePeriod(d time.Duration) error {
	return c.set(func(fd int) error { return setKeepAliveIdle(fd, d) })
}

// SetKeepAliveConfig sets all options of keep-alive.
func (c *Conn) SetKeepAliveConfig(k net.KeepAliveConfig) error {
	return c.set(func(fd int) error { return setKeepAliveConfig(fd, k) })
}

// SetLinger sets what Close does with data that was not sent (SO_LINGER): with a negative
// sec the kernel sends it in the background; with 0 it is discarded, and the connection
// reset; otherwise Close waits for up to sec seconds until it is sent.
func (c *Conn) SetLinger(sec int) error {
	if !c.ok() {
		return syscall.EINVAL
	}
	return c.failed("set", c.s.setLinger(sec))
}

// SetReadBuffer sets the size of the receive buffer, in bytes (SO_RCVBUF).
func (c *Conn) SetReadBuffer(bytes int) error {
	return c.setHere(func(fd int) error { return setReadBuffer(fd, bytes) })
}

// SetWriteBuffer sets the size of the send buffer, in bytes (SO_SNDBUF).
func (c *Conn) SetWriteBuffer(bytes int) error {
	return c.setHere(func(fd int) error { return setWriteBuffer(fd, bytes) })
}

// SetUserTimeout sets how long sent data may be without acknowledgment before the
// connection is closed, rounded up to milliseconds; 0 means the system's default
// (TCP_USER_TIMEOUT).
func (c *Conn) SetUserTimeout(d time.Duration) error {
	return c.set(func(fd int) error { return setUserTimeout(fd, d) })
}
