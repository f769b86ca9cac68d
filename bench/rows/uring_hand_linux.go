package rows

import (
	"context"
	"iter"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/uringwake"
	"github.com/vigil-go/vigil/waitmap"
)

func handRow() Row {
	return Row{
		Name:  "uring/hand",
		Title: "Handing a value over among goroutines and tasks, one way",
		About: "Ping-pong by Store and Take of one map: between goroutines (gg), from a goroutine to a task (gt) and back (tg), " +
			"between two tasks of one loop (tt) and of two loops (across). Time is per hand-over, half of a round trip; gt and tg " +
			"are told apart by stamps, so two looks at the clock are in them. Loops look for mail before they sleep, as by " +
			"default, or never. The channel is unbuffered, between goroutines. In C, two threads wake each other by futexes, " +
			"or one wakes the ring of another, which is asleep.",
		Base: "channel",
		jobs: func(set *Settings) []Job {
			threads := []inFloor{
				{"futex in C", "futex", []string{"free"}},
				{"eventfd in C", "wake", []string{"eventfd", "asleep", "free"}},
				{"MSG_RING in C", "wake", []string{"msg_ring", "asleep", "free"}},
			}
			return []Job{
				handJob(set, "gg", goroutineHands, nil),
				handJob(set, "gt", mixedHands(toTask), threads),
				handJob(set, "tg", mixedHands(toGoroutine), threads),
				handJob(set, "tt", taskHands, nil),
				handJob(set, "across", acrossHands, threads),
			}
		},
	}
}

func handJob(set *Settings, name string, subjects func() []measure.Subject, programs []inFloor) Job {
	return Job{
		Cell: Cell{Name: name, Procs: set.headline(), Unit: "ns/hand-over"},
		run: func() (series []measure.Series, notes []string) {
			all := append([]measure.Subject{pingPong("channel", func() table { return newChannels(0) })}, subjects()...)
			defer floors(&all, &notes, programs...)()
			series = measure.Interleave(all, set.Rounds, set.Slice)
			if name == "tt" {
				notes = append(notes, goal("ns a hand-over between tasks of a loop", find(series, byTake).Median(), 400))
			}
			return series, notes
		},
	}
}

const (
	byTake    = "vigil Take"
	sleepless = "vigil Take, never spinning"
)

// A mapPingPong is ping-pong over a map: key 0 is the way out and key 1 the way
// back. If stamped is set, the values are the times at which they were sent.
type mapPingPong struct {
	m       waitmap.Map[int, int64]
	stamped bool
	out     int64 // total ns of the way out
	back    int64
	rounds  int
	wall    int64
}

// now returns 0 if times are not asked for.
func (d *mapPingPong) now() int64 {
	if d.stamped {
		return nanos()
	}
	return 0
}

// lead makes round trips for a tenth of the slice and then, measured, for all of
// it. The clock is read after every 64 round trips.
func (d *mapPingPong) lead(ctx context.Context, slice time.Duration) {
	d.roundTrips(ctx, slice/10)
	d.out, d.back, d.rounds = 0, 0, 0
	d.roundTrips(ctx, slice)
	d.m.Store(0, lastMessage)
}

func (d *mapPingPong) roundTrips(ctx context.Context, slice time.Duration) {
	start := nanos()
	for d.wall = 0; d.wall <= int64(slice); d.wall = nanos() - start {
		for range 64 {
			d.m.Store(0, d.now())
			sent, err := d.m.Take(ctx, 1)
			mustNot(err)
			d.back += d.now() - sent
			d.rounds++
		}
	}
}

func (d *mapPingPong) answer(ctx context.Context) {
	for {
		sent, err := d.m.Take(ctx, 0)
		mustNot(err)
		if sent == lastMessage {
			return
		}
		d.out += d.now() - sent
		d.m.Store(1, d.now())
	}
}

func (d *mapPingPong) halfRound() float64 { return float64(d.wall) / float64(2*d.rounds) }

// A runner starts a function in a goroutine or as a task.
type runner func(body func(ctx context.Context))

func goroutineRunner(body func(ctx context.Context)) { go body(context.Background()) }

