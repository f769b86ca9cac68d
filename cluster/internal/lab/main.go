package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
)

// A Function is what a worker does. If it returns an error, the process ends with status 1 and
// the error on its standard error. ctx ends when the process that has the Lab is gone, or
// has called [Process.Stop].
type Function func(ctx context.Context, s *Self) error

// A Self is what a worker knows of itself.
type Self struct {
	Arguments []string
	Addresses []string // the URLs of the servers, as this process reaches them
	Pipe
}

// Variables in the environment of a process that a Lab has started.
const (
	functionEnv  = "VIGIL_LAB_FUNCTION"
	addressesEnv = "VIGIL_LAB_ADDRESSES"
	clockEnv     = "VIGIL_LAB_CLOCK"
)

var registered = map[string]Function{serveFunction: serve}

// Register gives a name to what workers can do. It must be called before [Main].
func Register(name string, f Function) {
	if registered[name] != nil {
		panic("lab: " + name + " is registered already")
	}
	registered[name] = f
}

// Main runs what a Lab has started this process for, and ends it. If this process was not started
// by a Lab, it returns at once.
func Main() {
	name := os.Getenv(functionEnv)
	if name == "" {
		return
	}
	if err := run(registered[name]); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func run(f Function) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	s := &Self{
		Arguments: os.Args[1:],
		Addresses: strings.Fields(os.Getenv(addressesEnv)),
		Pipe:      newPipe(os.Stdin, os.Stdout, nil, cancel),
	}
	os.Unsetenv(functionEnv)
	return f(ctx, s)
}

// A Pipe carries messages, each a JSON value, between a process and the one that has the
// Lab. Its methods may be called from any goroutine.
type Pipe struct{ *pipe }

type pipe struct {
	mu  sync.Mutex // held while a message is written
	out io.Writer

	received chan json.RawMessage
	ended    chan struct{} // closed when nothing will be received any more
}

// newPipe returns a pipe, and calls end when the other side has ended. When over is closed, what
// nobody has received is dropped.
func newPipe(in io.Reader, out io.Writer, over <-chan struct{}, end func()) Pipe {
	p := &pipe{out: out, received: make(chan json.RawMessage, 1000), ended: make(chan struct{})}
	go func() {
		defer end()
		defer close(p.ended)
		for d := json.NewDecoder(in); ; {
			var m json.RawMessage
			if d.Decode(&m) != nil {
				return
			}
			select {
			case p.received <- m:
			case <-over:
				return
			}
		}
	}()
	return Pipe{p}
}

// Send sends v to the other side. It waits while that does not read.
func (p *pipe) Send(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err = p.out.Write(append(text, '\n'))
	return err
}

// Receive puts the next message of the other side into v. It returns io.EOF if that has
// ended, and an error that matches ctx.Err() if ctx ends first.
func (p *pipe) Receive(ctx context.Context, v any) error {
	select {
	case m := <-p.received:
		return json.Unmarshal(m, v)
	default:
	}
	select {
	case m := <-p.received:
		return json.Unmarshal(m, v)
	case <-p.ended:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case m := <-p.received: // the second look: it came before the end
		return json.Unmarshal(m, v)
	default:
		return io.EOF
	}
}
