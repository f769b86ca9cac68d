package lab

import (
	"errors"
	"net"
	"sync"
	"time"
)

// Proxies are the network of a Lab in which each process reaches each server through a relay of
// its own.
type proxies struct {
	mu     sync.Mutex
	relays []*relay
	at     map[*Process]listening
	cuts   map[*Process]bool
	delays map[*Process]time.Duration
}

func newProxies() *proxies {
	return &proxies{at: make(map[*Process]listening), cuts: make(map[*Process]bool), delays: make(map[*Process]time.Duration)}
}

// add makes the relays between p and the servers that are there.
func (n *proxies) add(p *Process) error {
	for _, s := range p.lab.servers {
		if err := n.relay(p, s.Process); err != nil {
			return err
		}
		if p.isServer() {
			if err := n.relay(s.Process, p); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *proxies) relay(from, to *Process) error {
	if from == to {
		return nil
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	r := &relay{from: from, to: to, listener: l, conns: make(map[net.Conn]bool)}
	r.changed.L = &r.mu
	n.mu.Lock()
	n.relays = append(n.relays, r)
	n.mu.Unlock()
	r.workers.Go(func() { n.accept(r) })
	return nil
}

func (n *proxies) command(_ *Process, argv []string) []string { return argv }

// layout lets a server listen at any port. Others must not learn its address, or they would
// go past the relay.
func (n *proxies) layout(p *Process) serverConfig {
	return serverConfig{Host: "127.0.0.1", ClientPort: -1, RoutePort: -1, Routes: n.of(p), Advertise: "127.0.0.1:1"}
}

func (n *proxies) addresses(p *Process) []string { return urls(n.of(p)) }

// of returns the addresses of the relays by which p reaches servers.
func (n *proxies) of(p *Process) (all []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.relays {
		if r.from == p {
			all = append(all, r.listener.Addr().String())
		}
	}
	return all
}

func (n *proxies) listens(p *Process, at listening) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at[p] = at
}

// target returns the address of the server to which r relays, or an empty string if it has never
// listened.
func (n *proxies) target(r *relay) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	if r.from.isServer() {
		return n.at[r.to].Route
	}
	return n.at[r.to].Client
}

// each calls f with each relay, while its mutex is held.
func (n *proxies) each(f func(r *relay)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range n.relays {
		r.mu.Lock()
		f(r)
		r.changed.Broadcast()
		r.mu.Unlock()
	}
}

func (n *proxies) cut(p *Process, down bool) error {
	n.mu.Lock()
	n.cuts[p] = down
	n.mu.Unlock()
	n.each(func(r *relay) { r.down = n.cuts[r.from] || n.cuts[r.to] })
	return nil
}

// cutRoutes cuts the links between p and servers.
func (n *proxies) cutRoutes(p *Process) {
	n.each(func(r *relay) {
		if r.from.isServer() && (r.from == p || r.to == p) {
			r.down = true
		}
	})
}

func (n *proxies) slow(p *Process, delay time.Duration) error {
	n.mu.Lock()
	n.delays[p] = delay
	n.mu.Unlock()
	n.each(func(r *relay) { r.delay = n.delays[r.from] + n.delays[r.to] })
	return nil
}

func (n *proxies) close() (err error) {
	n.each(func(r *relay) {
		r.closed = true
		err = errors.Join(err, r.listener.Close())
		for c := range r.conns {
			c.Close()
		}
	})
	for _, r := range n.relays {
		r.workers.Wait()
	}
	return err
}

// A relay passes on the connections of one process to a server.
type relay struct {
	from, to *Process
	listener net.Listener
	workers  sync.WaitGroup

	mu      sync.Mutex // guards what follows
	changed sync.Cond  // of what follows
	down    bool
	closed  bool
	delay   time.Duration
	conns   map[net.Conn]bool
}

func (n *proxies) accept(r *relay) {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		r.workers.Go(func() { n.connect(r, c) })
	}
}

// connect connects c to the server when the link is up, and relays until one side ends.
func (n *proxies) connect(r *relay, c net.Conn) {
	defer r.forget(c)
	if !r.keep(c) || !r.pass() {
		return
	}
	s, err := net.Dial("tcp", n.target(r))
	if err != nil {
		return
	}
	defer r.forget(s)
	if !r.keep(s) {
		return
	}
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{c, s}, {s, c}} {
		both.Go(func() {
			r.copy(way[1], way[0])
			c.Close()
			s.Close()
		})
	}
	both.Wait()
}

// keep notes a connection. It reports false if the relay is closed.
func (r *relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns[c] = true
	return !r.closed
}

func (r *relay) forget(c net.Conn) {
	c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

// pass waits while the link is down. It reports false if the relay is closed.
func (r *relay) pass() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.down && !r.closed {
		r.changed.Wait()
	}
	return !r.closed
}

// A parcel is what was read at once, and when it is due at the other side.
type parcel struct {
	data []byte
	due  time.Time
}

// copy passes on what is sent, with the delay, and nothing while the link is down.
func (r *relay) copy(to, from net.Conn) {
	parcels := make(chan parcel, 1000)
	go func() {
		defer close(parcels)
		for {
			buffer := make([]byte, 1<<15)
			n, err := from.Read(buffer)
			if err != nil {
				return
			}
			r.mu.Lock()
			due := time.Now().Add(r.delay)
			r.mu.Unlock()
			parcels <- parcel{buffer[:n], due}
		}
	}()
	for p := range parcels {
		time.Sleep(time.Until(p.due))
		if !r.pass() {
			break
		}
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	from.Close()
	for range parcels { // until the reader has ended
	}
}
