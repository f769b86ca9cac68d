package hostile

import (
	"context"
	"runtime"
	"time"

	"github.com/vigil-go/vigil/wake"
)

// An Armed context goes on until it is armed. Then it has ended, and its methods
// do what they like.
type Armed struct {
	Orderly bool // a wait under it returns
	Armed   bool

	done, err, value func()
	says             error // Err does
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

// Armables returns contexts of every kind by name. callBack is what the methods of
// one of them call.
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
		"Err cannot be compared": {Orderly: true, says: uncomparable{"hostile: no =="}},
		"Err is another error":   {Orderly: true, says: ErrOwn},
		"all call back":          {Orderly: true, done: callBack, err: callBack, value: callBack, says: ErrOwn},
	}
}

// Parks are what a [First] may do, by name.
var Parks = map[string]Strike{"parks": None, "fails": Fail, "panics": Panic, "exits": Exit}

// A First does something when it is first parked. Then it strikes, or parks.
type First struct {
	wake.Parker
	First  func()
	Strike Strike // of Park
	End    func() // of Wake; may be nil
	Wakes  int

	parks int
}

// Wake counts, leaves a permit and ends as it is told to.
func (p *First) Wake() {
	p.Wakes++
	p.Parker.Wake()
	if p.End != nil {
		p.End()
	}
}

// Park panics if it is called without end: nothing can be seen of that otherwise.
func (p *First) Park(ctx context.Context) error {
	switch p.parks++; {
	case p.parks == 1:
		p.First()
	case p.parks > 100:
		panic("hostile: parks again and again")
	}
	if p.Strike != None {
		return p.Strike.Do()
	}
	return p.Parker.Park(ctx)
}

// Outcome runs a wait in a goroutine of its own. It reports whether the wait
// returned, and with what.
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
