package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// A command is what a client may send.
type command struct {
	name       string
	arity      int  // arguments with the name; if negative, at least so many
	subscribed bool // it may be sent by a subscriber in version 2 of the protocol
	keys       [2]int
	run        func(ctx context.Context, c *client, args [][]byte) error
}

// commands are all of them. Each is in the file that its group names.
var commands = make(map[string]*command)

func init() {
	for _, group := range [][]command{stringCommands, listCommands, messageCommands, clientCommands} {
		for _, cmd := range group {
			commands[cmd.name] = &cmd
		}
	}
}

// find returns the command that args begin with, if its arguments are that many.
func find(args [][]byte) (*command, error) {
	var lower [16]byte
	name := appendLower(lower[:0], args[0])
	cmd := commands[string(name)]
	switch {
	case cmd == nil:
		return nil, unknown(args)
	case cmd.arity > 0 && len(args) != cmd.arity, cmd.arity < 0 && len(args) < -cmd.arity:
		return nil, wrongNumber(cmd.name)
	}
	return cmd, nil
}

// appendLower appends at most as much of name as the longest command has, and a byte.
func appendLower(b, name []byte) []byte {
	for _, c := range name[:min(len(name), cap(b))] {
		if 'A' <= c && c <= 'Z' {
			c += 'a' - 'A'
		}
		b = append(b, c)
	}
	return b
}

func wrongNumber(name string) error {
	return fmt.Errorf("wrong number of arguments for '%s' command", name)
}

func unknown(args [][]byte) error {
	var rest strings.Builder
	for _, arg := range args[1:] {
		if rest.Len() > 128 {
			break
		}
		fmt.Fprintf(&rest, "'%.128s' ", arg)
	}
	return fmt.Errorf("unknown command '%.128s', with args beginning with: %s", args[0], rest.String())
}

// stringsOf copies arguments that are kept.
func stringsOf(args [][]byte) []string {
	s := make([]string, len(args))
	for i, arg := range args {
		s[i] = string(arg)
	}
	return s
}

// is reports whether an argument is that word, in whatever case.
func is(arg []byte, word string) bool { return strings.EqualFold(string(arg), word) }

var clientCommands = []command{
	{name: "ping", arity: -1, subscribed: true, run: ping},
	{name: "echo", arity: 2, run: func(_ context.Context, c *client, args [][]byte) error {
		c.out.bulk(args[1])
		return nil
	}},
	{name: "quit", arity: -1, subscribed: true, run: func(_ context.Context, c *client, _ [][]byte) error {
		c.leaving = true
		c.out.status("OK")
		return nil
	}},
	{name: "select", arity: 2, run: func(_ context.Context, c *client, args [][]byte) error {
		if n, err := integerOf(args[1]); err != nil {
			return err
		} else if n != 0 {
			return errNoIndex
		}
		c.out.status("OK")
		return nil
	}},
	{name: "hello", arity: -1, run: hello},
	{name: "client", arity: -2, run: clientCommand},
	{name: "config", arity: -2, run: configCommand},
	{name: "command", arity: -1, run: commandCommand},
	{name: "info", arity: -1, run: func(_ context.Context, c *client, _ [][]byte) error {
		c.out.text(c.info())
		return nil
	}},
}

func ping(_ context.Context, c *client, args [][]byte) error {
	message := []byte{}
	switch {
	case len(args) > 2:
		return wrongNumber("ping")
	case len(args) == 2:
		message = args[1]
	case c.out.protocol == 3 || c.subscriptions() == 0:
		c.out.status("PONG")
		return nil
	}
	if c.out.protocol == 2 && c.subscriptions() > 0 {
		c.out.array(2)
		c.out.text("pong")
	}
	c.out.bulk(message)
	return nil
}

// hello changes the version of the protocol and tells what the server is. There are no
// users, so AUTH is refused.
func hello(_ context.Context, c *client, args [][]byte) error {
	protocol, name := c.out.protocol, c.name
	if len(args) > 1 {
		n, err := integerOf(args[1])
		if err != nil {
			return errNoVersion
		}
		if n != 2 && n != 3 {
			return errNoProtocol
		}
		protocol = int(n)
	}
	for rest := args[min(2, len(args)):]; len(rest) > 0; rest = rest[2:] {
		if len(rest) < 2 || !is(rest[0], "setname") {
			return refusal(fmt.Sprintf("Syntax error in HELLO option '%.128s'", rest[0]))
		}
		name = string(rest[1])
	}
	c.name = name
	c.speak(protocol)
	c.introduce()
	return nil
}

// introduce answers with what the server is.
func (c *client) introduce() {
	c.out.fields(7)
	c.out.texts("server", "redis", "version", redisVersion, "mode", "standalone", "role", "master", "proto")
	c.out.integer(c.out.protocol)
	c.out.text("id")
	c.out.integer(int(c.id))
	c.out.text("modules")
	c.out.array(0)
}

func clientCommand(_ context.Context, c *client, args [][]byte) error {
	switch {
	case is(args[1], "setinfo") && len(args) == 4: // the name and version of its library
		c.out.status("OK")
	case is(args[1], "setname") && len(args) == 3:
		c.name = string(args[2])
		c.out.status("OK")
	case is(args[1], "getname") && len(args) == 2:
		c.out.text(c.name)
	case is(args[1], "id") && len(args) == 2:
		c.out.integer(int(c.id))
	default:
		return unknownPart("client", args)
	}
	return nil
}

func unknownPart(name string, args [][]byte) error {
	return fmt.Errorf("unknown subcommand or wrong number of arguments for '%s|%.128s' command", name, args[1])
}

// configuration is what CONFIG GET knows; redis-benchmark asks for some of it.
var configuration = [][2]string{{"appendonly", "no"}, {"databases", "1"}, {"save", ""}}

func configCommand(_ context.Context, c *client, args [][]byte) error {
	if !is(args[1], "get") || len(args) < 3 {
		return unknownPart("config", args)
	}
	var found [][2]string
	for _, field := range configuration {
		if slices.ContainsFunc(args[2:], func(arg []byte) bool { return is(arg, field[0]) || string(arg) == "*" }) {
			found = append(found, field)
		}
	}
	c.out.fields(len(found))
	for _, field := range found {
		c.out.texts(field[:]...)
	}
	return nil
}

// commandCommand describes the commands as far as clients need it: names, numbers of
// arguments and where the keys are.
func commandCommand(_ context.Context, c *client, args [][]byte) error {
	switch {
	case len(args) == 1:
		c.out.array(len(commands))
		for _, cmd := range commands {
			cmd.describe(&c.out)
		}
	case is(args[1], "count") && len(args) == 2:
		c.out.integer(len(commands))
	case is(args[1], "docs"):
		c.out.fields(0)
	case is(args[1], "info"):
		c.out.array(len(args) - 2)
		for _, name := range args[2:] {
			if cmd := commands[strings.ToLower(string(name))]; cmd != nil {
				cmd.describe(&c.out)
			} else {
				c.out.nullArray()
			}
		}
	default:
		return unknownPart("command", args)
	}
	return nil
}

func (cmd *command) describe(r *reply) {
	r.array(6)
	r.text(cmd.name)
	r.integer(cmd.arity)
	r.array(0) // flags
	r.integer(cmd.keys[0])
	r.integer(cmd.keys[1])
	r.integer(min(1, cmd.keys[0])) // the step from key to key
}
