package rows

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/bench/measure"
	"github.com/vigil-go/vigil/bench/rivals"
)

func queueRow() Row {
	return Row{
		Name:  "queue",
		Title: "Passing values on through a buffer",
		About: "flow: so many producers and as many consumers share a buffer of 128; time is per value that a producer puts and a " +
			"consumer takes. hand: ping-pong over two buffers of one, so each waits in turn; vigil yields before it sleeps. Time is per hand-over. " +
			"With select, the channel is sent to and received from in selects with ctx.Done(). What is cancelable, or " +
			"selects, waits under a context that can be canceled.",
		Base: "channel",
		jobs: func(set *Settings) (jobs []Job) {
			for _, pairs := range []int{1, 2, 8, set.scaled(1000, 100)} {
				cell := Cell{Name: fmt.Sprintf("flow/%d", pairs), Unit: "ns/value"}
				jobs = append(jobs, aiming(overProcs(set, cell, flows(pairs)), flowAims)...)
			}
			hand := Cell{Name: "hand", Unit: "ns/hand-over"}
			return append(jobs, aiming(overProcs(set, hand, queueHands), always(
				aim{vigilQueue, "channel", 1.3}, aim{vigilQueue + andCancel, chanSelect, 1.3}))...)
		},
	}
}

const (
	chanSelect = "channel, select"
	vigilQueue = "vigil Queue"
	flowBuffer = 128
)

func flowAims(c Cell) []aim {
	if c.Name != "flow/8" {
		return nil
	}
	return []aim{{vigilQueue, "channel", 1}, {vigilQueue + andCancel, chanSelect, 1}}
}

// A pipe is one buffer that producers and consumers share.
type pipe struct {
	put  func(n int)         // puts n values
	take func() (values int) // takes values until it gets the last one, and counts the others
	end  func()              // puts lastMessage
}

const lastMessage = -1

func flows(pairs int) func(context.Context) []measure.Subject {
	return func(ctx context.Context) []measure.Subject {
		return []measure.Subject{
			flow("channel", pairs, newChannelPipe),
			flow(chanSelect, pairs, func() pipe { return newSelectPipe(ctx) }),
			flow(vigilQueue, pairs, func() pipe { return newQueuePipe(context.Background()) }),
			flow(vigilQueue+andCancel, pairs, func() pipe { return newQueuePipe(ctx) }),
		}
	}
}

// flow measures the producers. The consumers take until the producers have ended, so
// that none of them waits for ever for a consumer, and then as many last messages as
// there are consumers follow.
func flow(name string, pairs int, open func() pipe) measure.Subject {
	return measure.Subject{Name: name, Run: func(slice time.Duration) measure.Sample {
		p := open()
		var put, taken atomic.Int64
		var consumers sync.WaitGroup
		for range pairs {
			consumers.Go(func() { taken.Add(int64(p.take())) })
		}
		sample := measure.Slice(pairs, slice, func(int) int {
			p.put(rivals.Batch)
			put.Add(rivals.Batch)
			return rivals.Batch
		})
		for range pairs {
			p.end()
		}
		consumers.Wait()
		if put.Load() != taken.Load() {
			panic(fmt.Sprintf("rows: %s: %d values put, %d taken", name, put.Load(), taken.Load()))
		}
		return sample
	}}
}

func newChannelPipe() pipe {
	c := make(chan int, flowBuffer)
	return pipe{
		put: func(n int) {
			for i := range n {
				c <- i
			}
		},
		take: func() (values int) {
			for <-c != lastMessage {
				values++
			}
			return values
		},
		end: func() { c <- lastMessage },
	}
}

func newSelectPipe(ctx context.Context) pipe {
	c := make(chan int, flowBuffer)
	return pipe{
		put: func(n int) {
			for i := range n {
				select {
				case c <- i:
				case <-ctx.Done():
					panic(ctx.Err())
				}
			}
		},
		take: func() (values int) {
			for {
				select {
				case v := <-c:
					if v == lastMessage {
						return values
					}
				case <-ctx.Done():
					panic(ctx.Err())
				}
				values++
			}
		},
		end: func() { c <- lastMessage },
	}
}

func newQueuePipe(ctx context.Context) pipe {
	q := await.NewQueue[int](flowBuffer)
	return pipe{
		put: func(n int) {
			for i := range n {
				mustNot(q.Put(ctx, i))
			}
		},
		take: func() (values int) {
			for {
				v, err := q.Take(ctx)
				mustNot(err)
				if v == lastMessage {
					return values
				}
				values++
			}
		},
		end: func() { mustNot(q.Put(ctx, lastMessage)) },
	}
}

func queueHands(ctx context.Context) []measure.Subject {
	return []measure.Subject{
		pingPong("channel", func() table { return newChannels(1) }),
		pingPong(chanSelect, func() table { return &selectChannels{newChannels(1), ctx} }),
		pingPong(vigilQueue, func() table { return newQueueWaits(context.Background()) }),
		pingPong(vigilQueue+andCancel, func() table { return newQueueWaits(ctx) }),
	}
}

// selectChannels are channels that are used in selects with ctx.Done().
type selectChannels struct {
	channels
	ctx context.Context
}

func (t *selectChannels) send(i, side int) {
	select {
	case t.channels[side] <- i:
	case <-t.ctx.Done():
		panic(t.ctx.Err())
	}
}

func (t *selectChannels) receive(_, side int) {
	select {
	case <-t.channels[side]:
	case <-t.ctx.Done():
		panic(t.ctx.Err())
	}
}
