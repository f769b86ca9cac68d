package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vigil-go/vigil/uringwake"
)

// A seat is where a player runs. It starts f there, under a context that f
// sleeps by.
type seat func(ctx context.Context, f func(ctx context.Context)) error

// onGoroutine is the seat that needs no loop: Loop.Go is the other kind.
func onGoroutine(ctx context.Context, f func(ctx context.Context)) error {
	go f(ctx)
	return nil
}

// A match is who plays what against whom: in ping-pong player i of one side
// against player i of the other, in a fan-out near's only player against all.
type match struct {
	game      game
	near, far []seat
	out, back *score // of wakes of the far side, and of the near one
	loops     []*uringwake.Loop
}

// errStuck ends a match in which nobody is woken any more.
var errStuck = errors.New("a match does not end: a wake was lost, or the machine is very busy")

// play plays for about that long and adds to the scores.
func (m *match) play(ctx context.Context, c *court, slice time.Duration) error {
	ctx, cancel := context.WithTimeoutCause(ctx, slice+c.patience, errStuck)
	defer cancel()
	far, near := make([]histogram, len(m.far)), make([]histogram, len(m.near))
	calls, start := m.calls(), c.now()
	if err := m.seatAll(ctx, cancel, c, start+slice, far, near); err != nil {
		return err
	}
	took := c.now() - start
	m.count(far, near, took, float64(m.calls()-calls))
	if context.Cause(ctx) == errStuck {
		return errStuck
	}
	return nil
}

// seatAll starts all players and waits for their end.
func (m *match) seatAll(ctx context.Context, cancel func(), c *court, until time.Duration, far, near []histogram) error {
	var players sync.WaitGroup
	defer players.Wait()
	sit := func(s seat, play func(ctx context.Context)) (err error) {
		players.Add(1)
		if err = s(ctx, func(ctx context.Context) { defer players.Done(); play(ctx) }); err != nil {
			players.Done()
			cancel()
		}
		return err
	}
	if m.game == fanOut {
		return m.seatCrowd(sit, c, until, far)
	}
	return m.seatPairs(sit, c, until, far, near)
}

func (m *match) seatPairs(sit seating, c *court, until time.Duration, far, near []histogram) error {
	for i := range m.near {
		a, b := 2*i, 2*i+1 // the keys
		if err := errors.Join(
			sit(m.far[i], func(ctx context.Context) { c.reply(ctx, a, b, &far[i]) }),
			sit(m.near[i], func(ctx context.Context) { c.serve(ctx, b, a, until, &near[i]) }),
		); err != nil {
			return fmt.Errorf("cannot seat a player: %w", err)
		}
	}
	return nil
}

func (m *match) seatCrowd(sit seating, c *court, until time.Duration, far []histogram) error {
	c.g.Add(len(m.far))
	for i, s := range m.far {
		if err := sit(s, func(ctx context.Context) { c.answer(ctx, &far[i]) }); err != nil {
			return fmt.Errorf("cannot seat one of the crowd: %w", err)
		}
	}
	return sit(m.near[0], func(ctx context.Context) { c.call(ctx, len(m.far), until) })
}

// seating starts a player whose end is waited for.
type seating func(s seat, play func(ctx context.Context)) error

// count adds what was played to the scores. A system call that served both
// directions is shared out.
func (m *match) count(far, near []histogram, took time.Duration, calls float64) {
	var out, back histogram
	for i := range far {
		out.add(&far[i])
	}
	for i := range near {
		back.add(&near[i])
	}
	all := float64(max(1, out.count+back.count))
	m.out.wakes.add(&out)
	m.back.wakes.add(&back)
	m.out.calls += calls * float64(out.count) / all
	m.back.calls += calls * float64(back.count) / all
	m.out.took += took
	if m.back != m.out {
		m.back.took += took
	}
}

// calls is the number of system calls that the loops have made, and that were
// made to wake them.
func (m *match) calls() (n uint64) {
	for _, l := range m.loops {
		s := l.Stats()
		n += s.Enters + s.Rings
	}
	return n
}
