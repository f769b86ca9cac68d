package main

import (
	"context"
	"maps"
	"slices"
)

var messageCommands = []command{
	{name: "subscribe", arity: -2, subscribed: true, run: subscribe},
	{name: "unsubscribe", arity: -1, subscribed: true, run: unsubscribe},
	{name: "publish", arity: 3, run: func(_ context.Context, c *client, args [][]byte) error {
		c.out.integer(c.publish(string(args[1]), args[2]))
		return nil
	}},
}

// subscribe adds the client to channels. The lock of the outbox keeps a message behind the
// answer that says that the client is subscribed.
func subscribe(ctx context.Context, c *client, args [][]byte) error {
	if err := c.openOutbox(ctx); err != nil {
		return err
	}
	for _, channel := range stringsOf(args[1:]) {
		c.outbox.add(func(r *reply) {
			if !c.outbox.channels[channel] {
				c.outbox.channels[channel] = true
				c.hub.subscribe(channel, c.outbox)
			}
			r.subscription("subscribe", channel, len(c.outbox.channels))
		})
	}
	return nil
}

// unsubscribe removes the client from channels, or from all. Nothing of a channel comes
// behind the answer.
func unsubscribe(ctx context.Context, c *client, args [][]byte) error {
	channels := stringsOf(args[1:])
	if c.subscriptions() == 0 {
		c.out.noSubscription(channels)
		return nil
	}
	if len(channels) == 0 {
		channels = slices.Sorted(maps.Keys(c.outbox.channels))
	}
	c.flush(ctx) // into the outbox, where the answers follow
	for _, channel := range channels {
		c.outbox.add(func(r *reply) {
			delete(c.outbox.channels, channel)
			c.hub.unsubscribe(channel, c.outbox)
			r.subscription("unsubscribe", channel, len(c.outbox.channels))
		})
	}
	return nil
}

// noSubscription answers an unsubscribe without any.
func (r *reply) noSubscription(channels []string) {
	for _, channel := range channels {
		r.subscription("unsubscribe", channel, 0)
	}
	if len(channels) == 0 {
		r.push(3)
		r.text("unsubscribe")
		r.null()
		r.integer(0)
	}
}

func (r *reply) subscription(what, channel string, n int) {
	r.push(3)
	r.text(what)
	r.text(channel)
	r.integer(n)
}
