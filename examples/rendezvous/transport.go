package main

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
)

// A stream is what a client needs of its connection.
type stream interface {
	ReadContext(ctx context.Context, p []byte) (int, error)
	WriteContext(ctx context.Context, p []byte) (int, error)
	Close() error
}

// A listener accepts connections.
type listener interface {
	accept(ctx context.Context) (stream, error)
	Addr() net.Addr
	Close() error
}

// A starter starts what serves a client, under the context by which it waits.
type starter func(f func(ctx context.Context)) error

// A netListener is a listener of package net, for goroutines.
type netListener struct{ net.Listener }

func (l netListener) accept(ctx context.Context) (stream, error) {
	conn, err := l.Accept()
	if err != nil {
		return nil, err
	}
	return &netStream{Conn: conn, whole: ctx, forget: context.AfterFunc(ctx, func() { conn.Close() })}, nil
}

// A netStream is a connection of package net with the methods of a stream.
type netStream struct {
	net.Conn
	whole  context.Context // its end closes the connection
	forget func() bool
}

func (s *netStream) Close() error {
	s.forget()
	return s.Conn.Close()
}

// ReadContext is Read until ctx ends.
func (s *netStream) ReadContext(ctx context.Context, p []byte) (int, error) {
	return s.until(ctx, s.SetReadDeadline, func() (int, error) { return s.Read(p) })
}

// WriteContext is Write until ctx ends.
func (s *netStream) WriteContext(ctx context.Context, p []byte) (int, error) {
	return s.until(ctx, s.SetWriteDeadline, func() (int, error) { return s.Write(p) })
}

// until calls f and ends it with ctx, by a deadline in the past.
func (s *netStream) until(ctx context.Context, setDeadline func(time.Time) error, f func() (int, error)) (int, error) {
	if ctx == s.whole {
		return f()
	}
	set := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(set)
		setDeadline(time.Unix(1, 0))
	})
	n, err := f()
	if !stop() {
		<-set
		setDeadline(time.Time{})
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = ctx.Err() // there are no other deadlines
	}
	return n, err
}
