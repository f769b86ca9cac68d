package main

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/vigil-go/vigil/notify"
	"github.com/vigil-go/vigil/waitmap"
)

// maxUnsent is how many bytes of messages may wait for a subscriber that does not read.
// One that falls behind further is disconnected.
const maxUnsent = 8 << 20

// A hub knows who has subscribed to what. The lists are replaced, never changed, so that
// a publisher reads them without a lock.
type hub struct {
	channels waitmap.Map[string, []*outbox]
}

func (h *hub) subscribe(channel string, o *outbox) {
	h.channels.Compute(channel, func(old []*outbox, _ bool) ([]*outbox, waitmap.Op) {
		return append(slices.Clip(old), o), waitmap.StoreOp
	})
}

func (h *hub) unsubscribe(channel string, o *outbox) {
	h.channels.Compute(channel, func(old []*outbox, _ bool) ([]*outbox, waitmap.Op) {
		rest := slices.DeleteFunc(slices.Clone(old), func(x *outbox) bool { return x == o })
		if len(rest) == 0 {
			return nil, waitmap.DeleteOp
		}
		return rest, waitmap.StoreOp
	})
}

// publish hands message to all subscribers of channel and returns their number.
func (h *hub) publish(channel string, message []byte) (n int) {
	subscribers, _ := h.channels.Load(channel)
	for _, o := range subscribers {
		o.add(func(r *reply) {
			if !o.channels[channel] {
				return // it has just unsubscribed, and has been told so
			}
			n++
			r.push(3)
			r.text("message")
			r.text(channel)
			r.bulk(message)
		})
	}
	return n
}

// An outbox is what a subscriber is still to be sent: answers to its commands, and messages
// from everywhere. A task of its own sends that. The lock is held for a few copies.
type outbox struct {
	more notify.Notify // there is something to do for the sender
	cut  func()        // ends the sender, also if it waits for a subscriber that does not read

	mu       sync.Mutex
	reply    reply
	channels map[string]bool // the subscriptions; only the client changes them
	closed   bool            // nothing is added any more
}

// add appends what f writes, all or nothing of it. f must not wait.
func (o *outbox) add(f func(r *reply)) {
	o.mu.Lock()
	if !o.closed {
		f(&o.reply)
	}
	behind := len(o.reply.buf) > maxUnsent
	if behind {
		o.reply.buf, o.closed = nil, true
	}
	o.mu.Unlock()
	if behind {
		o.cut()
	}
	o.more.NotifyOne() // the sender is in line, or finds a permit when it waits next
}

// close lets the sender end when all is sent.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.more.NotifyOne()
}

// take returns what is to be sent now, for a buffer that may be used again.
func (o *outbox) take(spent []byte) (b []byte, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	b, o.reply.buf = o.reply.buf, spent[:0]
	return b, o.closed
}

// send writes to the connection until the outbox is closed and empty, and returns nil, or
// until that fails or ctx ends.
func (o *outbox) send(ctx context.Context, conn stream) (err error) {
	var spent []byte
	for err == nil && ctx.Err() == nil {
		b, closed := o.take(spent)
		switch {
		case len(b) > 0:
			_, err = conn.WriteContext(ctx, b)
		case closed:
			return nil
		default:
			err = o.more.Wait(ctx)
		}
		if spent = b; cap(spent) > maxKept {
			spent = nil
		}
	}
	return cmp.Or(err, ctx.Err())
}