func loopRunner(l *uringwake.Loop) runner {
	return func(body func(ctx context.Context)) { mustNot(l.Go(context.Background(), body)) }
}

// run returns when both sides have ended.
func (d *mapPingPong) run(slice time.Duration, server, answerer runner) {
	done := make(chan struct{}, 2)
	answerer(func(ctx context.Context) { d.answer(ctx); done <- struct{}{} })
	server(func(ctx context.Context) { d.lead(ctx, slice); done <- struct{}{} })
	<-done
	<-done
}

func goroutineHands() []measure.Subject {
	return []measure.Subject{{Name: byTake, Run: func(slice time.Duration) measure.Sample {
		d := new(mapPingPong)
		d.run(slice, goroutineRunner, goroutineRunner)
		return measure.Sample{Value: d.halfRound()}
	}}}
}

type way bool

const (
	toTask      way = true
	toGoroutine way = false
)

// mixedHands has a goroutine that leads and a task that answers.
func mixedHands(w way) func() []measure.Subject {
	return func() []measure.Subject {
		return spinningAndNot(func(o *uringwake.LoopOptions, slice time.Duration) float64 {
			l := newLoop(o)
			defer closeLoop(l)
			d := &mapPingPong{stamped: true}
			d.run(slice, goroutineRunner, loopRunner(l))
			if w == toTask {
				return float64(d.out) / float64(d.rounds)
			}
			return float64(d.back) / float64(d.rounds)
		})
	}
}

func acrossHands() []measure.Subject {
	return spinningAndNot(func(o *uringwake.LoopOptions, slice time.Duration) float64 {
		a, b := newLoop(o), newLoop(o)
		defer closeLoop(a)
		defer closeLoop(b)
		d := new(mapPingPong)
		d.run(slice, loopRunner(a), loopRunner(b))
		return d.halfRound()
	})
}

func spinningAndNot(body func(o *uringwake.LoopOptions, slice time.Duration) float64) []measure.Subject {
	with := func(o *uringwake.LoopOptions) func(time.Duration) measure.Sample {
		return func(slice time.Duration) measure.Sample { return measure.Sample{Value: body(o, slice)} }
	}
	return []measure.Subject{
		{Name: byTake, Run: with(nil)},
		{Name: sleepless, Run: with(&uringwake.LoopOptions{SpinFor: -1})},
	}
}

// taskHands shows what the map adds to waking and parking, and what these add to a
// switch of coroutines there and back.
func taskHands() []measure.Subject {
	return []measure.Subject{
		{Name: byTake, Run: func(slice time.Duration) measure.Sample {
			l := newLoop(nil)
			defer closeLoop(l)
			d := new(mapPingPong)
			d.run(slice, loopRunner(l), loopRunner(l))
			return measure.Sample{Value: d.halfRound()}
		}},
		{Name: "Wake and Park", Run: wakeAndPark},
		{Name: "iter.Pull", Run: pullSwitch},
	}
}

func wakeAndPark(slice time.Duration) measure.Sample {
	l := newLoop(nil)
	defer closeLoop(l)
	rounds := max(int(slice/time.Microsecond), 10)
	sample := make(chan measure.Sample)
	mustNot(l.Go(context.Background(), func(ctx context.Context) {
		me, other := uringwake.TaskFrom(ctx), (*uringwake.Task)(nil)
		mustNot(l.Go(ctx, func(ctx context.Context) {
			other = uringwake.TaskFrom(ctx)
			me.Wake()
			for range rounds {
				mustNot(other.Park(ctx))
				me.Wake()
			}
		}))
		mustNot(me.Park(ctx))
		s := measure.Once(2*rounds, func() {
			for range rounds {
				other.Wake()
				mustNot(me.Park(ctx))
			}
		})
		go func() { sample <- s }() // a task must not block
	}))
	return <-sample
}

func pullSwitch(slice time.Duration) measure.Sample {
	next, stop := iter.Pull(func(yield func(int) bool) {
		for yield(0) {
		}
	})
	defer stop()
	n := max(int(slice/(500*time.Nanosecond)), 10)
	return measure.Once(n, func() {
		for range n {
			next()
		}
	})
}
