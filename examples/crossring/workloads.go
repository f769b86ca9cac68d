package main

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/examples/internal/histogram"
	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/waitmap"
)

// All workers of all measurements share one map, one Notify and one Group.
// Nothing in this file depends on which of them are goroutines and which are tasks.
type shared struct {
	m waitmap.Map[int, time.Duration]
	n notify.Notify
	g waitgroup.Group

	epoch    time.Time
	notified atomic.Int64  // when NotifyWaiters was called last
	grace    time.Duration // how late a measurement may end
}

// stop takes the place of a time: the worker that gets it returns.
const stop = -1

func newShared() *shared { return &shared{epoch: time.Now(), grace: time.Minute} }

// now is the time since the epoch: a number, which the map holds without an
// allocation.
func (s *shared) now() time.Duration { return time.Since(s.epoch) }

// ping is the first worker of a pair: it stores the time under theirs and takes
// what the other worker stores under mine, until the time is up; but once at least.
func (s *shared) ping(ctx context.Context, mine, theirs int, until time.Duration, wakes *histogram.Histogram) {
	s.m.Store(theirs, s.now())
	for {
		stored, err := s.m.Take(ctx, mine)
		if err != nil {
			return
		}
		now := s.now()
		if now >= until {
			s.m.Store(theirs, stop)
			wakes.Record(now - stored)
			return
		}
		s.m.Store(theirs, now)
		wakes.Record(now - stored)
	}
}

// pong is the second worker of a pair: it goes on until it takes stop.
func (s *shared) pong(ctx context.Context, mine, theirs int, wakes *histogram.Histogram) {
	for {
		stored, err := s.m.Take(ctx, mine)
		if err != nil || stored == stop {
			return
		}
		now := s.now()
		s.m.Store(theirs, now)
		wakes.Record(now - stored)
	}
}

// notify wakes all listeners again and again, each time that all of them are in
// line; but once at least. The Group counts those that are not in line.
func (s *shared) notify(ctx context.Context, listeners int, until time.Duration) {
	for late := false; s.g.Wait(ctx) == nil; {
		if late {
			s.notified.Store(stop)
			s.n.NotifyWaiters()
			return
		}
		s.g.Add(listeners) // before they are woken: they are quick
		now := s.now()
		s.notified.Store(int64(now))
		s.n.NotifyWaiters()
		late = now >= until
	}
}

// listen is one of the listeners. It gets in line, and then counts itself off.
func (s *shared) listen(ctx context.Context, wakes *histogram.Histogram) {
	for {
		l := s.n.Listen()
		s.g.Done()
		if l.Wait(ctx) != nil {
			l.Stop()
			return
		}
		now, notified := s.now(), time.Duration(s.notified.Load())
		if notified == stop {
			return
		}
		wakes.Record(now - notified)
	}
}
