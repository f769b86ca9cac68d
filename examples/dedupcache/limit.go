package main

import (
	"context"
	"net"
	"sync"

	"github.com/vigil-go/vigil/await"
)

// A limitedListener limits the number of connections. Further ones wait in the kernel's queue
// until one is closed.
type limitedListener struct {
	net.Listener
	places *await.Semaphore
	ctx    context.Context // ends with the listener
	end    context.CancelFunc
}

func newLimitedListener(l net.Listener, conns int) *limitedListener {
	ctx, end := context.WithCancel(context.Background())
	return &limitedListener{l, await.NewSemaphore(int64(conns)), ctx, end}
}

func (l *limitedListener) Accept() (net.Conn, error) {
	if err := l.places.Acquire(l.ctx, 1); err != nil {
		return nil, net.ErrClosed
	}
	c, err := l.Listener.Accept()
	if err != nil {
		l.places.Release(1)
		return nil, err
	}
	return &limitedConn{Conn: c, leave: sync.OnceFunc(func() { l.places.Release(1) })}, nil
}

func (l *limitedListener) Close() error {
	l.end()
	return l.Listener.Close()
}

type limitedConn struct {
	net.Conn
	leave func()
}

func (c *limitedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// WriteBuffers is called by the connections of httpcache.QuickHits.
func (c *limitedConn) WriteBuffers(b *net.Buffers) (int64, error) { return writeBuffers(c.Conn, b) }

// CloseWrite is called by net/http before Close.
func (c *limitedConn) CloseWrite() error { return closeWrite(c.Conn) }
