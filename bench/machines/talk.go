package machines

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/vigil-go/vigil/bench/measure"
)

// A Way is how two processes tell each other something.
type Way string

// The ways.
const (
	Vigil   Way = "vigil"                // Store to Wait
	Request Way = "NATS request"         // core NATS, which keeps nothing
	Watch   Way = "JetStream KV watch"   // the key-value bucket of nats.go, in the same kind of stream
	Etcd    Way = "etcd watch"           // Put to Watch
	Redis   Way = "Redis, polled, 10 ms" // SET, and GET every 10 ms
)

// A Talker is a process that asks or answers. There are two: one that answers, and then one
// that asks.
type Talker struct{ *machine }

type talkerArgs struct {
	Way     Way
	Address string
	Answers bool
}

// StartTalker starts a process that uses the server at address.
func StartTalker(way Way, address string, answers bool) (*Talker, error) {
	m, err := start("talker", talkerArgs{way, address, answers})
	return &Talker{m}, err
}

// Times has what calls have taken, in microseconds.
type Times struct {
	Calls       int
	Median, P99 float64
}

// timesOf returns the times of calls that have taken so many microseconds. JSON has no NaN.
func timesOf(took []float64) Times {
	if len(took) == 0 {
		return Times{}
	}
	return Times{len(took), measure.Quantile(took, 0.5), measure.Quantile(took, 0.99)}
}

// Ask asks one thing after the other for about d.
func (t *Talker) Ask(d time.Duration) (Times, error) { return tell[Times](t.machine, "ask", d) }

// A line is one end of a way.
type line interface {
	// ask tells the other end something, and returns when that has answered with the same.
	ask(ctx context.Context, what string) error
	// answer answers until ctx ends.
	answer(ctx context.Context) error
	close() error
}

// lines has functions that return an end. It hears at once what is said after that.
var lines = map[Way]func(ctx context.Context, address string, answers bool) (line, error){
	Vigil: vigilLine, Request: requestLine, Watch: watchLine, Etcd: etcdLine, Redis: redisLine,
}

func talk(a talkerArgs) (*service, error) {
	ctx, cancel := context.WithCancel(context.Background())
	open := lines[a.Way]
	if open == nil {
		cancel()
		return nil, fmt.Errorf("machines: there is no way %q", a.Way)
	}
	l, err := open(ctx, a.Address, a.Answers)
	if err != nil {
		cancel()
		return nil, err
	}
	answered := make(chan error, 1)
	if a.Answers {
		go func() { answered <- l.answer(ctx) }()
	} else {
		answered <- nil
	}
	var said int
	asked := func(d time.Duration) (Times, error) { return ask(ctx, l, d, &said) }
	end := func() error {
		cancel()
		err := <-answered
		if ctx.Err() != nil {
			err = nil
		}
		l.close()
		return err
	}
	return &service{orders: map[string]order{"ask": on(asked)}, end: end}, nil
}

// ask asks for d. A first tenth is not counted.
func ask(ctx context.Context, l line, d time.Duration, said *int) (Times, error) {
	var took []float64
	for begin := time.Now(); ; {
		*said++
		start := time.Now()
		if err := l.ask(ctx, strconv.Itoa(*said)); err != nil {
			return Times{}, err
		}
		if start.Sub(begin) > d/10 || time.Since(begin) > d {
			took = append(took, float64(time.Since(start))/1e3)
		}
		if time.Since(begin) > d {
			return timesOf(took), nil
		}
	}
}
