package httpcache

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

// errLeft is the error of a transfer whose client has left.
var errLeft = errors.New("the client has left")

// writeWhole writes a body that is whole. A client that has left needs no abort.
func (b *body) writeWhole(w io.Writer) {
	for _, c := range b.chunks {
		if _, err := w.Write(c.data); err != nil {
			return
		}
	}
}

// writeTo writes the body as it arrives. If it breaks off, writeTo aborts the connection, so
// that the client does not take it for complete.
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
			out.Flush() // the next bytes may take a while
		}
		p, err = r.next(ctx)
	}
}

// headerDelay is how long the header waits for the first bytes of a body, to be
// sent with them.
const headerDelay = 10 * time.Millisecond

// first is next for the first bytes. It sends the header if they are late.
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

// goOn asks the origin for the rest of the body, and writes it.
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
