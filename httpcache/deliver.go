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
	err := r.copy(ctx, w)
	switch {
	case err == io.EOF:
		return
	case err != errLeft && ctx.Err() == nil:
		r.s.body.owner.broke(err)
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
		p, err = r.proceed(ctx)
	}
}

// headerDelay is how long the header waits for the first bytes of a body, to be
// sent with them.
const headerDelay = 10 * time.Millisecond

// first is proceed for the first bytes. It sends the header if they are late, or come by a
// request of the reader's own, which must last longer than headerDelay.
func (r *reader) first(ctx context.Context, out *http.ResponseController) ([]byte, error) {
	brief, cancel := context.WithTimeout(ctx, headerDelay)
	defer cancel()
	p, err := r.next(brief)
	if err != errDetached && (brief.Err() == nil || p != nil || ctx.Err() != nil) {
		return p, err
	}
	out.Flush()
	return r.proceed(ctx)
}

// proceed is next, and goes on by a request of the reader's own if the reader is detached.
func (r *reader) proceed(ctx context.Context) ([]byte, error) {
	if r.rest == nil {
		p, err := r.next(ctx)
		if err != errDetached {
			return p, err
		}
		if err := r.goOn(ctx); err != nil {
			return nil, err
		}
	}
	if r.restErr != nil {
		return nil, r.restErr
	}
	n, err := r.rest.Read(r.own.data)
	r.restErr = err
	return r.own.data[:n], nil
}

// goOn asks the origin for the rest of the body. It returns io.EOF if there is none.
func (r *reader) goOn(ctx context.Context) error {
	s := r.s
	s.body.owner.detached()
	if r.off == s.announced {
		return io.EOF
	}
	rest, err := s.resume(ctx, r.off)
	if err != nil && s.endedAt(r.off) { // the origin has no range that begins there
		return io.EOF
	}
	if err != nil {
		return err
	}
	r.rest, r.own = rest, s.body.budget.take(toGoOn)
	r.caughtUp = true // the next bytes may take a while
	return nil
}

// closeRest ends the request of goOn, if there is one.
func (r *reader) closeRest() {
	if r.rest != nil {
		defer r.rest.Close()
		r.s.body.budget.give(r.own)
	}
}
