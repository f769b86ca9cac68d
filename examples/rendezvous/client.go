package main

import (
	"context"
	"errors"
	"time"

	"github.com/vigil-go/vigil/await"
	"github.com/vigil-go/vigil/waitgroup"
	"github.com/vigil-go/vigil/wake"
)

// A client is a connection and the task, or goroutine, that serves it: it reads, runs all
// commands that have arrived, and answers them by one write.
type client struct {
	*server
	id      uint64
	name    string
	conn    stream
	in      parser
	out     reply
	leaving bool  // it asked to end
	lost    error // what ended the connection, once that is known

	outbox  *outbox // of a client that has subscribed: answers go through it too
	sending waitgroup.Group
}

// maxUnflushed is how many bytes of answers are collected at most before they are written.
const maxUnflushed = 1 << 20

// goodbye is how long a subscriber that has sent QUIT may take to read the rest.
const goodbye = 10 * time.Second

// readAhead is how many bytes are read of a client whose command waits. That they are
// read shows whether it is still there.
const readAhead = 1 << 20

// serve runs the client's commands until it leaves or ctx ends.
func (c *client) serve(ctx context.Context) {
	defer c.end(ctx)
	for c.lost == nil && !c.leaving {
		err := c.runAll(ctx)
		if err != nil {
			c.out.error(err)
			c.leaving = true
		}
		if !c.flush(ctx) || c.leaving || c.lost != nil {
			return
		}
		c.lost = c.fill(ctx, maxCommand+maxInline)
	}
}

// fill reads once.
func (c *client) fill(ctx context.Context, limit int) error {
	room, err := c.in.room(limit)
	if err != nil {
		return err
	}
	n, err := c.conn.ReadContext(ctx, room)
	c.in.filled(n)
	if n > 0 {
		return nil // an error comes again
	}
	return err
}

// runAll runs the commands that are there in whole. Its error is a protocolError.
func (c *client) runAll(ctx context.Context) error {
	n := uint64(0)
	defer func() { c.commands.Add(n) }()
	for !c.leaving && c.lost == nil {
		args, ok, err := c.in.next()
		if !ok {
			return err
		}
		n++
		c.run(ctx, args)
		if len(c.out.buf) > maxUnflushed && !c.flush(ctx) {
			return nil
		}
	}
	return nil
}

// run runs one command.
func (c *client) run(ctx context.Context, args [][]byte) {
	cmd, err := find(args)
	if err == nil && c.out.protocol == 2 && c.subscriptions() > 0 && !cmd.subscribed {
		err = refusal("Can't execute '" + cmd.name + "': only SUBSCRIBE / UNSUBSCRIBE / PING / QUIT are allowed in this context")
	}
	if err == nil {
		err = cmd.run(ctx, c, args)
	}
	if err != nil {
		c.out.error(err)
	}
}

// flush sends the answers, and reports whether the client is still there.
func (c *client) flush(ctx context.Context) bool {
	if len(c.out.buf) == 0 {
		return c.lost == nil
	}
	if c.outbox != nil {
		c.outbox.add(func(r *reply) { r.buf = append(r.buf, c.out.buf...) })
	} else if _, err := c.conn.WriteContext(ctx, c.out.buf); err != nil {
		c.lost = err
	}
	if c.out.buf = c.out.buf[:0]; cap(c.out.buf) > 2*maxUnflushed {
		c.out.buf = nil
	}
	return c.lost == nil
}

// end forgets the client. What its outbox has is sent before, if the client has asked to
// leave.
func (c *client) end(ctx context.Context) {
	if c.outbox != nil {
		for channel := range c.outbox.channels {
			c.hub.unsubscribe(channel, c.outbox)
		}
		c.outbox.close()
		if c.lost == nil {
			_, _ = await.Select(ctx, c.sending.OnZero(), await.After(goodbye))
		}
		c.outbox.cut()
		_ = c.sending.Wait(context.WithoutCancel(ctx)) // soon, since it was cut off
	}
	c.conn.Close()
}

// whileThere calls f under a context that ends when the client leaves. Meanwhile another
// task reads, since only a read tells. What it reads is parsed later.
func (c *client) whileThere(ctx context.Context, f func(ctx context.Context)) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var reading waitgroup.Group
	reading.Add(1)
	err := wake.Go(ctx, func(ctx context.Context) {
		defer reading.Done()
		if c.lost = c.readOn(ctx); c.lost != nil {
			stop()
		}
	})
	if err != nil { // the loop is closing
		c.lost = err
		return
	}
	f(ctx)
	stop()
	_ = reading.Wait(context.WithoutCancel(ctx)) // a canceled read returns soon
}

// readOn reads until ctx ends or there is more than is read ahead, and then returns nil:
// nobody looks any more whether the client is still there. Otherwise it returns the error
// that shows that the client is not.
func (c *client) readOn(ctx context.Context) error {
	for ctx.Err() == nil {
		err := c.fill(ctx, readAhead)
		switch {
		case errors.Is(err, errFull), err != nil && errors.Is(err, ctx.Err()):
			return nil
		case err != nil:
			return err // also if ctx has ended meanwhile
		}
	}
	return nil
}

// openOutbox makes the client one that is sent messages at any time. What was answered
// before comes first.
func (c *client) openOutbox(ctx context.Context) error {
	if c.outbox != nil {
		c.flush(ctx)
		return nil
	}
	o := &outbox{reply: c.out, channels: make(map[string]bool)}
	ctx, o.cut = context.WithCancel(ctx)
	c.sending.Add(1)
	err := wake.Go(ctx, func(ctx context.Context) {
		defer c.sending.Done()
		if o.send(ctx, c.conn) != nil {
			o.close()
			c.conn.Close() // so that the client's read ends
		}
	})
	if err != nil {
		c.sending.Done()
		return err
	}
	c.outbox, c.out.buf = o, nil
	return nil
}

// subscriptions is the number of channels that the client has subscribed to.
func (c *client) subscriptions() int {
	if c.outbox == nil {
		return 0
	}
	return len(c.outbox.channels) // only this client changes them
}

// speak changes the version of the protocol.
func (c *client) speak(protocol int) {
	c.out.protocol = protocol
	if c.outbox != nil {
		c.outbox.add(func(r *reply) { r.protocol = protocol })
	}
}
