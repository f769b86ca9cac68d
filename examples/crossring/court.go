package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// A court is what the players share: one map, one Notify and one Group for all
// of them. Nothing in this file knows who is a goroutine and who is a task.
type court struct {
	m waitmap.Map[int, time.Duration]
	n notify.Notify
	g waitgroup.Group

	epoch    time.Time
	called   atomic.Int64  // when NotifyWaiters was called last
	patience time.Duration // how late a match may end
}

// whistle takes the place of a time: the game is over.
const whistle = -1

func newCourt() *court { return &court{epoch: time.Now(), patience: time.Minute} }

// now is the time of this court. It is stored and compared as a number, so that
// the map holds it without an allocation.
func (c *court) now() time.Duration { return time.Since(c.epoch) }

// serve is the first of two players: it stores the time under theirs and takes
// what the other stores under mine, until it is late; but once at least.
func (c *court) serve(ctx context.Context, mine, theirs int, until time.Duration, wakes *histogram) {
	c.m.Store(theirs, c.now())
	for {
		stored, err := c.m.Take(ctx, mine)
		if err != nil {
			return
		}
		now := c.now()
		if now >= until {
			c.m.Store(theirs, whistle)
			wakes.record(now - stored)
			return
		}
		c.m.Store(theirs, now)
		wakes.record(now - stored)
	}
}

// reply is the second player: it goes on until the whistle.
func (c *court) reply(ctx context.Context, mine, theirs int, wakes *histogram) {
	for {
		stored, err := c.m.Take(ctx, mine)
		if err != nil || stored == whistle {
			return
		}
		now := c.now()
		c.m.Store(theirs, now)
		wakes.record(now - stored)
	}
}

// call wakes a crowd again and again, each time that all of it is in line; but
// once at least. The Group counts who is not in line.
func (c *court) call(ctx context.Context, crowd int, until time.Duration) {
	for late := false; c.g.Wait(ctx) == nil; {
		if late {
			c.called.Store(whistle)
			c.n.NotifyWaiters()
			return
		}
		c.g.Add(crowd) // before they are woken: they are quick
		now := c.now()
		c.called.Store(int64(now))
		c.n.NotifyWaiters()
		late = now >= until
	}
}

// answer is one of the crowd. It is in line before it says so.
func (c *court) answer(ctx context.Context, wakes *histogram) {
	for {
		l := c.n.Listen()
		c.g.Done()
		if l.Wait(ctx) != nil {
			l.Stop()
			return
		}
		now, called := c.now(), time.Duration(c.called.Load())
		if called == whistle {
			return
		}
		wakes.record(now - called)
	}
}
