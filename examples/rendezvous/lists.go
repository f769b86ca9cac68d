package main

import (
	"bytes"
	"context"
	"math"
	"time"
)

var listCommands = []command{
	{name: "lpush", arity: -3, keys: [2]int{1, 1}, run: pushCommand(left)},
	{name: "rpush", arity: -3, keys: [2]int{1, 1}, run: pushCommand(right)},
	{name: "lpop", arity: -2, keys: [2]int{1, 1}, run: popCommand("lpop", left)},
	{name: "rpop", arity: -2, keys: [2]int{1, 1}, run: popCommand("rpop", right)},
	{name: "blpop", arity: -3, keys: [2]int{1, -2}, run: blockingPop(left)},
	{name: "brpop", arity: -3, keys: [2]int{1, -2}, run: blockingPop(right)},
	{name: "llen", arity: 2, keys: [2]int{1, 1}, run: func(_ context.Context, c *client, args [][]byte) error {
		n, err := c.length(string(args[1]))
		if err == nil {
			c.out.integer(n)
		}
		return err
	}},
}

func pushCommand(at end) func(context.Context, *client, [][]byte) error {
	return func(_ context.Context, c *client, args [][]byte) error {
		items := make([][]byte, len(args)-2)
		for i, arg := range args[2:] {
			items[i] = bytes.Clone(arg)
		}
		n, err := c.push(string(args[1]), at, items)
		if err == nil {
			c.out.integer(n)
		}
		return err
	}
}

// popCommand answers with an element or, if a number is given, with an array.
func popCommand(name string, at end) func(context.Context, *client, [][]byte) error {
	return func(_ context.Context, c *client, args [][]byte) error {
		if len(args) > 3 {
			return wrongNumber(name)
		}
		if len(args) == 3 {
			return c.popSeveral(args, at)
		}
		items, found, err := c.pop(string(args[1]), at, 1)
		switch {
		case err != nil:
			return err
		case found:
			c.out.bulk(items[0])
		default:
			c.out.null()
		}
		return nil
	}
}

func (c *client) popSeveral(args [][]byte, at end) error {
	n, err := integerOf(args[2])
	if err != nil || n < 0 {
		return errNotPositive
	}
	items, found, err := c.pop(string(args[1]), at, int(min(n, math.MaxInt32)))
	switch {
	case err != nil:
		return err
	case found:
		c.out.bulks(items)
	default:
		c.out.nullArray()
	}
	return nil
}

// blockingPop answers with a key and an element of its list, or with nothing after a time.
func blockingPop(at end) func(context.Context, *client, [][]byte) error {
	return func(ctx context.Context, c *client, args [][]byte) error {
		seconds, err := secondsOf(args[len(args)-1])
		if err != nil {
			return err
		}
		limit := time.Duration(seconds * float64(time.Second))
		if seconds > 0 {
			limit = max(1, limit) // 0 is no limit
		}
		keys := stringsOf(args[1 : len(args)-1])
		e, ok, err := c.popAny(keys, at)
		if err == nil && !ok {
			e, ok = c.await(ctx, keys, at, limit)
		}
		switch {
		case err != nil:
			return err
		case ok:
			c.out.bulks([][]byte{[]byte(e.key), e.item})
		case c.lost == nil:
			c.out.nullArray()
		}
		return nil
	}
}

// await waits for an element. One that comes when the client has left is put back.
func (c *client) await(ctx context.Context, keys []string, at end, limit time.Duration) (e element, ok bool) {
	if !c.flush(ctx) {
		return element{}, false
	}
	c.blocked.Add(1)
	defer c.blocked.Add(-1)
	c.whileThere(ctx, func(ctx context.Context) {
		e, ok = c.waitAny(ctx, c.id, keys, at, limit)
	})
	if ok && c.lost != nil {
		c.putBack(e, at)
		return element{}, false
	}
	return e, ok
}
