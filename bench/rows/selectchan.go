package rows

import (
	"context"
	"fmt"
	"reflect"
)

// chanLines is what lines is, for channels with room for one. The types that embed it
// differ in the select that receives: the statement has a fixed number of cases.
type chanLines struct {
	sides [2][]chan int
	ctx   context.Context
}

func newChanLines(ctx context.Context, n int) chanLines {
	t := chanLines{ctx: ctx}
	for side := range t.sides {
		for range n {
			t.sides[side] = append(t.sides[side], make(chan int, 1))
		}
	}
	return t
}

func (t *chanLines) send(i, side int) {
	channels := t.sides[side]
	channels[at(i, channels)] <- i
}

func (t *chanLines) close() {}

// selectStatement returns a table whose select has n cases.
func selectStatement(n int) table {
	lines := newChanLines(context.Background(), n)
	switch n {
	case 1:
		return &select1{lines}
	case 2:
		return &select2{lines}
	case 4:
		return &select4{lines}
	}
	panic(fmt.Sprintf("rows: no select statement of %d cases", n))
}

type (
	select1 struct{ chanLines } // the compiler makes it a plain receive
	select2 struct{ chanLines }
	select4 struct{ chanLines }
)

func (t *select1) receive(i, side int) {
	same(<-t.sides[side][0], i)
}

func (t *select2) receive(i, side int) {
	c := t.sides[side]
	select {
	case v := <-c[0]:
		same(v, i)
	case v := <-c[1]:
		same(v, i)
	}
}

func (t *select4) receive(i, side int) {
	c := t.sides[side]
	select {
	case v := <-c[0]:
		same(v, i)
	case v := <-c[1]:
		same(v, i)
	case v := <-c[2]:
		same(v, i)
	case v := <-c[3]:
		same(v, i)
	}
}

// selectStatementOrDone is selectStatement with a further case, ctx.Done().
func selectStatementOrDone(ctx context.Context, n int) table {
	lines := newChanLines(ctx, n)
	switch n {
	case 1:
		return &select1OrDone{lines}
	case 2:
		return &select2OrDone{lines}
	case 4:
		return &select4OrDone{lines}
	}
	panic(fmt.Sprintf("rows: no select statement of %d cases", n))
}

type (
	select1OrDone struct{ chanLines }
	select2OrDone struct{ chanLines }
	select4OrDone struct{ chanLines }
)

func (t *select1OrDone) receive(i, side int) {
	c := t.sides[side]
	select {
	case v := <-c[0]:
		same(v, i)
	case <-t.ctx.Done():
		panic(t.ctx.Err())
	}
}

func (t *select2OrDone) receive(i, side int) {
	c := t.sides[side]
	select {
	case v := <-c[0]:
		same(v, i)
	case v := <-c[1]:
		same(v, i)
	case <-t.ctx.Done():
		panic(t.ctx.Err())
	}
}

func (t *select4OrDone) receive(i, side int) {
	c := t.sides[side]
	select {
	case v := <-c[0]:
		same(v, i)
	case v := <-c[1]:
		same(v, i)
	case v := <-c[2]:
		same(v, i)
	case v := <-c[3]:
		same(v, i)
	case <-t.ctx.Done():
		panic(t.ctx.Err())
	}
}

// reflectSelects receives by reflect.Select, whose cases are used again and again.
type reflectSelects struct {
	chanLines
	cases [2][]reflect.SelectCase
}

// newReflectSelects returns a table of n cases, and another for ctx.Done() unless that
// is nil.
func newReflectSelects(ctx context.Context, n int) *reflectSelects {
	t := &reflectSelects{chanLines: newChanLines(ctx, n)}
	for side := range t.cases {
		for _, c := range t.sides[side] {
			t.cases[side] = append(t.cases[side], receiveFrom(c))
		}
		if done := ctx.Done(); done != nil {
			t.cases[side] = append(t.cases[side], receiveFrom(done))
		}
	}
	return t
}

func receiveFrom(c any) reflect.SelectCase {
	return reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c)}
}

func (t *reflectSelects) receive(i, side int) {
	chosen, v, _ := reflect.Select(t.cases[side])
	same(chosen, at(i, t.sides[side]))
	same(int(v.Int()), i)
}
