package faults_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/vigil-go/vigil/cluster/internal/lab"
)

// A nemesis makes faults, drawn at random, until it is ended. At most two last at a time.
type nemesis struct {
	s      *site
	random *rand.Rand
	ctx    context.Context
	end    context.CancelFunc

	mu   sync.Mutex
	busy map[*lab.Process]bool // those with a fault
	made map[string]int
}

func newNemesis(s *site, random *rand.Rand) *nemesis {
	n := &nemesis{s: s, random: random, busy: make(map[*lab.Process]bool), made: make(map[string]int)}
	n.ctx, n.end = context.WithCancel(context.Background())
	return n
}

// A fault is one that can be made to a process, and ended.
type fault struct {
	name       string
	begin, end func(p *lab.Process) error
}

// faults returns those of a process. A restart is the end of its life.
func (n *nemesis) faults(restart func() error) []fault {
	slow := time.Duration(n.random.IntN(200)) * time.Millisecond
	all := []fault{
		{"killed", func(p *lab.Process) error { p.Kill(); return nil }, func(*lab.Process) error { return restart() }},
		{"stopped", (*lab.Process).Pause, (*lab.Process).Resume},
		{"cut off", (*lab.Process).Cut, (*lab.Process).Heal},
	}
	if n.s.Isolation() == lab.Proxies {
		all = append(all, fault{"slow", func(p *lab.Process) error { return p.Slow(slow) }, func(p *lab.Process) error { return p.Slow(0) }})
	}
	return all
}

func (n *nemesis) run() {
	var now sync.WaitGroup
	defer now.Wait()
	places := make(chan struct{}, 2)
	for {
		select {
		case <-n.ctx.Done():
			return
		case places <- struct{}{}:
		}
		f, p := n.draw()
		lasts := time.Duration(n.random.IntN(6000)) * time.Millisecond
		if n.random.IntN(8) == 0 { // longer than all TTLs
			lasts += 2 * ttl
		}
		if p != nil {
			now.Go(func() {
				defer func() { <-places }()
				n.make(f, p, lasts)
			})
		} else {
			<-places
		}
		n.sleep(time.Duration(n.random.IntN(8000)) * time.Millisecond)
	}
}

func (n *nemesis) sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-n.ctx.Done():
	}
}

// draw returns a fault and the process for it, or nil if that has one already.
func (n *nemesis) draw() (fault, *lab.Process) {
	var p *lab.Process
	var all []fault
	servers := n.s.Servers()
	switch i := n.random.IntN(len(servers) + len(n.s.workers) + 1); {
	case i == len(servers)+len(n.s.workers):
		n.others(servers)
		return fault{}, nil
	case i < len(servers):
		p = servers[i].Process
		all = n.faults(func() error { return servers[i].Start(context.Background()) })
	default:
		c := n.s.workers[i-len(servers)]
		p = c.Process
		all = n.faults(func() error {
			err := c.Start()
			c.attach()
			return err
		})
	}
	f := all[n.random.IntN(len(all))]
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.busy[p] {
		return f, nil
	}
	n.busy[p] = true
	return f, p
}

// make makes a fault for a while.
func (n *nemesis) make(f fault, p *lab.Process, lasts time.Duration) {
	n.check(f, p, f.begin(p))
	n.sleep(lasts)
	n.check(f, p, f.end(p))
	kind := "worker"
	if slices.ContainsFunc(n.s.Servers(), func(s *lab.Server) bool { return s.Process == p }) {
		kind = "server"
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.busy, p)
	n.made[kind+" "+f.name]++
}

func (n *nemesis) check(f fault, p *lab.Process, err error) {
	if err != nil {
		n.s.t.Errorf("%s %s: %v", p.Name, f.name, err)
	}
}

// others lets another server lead, or kills all servers.
func (n *nemesis) others(servers []*lab.Server) {
	if n.random.IntN(3) > 0 {
		if leader := n.s.Leader(n.ctx, stream); leader != nil && leader.StepDown(n.ctx, stream) == nil {
			n.count("leader changed")
		}
		return
	}
	n.mu.Lock()
	for _, s := range servers {
		if n.busy[s.Process] {
			n.mu.Unlock()
			return
		}
	}
	n.mu.Unlock() // nobody else makes them busy
	n.s.killAll()
	for _, s := range servers {
		n.check(fault{name: "started again"}, s.Process, s.Start(context.Background()))
	}
	n.count("all servers killed")
}

func (n *nemesis) count(what string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.made[what]++
}

func (n *nemesis) counts() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return fmt.Sprint(n.made)
}
