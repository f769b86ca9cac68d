package uringnet

import (
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func setOption(fd, level, name, value int) error {
	return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, name, value))
}

func number(on bool) int {
	if on {
		return 1
	}
	return 0
}

func setNoDelay(fd int, on bool) error {
	return setOption(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, number(on))
}

func setKeepAlive(fd int, on bool) error {
	return setOption(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, number(on))
}

const (
	keepAliveTime  = 15 * time.Second // of idle connections, and between probes
	keepAliveCount = 9
)

// setSeconds sets an option of keep-alive: the default if d is 0, nothing if d is negative.
func setSeconds(fd, name int, d time.Duration) error {
	if d < 0 {
		return nil
	}
	if d == 0 {
		d = keepAliveTime
	}
	return setOption(fd, unix.IPPROTO_TCP, name, roundUp(d, time.Second))
}

func roundUp(d, unit time.Duration) int {
	n := d / unit
	if d%unit > 0 {
		n++
	}
	return int(n)
}

func setKeepAliveIdle(fd int, d time.Duration) error { return setSeconds(fd, unix.TCP_KEEPIDLE, d) }

func setKeepAliveCount(fd, n int) error {
	if n < 0 {
		return nil
	}
	if n == 0 {
		n = keepAliveCount
	}
	return setOption(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, n)
}

func setKeepAliveConfig(fd int, k net.KeepAliveConfig) error {
	if err := setKeepAlive(fd, k.Enable); err != nil {
		return err
	}
	if err := setKeepAliveIdle(fd, k.Idle); err != nil {
		return err
	}
	if err := setSeconds(fd, unix.TCP_KEEPINTVL, k.Interval); err != nil {
		return err
	}
	return setKeepAliveCount(fd, k.Count)
}

func setReadBuffer(fd, n int) error  { return setOption(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, n) }
func setWriteBuffer(fd, n int) error { return setOption(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, n) }

func setUserTimeout(fd int, d time.Duration) error {
	return setOption(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, roundUp(max(d, 0), time.Millisecond))
}

func (s *sock) setLinger(sec int) error {
	l := unix.Linger{Onoff: int32(number(sec >= 0)), Linger: int32(max(sec, 0))}
	return s.control(func(fd int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &l))
	})
}

// keepAlive is what the KeepAlive fields of Dialer and ListenConfig mean.
type keepAlive struct {
	idle   time.Duration
	config net.KeepAliveConfig
}

// start sets the options that new TCP connections have. It fails only if the connection
// has ended already, which its user will notice.
func (k keepAlive) start(fd int) {
	setNoDelay(fd, true)
	c := k.config
	if !c.Enable && k.idle >= 0 {
		c = net.KeepAliveConfig{Enable: true, Idle: k.idle}
	}
	if c.Enable {
		setKeepAliveConfig(fd, c)
	}
}
