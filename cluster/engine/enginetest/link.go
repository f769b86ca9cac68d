package enginetest

import (
	"errors"
	"net"
	"sync"
)

// A Link is what an engine's connections go through. It can hold back what the server sends,
// cut the connections, and refuse new ones. It is a nats.CustomDialer, and its Dial serves
// other clients as well.
type Link struct {
	To func() (net.Conn, error) // connects to the server

	mu    sync.Mutex
	held  bool
	down  bool
	conns map[*conn]bool
	moved *sync.Cond
}

// NewLink returns a Link to the server to which the function connects.
func NewLink(to func() (net.Conn, error)) *Link {
	l := &Link{To: to, conns: make(map[*conn]bool)}
	l.moved = sync.NewCond(&l.mu)
	return l
}

// Dial connects to the server.
func (l *Link) Dial(network, address string) (net.Conn, error) {
	l.mu.Lock()
	down := l.down
	l.mu.Unlock()
	if down {
		return nil, errors.New("enginetest: the link is down")
	}
	inner, err := l.To()
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		inner.Close()
		return nil, errors.New("enginetest: the link is down")
	}
	c := &conn{Conn: inner, l: l}
	l.conns[c] = true
	return c, nil
}

// Hold holds back what the server sends from now on. Connections stay, and what the
// engine sends arrives.
func (l *Link) Hold() { l.set(func() { l.held = true }) }

// Release delivers what was held back.
func (l *Link) Release() { l.set(func() { l.held = false }) }

// Cut drops what was held back and closes the connections. New ones are refused until Heal.
func (l *Link) Cut() {
	var cut []*conn
	l.set(func() {
		l.down = true
		for c := range l.conns {
			c.cut = true
			cut = append(cut, c)
		}
		clear(l.conns)
	})
	for _, c := range cut {
		c.Conn.Close()
	}
}

// Heal ends Hold and Cut.
func (l *Link) Heal() { l.set(func() { l.held, l.down = false, false }) }

func (l *Link) set(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f()
	l.moved.Broadcast()
}

type conn struct {
	net.Conn
	l   *Link
	cut bool
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.l.mu.Lock()
	defer c.l.mu.Unlock()
	for c.l.held && !c.cut {
		c.l.moved.Wait()
	}
	if c.cut {
		return 0, net.ErrClosed
	}
	return n, err
}

func (c *conn) Close() error {
	c.l.set(func() { c.cut = true; delete(c.l.conns, c) })
	return c.Conn.Close()
}
