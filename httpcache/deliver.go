package httpcache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// errLeft is the end of a transfer that the user ended.
var errLeft = errors.New("the user has left")

// writeWhole writes a body that is whole. A user that has left needs no abort.
func (b *body) writeWhole(w io.Writer) {
	for _, c := range b.chunks {
		if _, err := w.Write(c.data); err != nil {
			return
		}
	}
}

// writeTo hands on what a reader gets, as it arrives. It aborts the connection if
// that breaks off: the user must not take it for all of the body.
func (r *reader) writeTo(ctx context.Context, w http.ResponseWriter) {
	owner := r.s.body.owner
	err := r.copy(ctx, w)
	if err == errDetached {
		owner.detached()
		err = r.goOn(ctx, w)
	}
	switch {
	case err == io.EOF:
		return
	case err != errLeft && ctx.Err() == nil:
		owner.broke(err)
	}
	panic(http.ErrAbortHandler)
}

// copy writes what has arrived, until the body ends.
func (r *reader) copy(ctx context.Context, w http.ResponseWriter) error {
	out := http.NewResponseController(w)
	p, err := r.first(ctx, out)
	for {
		if err != nil {
			return err
		}
		if _, err := w.Write(p); err != nil {
			return errLeft
		}
		if r.caughtUp {
			out.Flush() // what comes next may take a while
		}
		p, err = r.next(ctx)
	}
}

// headerDelay is how long the header waits for the first bytes of a body, to be
// sent with them.
const headerDelay = 10 * time.Millisecond

// first is the first call of next. It sends the header if the body is late.
func (r *reader) first(ctx context.Context, out *http.ResponseController) ([]byte, error) {
	brief, cancel := context.WithTimeout(ctx, headerDelay)
	defer cancel()
	p, err := r.next(brief)
	if brief.Err() == nil || p != nil || ctx.Err() != nil {
		return p, err
	}
	out.Flush()
	return r.next(ctx)
}

// goOn writes the rest of the body, which the origin is asked for.
func (r *reader) goOn(ctx context.Context, w io.Writer) error {
	rest, err := r.s.resume(ctx, r.off)
	if err != nil {
		return err
	}
	defer rest.Close()
	budget := r.s.body.budget
	c := budget.take(toGoOn)
	defer budget.give(c)
	for {
		n, err := rest.Read(c.data)
		if _, err := w.Write(c.data[:n]); err != nil {
			return errLeft
		}
		if err != nil {
			return err
		}
	}
}
