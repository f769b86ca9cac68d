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

	epoch  time.Time
	called atomic.Int64 // when NotifyWaiters was called last
}

// whistle takes the place of a time: the game is over.
const whistle = -1

func newCourt() *court { return &court{epoch: time.Now()} }

// now is the time of this court. It is stored and compared as a number, so that
// the map holds it without an allocation.
func (c *court) now() time.Duration { return time.Since(c.epoch) }

// rally is one of two players: it takes what the other stores under mine, and
// stores the time under theirs, until it is late. Of the two one serves.
func (c *court) rally(ctx context.Context, mine, theirs int, serves bool, until time.Duration, wakes *histogram) {
	if serves {
		c.m.Store(theirs, c.now())
	}
	for {
		stored, err := c.m.Take(ctx, mine)
		if err != nil || stored == whistle {
			return
		}
		now := c.now()
		if now < until {
			c.m.Store(theirs, now)
		} else {
			c.m.Store(theirs, whistle)
		}
		wakes.record(now - stored)
		if now >= until {
			return
		}
	}
}

// call wakes a crowd again and again, each time that all of it is in line.
// The Group counts who is not: the crowd, before it is called.
func (c *court) call(ctx context.Context, crowd int, until time.Duration) {
	for c.g.Wait(ctx) == nil {
		now := c.now()
		if now >= until {
			c.called.Store(whistle)
			c.n.NotifyWaiters()
			return
		}
		c.g.Add(crowd)
		c.called.Store(int64(c.now()))
		c.n.NotifyWaiters()
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
