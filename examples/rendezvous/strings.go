package main

import (
	"bytes"
	"context"
	"math"
	"time"
)

var stringCommands = []command{
	{name: "get", arity: 2, keys: [2]int{1, 1}, run: get},
	{name: "set", arity: -3, keys: [2]int{1, 1}, run: set},
	{name: "del", arity: -2, keys: [2]int{1, -1}, run: func(_ context.Context, c *client, args [][]byte) error {
		return c.countKeys(args, c.remove)
	}},
	{name: "exists", arity: -2, keys: [2]int{1, -1}, run: func(_ context.Context, c *client, args [][]byte) error {
		return c.countKeys(args, func(key string) bool { _, ok := c.find(key); return ok })
	}},
	{name: "incr", arity: 2, keys: [2]int{1, 1}, run: func(_ context.Context, c *client, args [][]byte) error {
		n, err := c.increment(string(args[1]))
		if err == nil {
			c.out.integer(int(n))
		}
		return err
	}},
}

// countKeys answers with the number of keys for which f returns true.
func (c *client) countKeys(args [][]byte, f func(key string) bool) error {
	n := 0
	for _, key := range args[1:] {
		if f(string(key)) {
			n++
		}
	}
	c.out.integer(n)
	return nil
}

func get(_ context.Context, c *client, args [][]byte) error {
	text, ok, err := c.get(string(args[1]))
	switch {
	case err != nil:
		return err
	case ok:
		c.out.bulk(text)
	default:
		c.out.null()
	}
	return nil
}

func set(_ context.Context, c *client, args [][]byte) error {
	expires, when, err := setOptions(args[3:])
	if err != nil {
		return err
	}
	v := &value{text: bytes.Clone(args[2]), expires: expires}
	if c.set(string(args[1]), v, when) {
		c.out.status("OK")
	} else {
		c.out.null()
	}
	return nil
}

// setOptions parses EX seconds or PX milliseconds, and NX or XX.
func setOptions(args [][]byte) (expires time.Time, when condition, err error) {
	for ; len(args) > 0; args = args[1:] {
		switch {
		case is(args[0], "nx") && when != ifPresent:
			when = ifAbsent
		case is(args[0], "xx") && when != ifAbsent:
			when = ifPresent
		case is(args[0], "ex") && expires.IsZero() && len(args) > 1:
			expires, err = after(args[1], time.Second)
			args = args[1:]
		case is(args[0], "px") && expires.IsZero() && len(args) > 1:
			expires, err = after(args[1], time.Millisecond)
			args = args[1:]
		default:
			err = errSyntax
		}
		if err != nil {
			return time.Time{}, 0, err
		}
	}
	return expires, when, nil
}

// after is the moment when a number of units from now has passed.
func after(number []byte, unit time.Duration) (time.Time, error) {
	n, err := integerOf(number)
	if err != nil {
		return time.Time{}, err
	}
	if n <= 0 || n > math.MaxInt64/int64(unit) {
		return time.Time{}, errExpire
	}
	return time.Now().Add(time.Duration(n) * unit), nil
}
