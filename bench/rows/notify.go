package rows

import (
	"context"

	"golang.org/x/sync/semaphore"

	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/notify"
)

func notifyRow() Row {
	return Row{
		Name:  "notify",
		Title: "Waking one",
		About: "Wait+NotifyOne: one permit goes round; each of so many goroutines waits for it and gives it back, again and " +
			"again. It is never lost, so no goroutine waits for ever. NotifyOne+TryWait: no goroutine sleeps, and one that finds no permit goes " +
			"on (the channel drops what has no room; the semaphore counts its permits, where Notify and the channel keep " +
			"one). Goroutines that share yield after 256 operations. Ping-pong: each waits in turn; time is per " +
			"hand-over, and the Listener is in line before the message goes out. What is cancelable, selects, or is a semaphore, " +
			"waits under a context that can be canceled.",
		Base: "channel of 1",
		jobs: func(set *Settings) []Job {
			jobs := overGoroutines(set, "Wait+NotifyOne", rounds)
			jobs = append(jobs, overGoroutines(set, "NotifyOne+TryWait", tries)...)
			return append(jobs, overProcs(set, Cell{Name: "ping-pong", Unit: "ns/hand-over", Base: "channel"}, notifyPingPongs)...)
		},
	}
}

// rounds pass one permit between the goroutines.
func rounds(ctx context.Context, goroutines int) []measure.Subject {
	return []measure.Subject{
		together("channel of 1", goroutines, func() func(int) {
			c := filled()
			return func(n int) {
				for range n {
					<-c
					c <- struct{}{}
				}
			}
		}),
		together("channel of 1, select", goroutines, func() func(int) { return selecting(ctx, filled()) }),
		together("semaphore", goroutines, func() func(int) { return acquiring(ctx, semaphore.NewWeighted(1)) }),
		together("vigil Notify", goroutines, func() func(int) { return notifying(context.Background()) }),
		together("vigil Notify, cancelable", goroutines, func() func(int) { return notifying(ctx) }),
	}
}

func filled() chan struct{} {
	c := make(chan struct{}, 1)
	c <- struct{}{}
	return c
}

func selecting(ctx context.Context, c chan struct{}) func(int) {
	return func(n int) {
		for range n {
			select {
			case <-c:
			case <-ctx.Done():
				panic(ctx.Err())
			}
			c <- struct{}{}
		}
	}
}

func notifying(ctx context.Context) func(int) {
	var w notify.Notify
	w.NotifyOne()
	return func(n int) {
		for range n {
			mustNot(w.Wait(ctx))
			w.NotifyOne()
		}
	}
}

// tries never sleep.
func tries(_ context.Context, goroutines int) []measure.Subject {
	return []measure.Subject{
		together("channel of 1", goroutines, func() func(int) { return tryingChannel(make(chan struct{}, 1)) }),
		together("semaphore", goroutines, func() func(int) {
			s := taken(plenty)
			return func(n int) {
				for range n {
					s.Release(1)
					s.TryAcquire(1)
				}
			}
		}),
		together("vigil Notify", goroutines, func() func(int) {
			var w notify.Notify
			return func(n int) {
				for range n {
					w.NotifyOne()
					w.TryWait()
				}
			}
		}),
	}
}

func tryingChannel(c chan struct{}) func(int) {
	return func(n int) {
		for range n {
			select {
			case c <- struct{}{}:
			default:
			}
			select {
			case <-c:
			default:
			}
		}
	}
}

func notifyPingPongs(ctx context.Context) []measure.Subject {
	return []measure.Subject{
		pingPong("channel", func() table { return newChannels(0) }),
		pingPong("channel of 1", func() table { return newChannels(1) }),
		pingPong("sync.Cond", func() table { return newConds() }),
		pingPong("semaphore", func() table { return newSemaphores(ctx) }),
		pingPong("vigil Notify", func() table { return &notifies{ctx: context.Background()} }),
		pingPong("vigil Notify, cancelable", func() table { return &notifies{ctx: ctx} }),
		pingPong("vigil Listener", func() table { return newListeners(context.Background()) }),
		pingPong("vigil Listener, cancelable", func() table { return newListeners(ctx) }),
	}
}

type notifies struct {
	sides [2]notify.Notify
	ctx   context.Context
}

func (t *notifies) send(_, side int)    { t.sides[side].NotifyOne() }
func (t *notifies) receive(_, side int) { mustNot(t.sides[side].Wait(t.ctx)) }
func (t *notifies) close()              {}

// listeners get in line for the next message before they send this one on.
type listeners struct {
	notifies
	inLine [2]*notify.Listener
}

func newListeners(ctx context.Context) *listeners {
	t := &listeners{notifies: notifies{ctx: ctx}}
	for side := range t.inLine {
		t.inLine[side] = t.sides[side].Listen()
	}
	return t
}

func (t *listeners) receive(_, side int) {
	mustNot(t.inLine[side].Wait(t.ctx))
	t.inLine[side] = t.sides[side].Listen()
}

func (t *listeners) close() {
	for _, l := range t.inLine {
		l.Stop()
	}
}
