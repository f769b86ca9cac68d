package main

import (
	"context"
	"io"
	"net"

	"github.com/vigil-go/vigil/uringwake"
)

// A taskListener is for tasks.
type taskListener struct{ net.Listener }

func (l taskListener) accept(ctx context.Context) (stream, error) {
	var conn net.Conn
	var err error
	uringwake.Blocking(ctx, func() { conn, err = l.Accept() })
	if err != nil {
		return nil, err
	}
	s := &taskStream{TCPConn: conn.(*net.TCPConn)}
	raw, _ := s.SyscallConn()
	raw.Control(func(fd uintptr) { s.fd = int(fd) })
	return s, nil
}

type taskStream struct {
	*net.TCPConn
	fd int
}

func (s *taskStream) ReadContext(ctx context.Context, p []byte) (int, error) {
	n, err := uringwake.Read(ctx, s.fd, p, -1)
	if n == 0 && err == nil {
		err = io.EOF
	}
	return n, err
}

func (s *taskStream) WriteContext(ctx context.Context, p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = uringwake.Write(ctx, s.fd, p[n:], -1)
		n += m
	}
	return n, err
}

func (s *taskStream) Close() error {
	s.CloseWrite()
	s.CloseRead()
	return s.TCPConn.Close()
}
