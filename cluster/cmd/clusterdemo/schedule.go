package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/vigil-go/vigil/cluster/internal/lab"
)

// States of a machine.
const (
	killed = "killed"
	cutOff = "cut off"
	back   = "back"
)

// The schedule, in parts of the duration.
const (
	killWorkerAt = .2
	cutAt        = .35
	healAt       = .5
	killServerAt = .55
)

// stream is that of the bucket.
const stream = "KV_vigil"

// grace is for how long requests may go on after the last has begun.
const grace = time.Minute

// schedule does what is to be done until the end, or until ctx ends.
func (d *demo) schedule(ctx context.Context) {
	for _, step := range []struct {
		at float64
		do func(context.Context)
	}{{0, d.findLeader}, {killWorkerAt, d.killWorker}, {cutAt, d.cut}, {healAt, d.heal}, {killServerAt, d.killServer}, {1, d.stop}} {
		at := d.start.Add(time.Duration(step.at * float64(d.c.Duration)))
		if sleep(ctx, time.Until(at)) != nil {
			return
		}
		step.do(ctx)
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// happened notes what was done. An empty label is not for the plot.
func (d *demo) happened(label, text string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, event{time.Now(), text, label})
}

func (d *demo) setState(m *machine, state string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m.state = state
}

func (d *demo) findLeader(ctx context.Context) {
	if s := d.lab.Leader(ctx, stream); s != nil {
		d.setLeader(s.Name)
	}
}

func (d *demo) setLeader(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leader = name
}

func (d *demo) leaderName() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.leader
}

// killWorker kills the second worker during a load, for which the others then wait.
func (d *demo) killWorker(ctx context.Context) {
	const key = "the key of the killed load"
	m := d.workers[1]
	d.send(order{Hang: key}, m)
	for end := time.Now().Add(d.c.TTL + 5*time.Second); d.ledger.first(key, isWorker(1)) == nil && time.Now().Before(end); {
		if sleep(ctx, 10*time.Millisecond) != nil {
			return
		}
	}
	d.setState(m, killed)
	d.send(order{Ask: key}, d.alive()...)
	m.process.Kill()
	d.mu.Lock()
	d.victim = victim{m.number, key, time.Now()}
	d.mu.Unlock()
	what := ""
	if d.ledger.first(key, isWorker(1)) != nil {
		what = fmt.Sprintf(" during a load; its lease goes on for up to %v", d.c.TTL)
	}
	d.happened(m.process.Name+" killed", "killed "+m.process.Name+what)
}

func isWorker(n int) func(int) bool { return func(worker int) bool { return worker == n } }

// takeover returns how long it took until another worker loaded what the killed one had begun
// to.
func (d *demo) takeover() (took time.Duration, ok bool) {
	d.mu.Lock()
	v := d.victim
	d.mu.Unlock()
	l := d.ledger.first(v.key, func(worker int) bool { return worker != v.worker })
	if v.at.IsZero() || l == nil {
		return 0, false
	}
	return l.Begun.Sub(v.at), true
}

// killServer kills the server that leads the bucket, or one that does not.
func (d *demo) killServer(ctx context.Context) {
	leader, what := d.lab.Leader(ctx, stream), ", which led the bucket"
	s := leader
	if d.c.Kill == "follower" || leader == nil {
		i := slices.IndexFunc(d.lab.Servers(), func(s *lab.Server) bool { return s != leader })
		s, what = d.lab.Servers()[i], ""
	}
	s.Kill()
	d.mu.Lock()
	d.killed++
	d.mu.Unlock()
	if s == leader {
		d.setLeader("")
		d.waits.Go(func() { d.awaitLeader(ctx) })
	}
	d.happened(s.Name+" killed", "killed "+s.Name+what)
}

// awaitLeader tells when the bucket has a leader again.
func (d *demo) awaitLeader(ctx context.Context) {
	begun := time.Now()
	for d.findLeader(ctx); d.leaderName() == ""; d.findLeader(ctx) {
		if sleep(ctx, 100*time.Millisecond) != nil {
			return
		}
	}
	name := d.leaderName()
	d.happened(name+" leads", fmt.Sprintf("%s leads the bucket, %v after the kill", name, round(time.Since(begun))))
}

func (d *demo) cut(context.Context) {
	m := d.workers[2]
	if err := m.process.Cut(); err != nil {
		d.happened("", fmt.Sprintf("cannot cut %s off: %v", m.process.Name, err))
		return
	}
	d.setState(m, cutOff)
	d.happened(m.process.Name+" cut off", fmt.Sprintf("cut %s off: it can answer with what it has seen", m.process.Name))
}

func (d *demo) heal(context.Context) {
	m := d.workers[2]
	if err := m.process.Heal(); err != nil {
		d.happened("", fmt.Sprintf("cannot bring %s back: %v", m.process.Name, err))
		return
	}
	d.setState(m, back)
	d.happened(m.process.Name+" back", fmt.Sprintf("brought %s back", m.process.Name))
}

// stop lets the workers finish their requests.
func (d *demo) stop(ctx context.Context) {
	d.happened("", "the last requests have begun")
	d.send(order{Stop: true}, d.alive()...)
	late := time.After(grace)
	for _, m := range d.alive() {
		select {
		case <-m.ended:
		case <-ctx.Done():
			return
		case <-late:
			d.mu.Lock()
			d.failure = fmt.Errorf("%s has requests that do not end", m.process.Name)
			d.mu.Unlock()
			return
		}
	}
}
