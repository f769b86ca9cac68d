package uringnet

import (
	"os"

	"golang.org/x/sys/unix"
)

// adopt makes a sock of a duplicate of f's socket.
func adopt(f *os.File) (*sock, error) {
	fd, err := duplicate(f)
	if err != nil {
		return nil, err
	}
	s, err := adoptFD(fd)
	if err != nil {
		unix.Close(fd)
	}
	return s, err
}

func adoptFD(fd int) (*sock, error) {
	family, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return nil, os.NewSyscallError("getsockopt", err)
	}
	network := networkOf(family, kind)
	if network == "" {
		return nil, unix.EPROTONOSUPPORT
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, os.NewSyscallError("setnonblock", err)
	}
	s := newSock(fd, network, kind)
	s.local, s.remote = localAddr(fd, network), peerAddr(fd, network)
	return s, nil
}

// networkOf returns the network of a socket that has connections, or "".
func networkOf(family, kind int) string {
	switch {
	case kind == unix.SOCK_STREAM && (family == unix.AF_INET || family == unix.AF_INET6):
		return "tcp"
	case kind == unix.SOCK_STREAM && family == unix.AF_UNIX:
		return "unix"
	case kind == unix.SOCK_SEQPACKET && family == unix.AF_UNIX:
		return "unixpacket"
	}
	return ""
}
