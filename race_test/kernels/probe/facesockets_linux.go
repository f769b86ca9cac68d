package main

import (
	"context"
	"iter"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vigil-go/vigil/uringwake"
)

// socketCalls has the functions of uringwake's api_sockets.go. What receives waits.
var socketCalls = map[string]trial{
	"Socket": func(ctx context.Context, l *lab) error {
		fd, err := uringwake.Socket(ctx, unix.AF_INET, unix.SOCK_STREAM, 0)
		if err != nil {
			return err
		}
		return unix.Close(fd)
	},
	"Bind": func(ctx context.Context, l *lab) error {
		at := uringwake.IPSockAddr(netip.MustParseAddrPort("127.0.0.1:0"))
		return uringwake.Bind(ctx, l.stream(unix.AF_INET), at)
	},
	"Listen": func(ctx context.Context, l *lab) error {
		return uringwake.Listen(ctx, l.stream(unix.AF_INET), 1)
	},
	"Accept": func(ctx context.Context, l *lab) error {
		fd, dial := l.listen()
		dial()
		nfd, _, err := uringwake.Accept(ctx, fd, 0)
		if err != nil {
			return err
		}
		return unix.Close(nfd)
	},
	"Connect": func(ctx context.Context, l *lab) error {
		l.listen()
		return uringwake.Connect(ctx, l.stream(unix.AF_UNIX), uringwake.UnixSockAddr(l.path("socket")))
	},
	"Shutdown": func(ctx context.Context, l *lab) error {
		fd, _ := l.pair(unix.SOCK_STREAM)
		return uringwake.Shutdown(ctx, fd, unix.SHUT_RDWR)
	},
	"Recv": func(ctx context.Context, l *lab) error {
		_, err := uringwake.Recv(ctx, l.fed(), l.bytes(1), 0)
		return err
	},
	"Send": func(ctx context.Context, l *lab) error {
		fd, _ := l.pair(unix.SOCK_STREAM)
		_, err := uringwake.Send(ctx, fd, l.bytes(1), 0)
		return err
	},
	"Recvmsg": func(ctx context.Context, l *lab) error {
		_, err := uringwake.Recvmsg(ctx, l.fed(), &uringwake.Message{Buffers: [][]byte{l.bytes(1)}}, 0)
		return err
	},
	"Sendmsg": func(ctx context.Context, l *lab) error {
		fd, _ := l.pair(unix.SOCK_STREAM)
		_, err := uringwake.Sendmsg(ctx, fd, &uringwake.Message{Buffers: [][]byte{l.bytes(1)}}, 0)
		return err
	},
}

// streamCalls has the functions of uringwake's api_streams.go. RecvAll receives from a
// socket that a multishot receive is made for.
var streamCalls = map[string]trial{
	"AcceptAll": func(ctx context.Context, l *lab) error {
		fd, dial := l.listen()
		dial()
		nfd, err := first(uringwake.AcceptAll(ctx, fd))
		if err != nil {
			return err
		}
		return unix.Close(nfd)
	},
	"RecvAll": func(ctx context.Context, l *lab) error {
		a, z := l.tcp()
		time.AfterFunc(time.Millisecond, func() { unix.Write(z, []byte("x")) })
		_, err := first(uringwake.RecvAll(ctx, a))
		return err
	},
	"PollAll": func(ctx context.Context, l *lab) error {
		_, err := first(uringwake.PollAll(ctx, l.fed(), unix.POLLIN))
		return err
	},
	"Ticks": func(ctx context.Context, _ *lab) error {
		_, err := first(uringwake.Ticks(ctx, time.Millisecond))
		return err
	},
}

// first returns what all yields first.
func first[T any](all iter.Seq2[T, error]) (v T, err error) {
	for v, err = range all {
		break
	}
	return v, err
}

func (l *lab) stream(domain int) int {
	return l.spare(unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0))
}

// fed returns a socket that has a byte to read soon.
func (l *lab) fed() int {
	a, z := l.pair(unix.SOCK_STREAM)
	time.AfterFunc(time.Millisecond, func() { unix.Write(z, []byte("x")) })
	return a
}
