package misbehave

import (
	"context"
	"runtime"
	"time"

	"github.com/vigil-go/vigil/wake"
)

// An Armed context has not ended until Armed is set. From then on it has ended, and
// its methods misbehave.
type Armed struct {
	Orderly bool // a wait under it returns
	Armed   bool

	done, err, value func()
	says             error // the result of Err
}

func (c *Armed) strike(f func()) {
	if c.Armed && f != nil {
		f()
	}
}

func (c *Armed) Deadline() (deadline time.Time, ok bool) { return deadline, false }

func (c *Armed) Done() <-chan struct{} {
	c.strike(c.done)
	if !c.Armed {
		return nil
	}
	over := make(chan struct{})
	close(over)
	return over
}

func (c *Armed) Err() error {
	c.strike(c.err)
	if !c.Armed {
		return nil
	}
	return c.says
}

func (c *Armed) Value(any) any {
	c.strike(c.value)
	return nil
}

// Armables returns a context for every way to misbehave, by name. The methods of one
// of them call callBack.
func Armables(callBack func()) map[string]*Armed {
	angry := func() { panic(ErrPanic) }
	return map[string]*Armed{
		"Done panics":            {done: angry},
		"Done exits":             {done: runtime.Goexit},
		"Err panics":             {err: angry},
		"Err exits":              {err: runtime.Goexit},
		"Value panics":           {value: angry, says: ErrOwn},
		"Value exits":            {value: runtime.Goexit, says: ErrOwn},
		"Err is nil":             {Orderly: true},
		"Err cannot be compared": {Orderly: true, says: uncomparable{"misbehaving: no =="}},
		"Err is another error":   {Orderly: true, says: ErrOwn},
		"all call back":          {Orderly: true, done: callBack, err: callBack, value: callBack, says: ErrOwn},
	}
}

// Parks are the strikes of a [First], by name.
var Parks = map[string]Strike{"parks": None, "fails": Fail, "panics": Panic, "exits": Exit}

// A First calls a function when it is first parked. Then it misbehaves, or parks.
type First struct {
	wake.Parker
	First  func()
	Strike Strike // of Park
	End    func() // of Wake; may be nil
	Wakes  int

	parks int
}

// Wake counts the call, leaves a permit and calls End.
func (p *First) Wake() {
	p.Wakes++
	p.Parker.Wake()
	if p.End != nil {
		p.End()
	}
}

// Park panics if it is called again and again, which would otherwise hang the test.
func (p *First) Park(ctx context.Context) error {
	switch p.parks++; {
	case p.parks == 1:
		p.First()
	case p.parks > 100:
		panic("misbehaving: parks again and again")
	}
	if p.Strike != None {
		return p.Strike.Do()
	}
	return p.Parker.Park(ctx)
}

// Outcome runs wait in a new goroutine. It reports whether wait returned, and its
// error.
func Outcome(wait func() error) (returned bool, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { _ = recover() }()
		err = wait()
		returned = true
	}()
	<-done
	return returned, err
}
